//! What happened when: counts a slice of time, a bounded number of slices.

use std::time::Duration;

use serde::Serialize;

/// The most slices. Where more would be needed, two become one, twice as wide.
const MOST: usize = 600;

/// Slices of the same width, from the begin of the load on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    width: Duration,
    slices: Vec<Slice>,
}

/// What happened within one slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Claims whose moment came.
    pub due: u64,
    /// Claims that were answered, with a ticket or a refusal.
    pub answered: u64,
    /// Final results that became known.
    pub finals: u64,
    /// Attempts and reads that failed.
    pub errors: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: Duration::from_millis(100), slices: Vec::new() }
    }
}

impl Timeline {
    /// How long a slice is.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// The slices, up to the last in which something happened.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The same in wider slices, so many at most.
    pub fn of_at_most(&self, slices: usize) -> Self {
        let mut timeline = self.clone();
        while timeline.slices.len() > slices.max(1) {
            timeline.widen();
        }
        timeline
    }

    /// The slice of a moment, counted from the begin.
    pub(super) fn slice(&mut self, at: Duration) -> &mut Slice {
        while self.index(at) >= MOST {
            self.widen();
        }
        let index = self.index(at);
        if self.slices.len() <= index {
            self.slices.resize(index + 1, Slice::default());
        }
        &mut self.slices[index]
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX)
    }

    fn widen(&mut self) {
        self.width *= 2;
        let pairs = self.slices.chunks(2);
        self.slices = pairs.map(|pair| pair.iter().copied().fold(Slice::default(), sum)).collect();
    }
}

fn sum(one: Slice, other: Slice) -> Slice {
    Slice {
        due: one.due + other.due,
        answered: one.answered + other.answered,
        finals: one.finals + other.finals,
        errors: one.errors + other.errors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_load_has_wider_slices_and_the_same_counts() {
        let mut timeline = Timeline::default();
        for second in 0..1000 {
            timeline.slice(Duration::from_secs(second)).due += 1;
        }
        assert_eq!(timeline.width(), Duration::from_millis(1600 * 2));
        assert!(timeline.slices().len() <= MOST);
        assert_eq!(timeline.slices().iter().map(|slice| slice.due).sum::<u64>(), 1000);
        let (_, whole) = timeline.slices().split_last().unwrap();
        assert!(whole.iter().all(|slice| [3, 4].contains(&slice.due)));
    }
}
