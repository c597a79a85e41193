//! Medians, and the rows that they are printed in.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

/// So many things in that time, a second.
pub(crate) fn rate(things: usize, took: Duration) -> f64 {
    things as f64 / took.as_secs_f64()
}

/// The value in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
    (at((values.len().max(1) - 1) / 2) + at(values.len() / 2)) / 2.0
}

/// The median of `subject / baseline`, pair by pair: each pair was measured one after the other.
pub(crate) fn ratio(subject: &[f64], baseline: &[f64]) -> f64 {
    median(subject.iter().zip(baseline).map(|(subject, baseline)| subject / baseline))
}

/// Prints one row: what, the figure, and what it is to be.
pub(crate) fn row(what: &str, figure: &str, wanted: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "| {what} | {figure} | {wanted} |")?)
}

/// Times in their order.
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time that so many of a hundred do not exceed.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

impl fmt::Display for Sorted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", self.millis(50), self.millis(99))
    }
}
