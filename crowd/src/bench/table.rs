//! The figures, as rows of a table.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    what: String,
    figure: String,
    /// What it is to be, and whether it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<Bound>,
    values: Value,
}

#[derive(Debug, Serialize)]
struct Bound {
    is_to_be: String,
    holds: bool,
}

impl Row {
    /// A figure in words, and its values.
    pub(super) fn new(what: impl Into<String>, figure: impl Into<String>, values: Value) -> Self {
        Self { what: what.into(), figure: figure.into(), bound: None, values }
    }

    /// What it is to be at least.
    pub(super) fn at_least(mut self, value: f64, least: f64) -> Self {
        self.bound = Some(Bound { is_to_be: format!("≥ {least}"), holds: value >= least });
        self
    }

    /// What it is to be at most.
    pub(super) fn at_most(mut self, value: f64, most: f64, unit: &str) -> Self {
        self.bound = Some(Bound { is_to_be: format!("≤ {most}{unit}"), holds: value <= most });
        self
    }
}

/// What was measured where.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    machine: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// Prints the head.
    pub(super) fn begin(machine: Vec<String>) -> std::io::Result<Self> {
        let mut out = std::io::stdout().lock();
        for line in &machine {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "\n| what | figure | is to be |\n|---|---|---|")?;
        Ok(Self { machine, rows: Vec::new() })
    }

    /// Prints further rows.
    pub(super) fn add(&mut self, rows: Vec<Row>) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for Row { what, figure, bound, values: _ } in &rows {
            let bound = bound.as_ref().map_or(String::new(), |bound| {
                let missed = if bound.holds { "" } else { " (missed)" };
                format!("{}{missed}", bound.is_to_be)
            });
            writeln!(out, "| {what} | {figure} | {bound} |")?;
        }
        self.rows.extend(rows);
        out.flush()
    }

    /// Whether every figure is what it is to be.
    pub(super) fn holds(&self) -> bool {
        self.rows.iter().filter_map(|row| row.bound.as_ref()).all(|bound| bound.holds)
    }
}

/// Says how far it is, where it is not taken for a figure.
pub(super) fn note(line: &str) {
    // Who does not read it misses nothing.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The middle one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
