//! What is drawn for one cell: the same for the same seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use super::fault::{Cell, ToLine};
use super::proxy::{Direction, Line};

/// Whom of two it hits, when, for how long and how hard.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// The time from the first buyer to the fault.
    pub begins: Duration,
    /// The time from the fault to its end.
    pub lasts: Duration,
    /// Whether every process of the role is hit, or every one's connection; else one is.
    pub all: bool,
    /// Which one: counted on from the first, beyond the last from the first again.
    pub one: usize,
    /// Whether a one-way cut is of what goes to the listening side.
    pub up: bool,
    /// What a delay adds.
    pub delay: Duration,
    /// How long a slow reader pauses between sips.
    pub pause: Duration,
    /// By how many seconds a clock steps.
    pub step: i64,
    /// The most bytes that a file may have.
    pub file_limit: u64,
    /// Decides who the buyers are and what they do.
    pub load: u64,
}

impl Schedule {
    /// Draws all of it. Each cell has draws of its own, so that it can be run alone.
    pub fn draw(seed: u64, cell: Cell) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        for (n, byte) in cell.to_string().bytes().enumerate() {
            bytes[8 + n % 24] ^= byte;
        }
        let mut dice = StdRng::from_seed(bytes);
        let mut ms = |range| Duration::from_millis(dice.random_range(range));
        let (begins, delay, pause) = (ms(1_000..2_500), ms(50..400), ms(50..200));
        // Beyond the time that a call to an engine may take.
        let lasts = ms(3_000..5_000);
        let step = dice.random_range(30..900);
        Self {
            begins,
            lasts,
            all: dice.random_bool(0.4),
            one: dice.random_range(0..2),
            up: dice.random(),
            delay,
            pause,
            step: if dice.random() { step } else { -step },
            file_limit: dice.random_range(4_096..65_536),
            load: dice.random(),
        }
    }

    /// Those of the things of one kind that are hit.
    pub fn hit<T>(&self, things: Vec<T>) -> Vec<T> {
        let one = self.one % things.len().max(1);
        let all = self.all;
        things.into_iter().enumerate().filter(|(n, _)| all || *n == one).map(|(_, it)| it).collect()
    }

    /// What becomes of a line.
    pub fn line(&self, fault: ToLine) -> Line {
        match fault {
            ToLine::Cut => Line::Cut,
            ToLine::Delay => Line::Delayed(self.delay),
            ToLine::OneWay if self.up => Line::OneWay(Direction::Up),
            ToLine::OneWay => Line::OneWay(Direction::Down),
            ToLine::HalfOpen => Line::HalfOpen,
            ToLine::SlowReader => Line::Slow(self.pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Engines;
    use super::*;

    #[test]
    fn one_seed_replays_one_schedule() {
        for cell in Engines::Real.matrix() {
            let drawn = |seed| format!("{:?}", Schedule::draw(seed, cell));
            assert_eq!(drawn(7), drawn(7));
            assert_ne!(drawn(7), drawn(8));
        }
    }

    #[test]
    fn one_of_two_is_hit_or_both_are() {
        let hits: Vec<_> = (0..100)
            .flat_map(|seed| Engines::Real.matrix().into_iter().map(move |cell| (seed, cell)))
            .map(|(seed, cell)| Schedule::draw(seed, cell).hit(vec!["first", "second"]))
            .collect();
        for some in [vec!["first"], vec!["second"], vec!["first", "second"]] {
            assert!(hits.contains(&some), "{some:?}");
        }
        assert!(hits.iter().all(|hit| !hit.is_empty()));
    }
}
