//! Columns for people.

use std::io::{self, Write};

/// Writes rows under their heading, each column as wide as its widest text.
pub(super) fn write<const N: usize>(
    out: &mut impl Write,
    heading: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let heading = heading.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let texts = rows.iter().chain([&heading]).map(|row| row[column].chars().count());
        texts.max().unwrap_or(0)
    });
    for row in [&heading].into_iter().chain(rows) {
        let padded = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
