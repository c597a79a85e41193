//! What became of all claims, added up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::Timestamp;
use hdrhistogram::Histogram;

use super::timeline::{Slice, Timeline};
use crate::history::Way;

/// Every way.
pub const WAYS: [Way; 4] = [Way::Socket, Way::Events, Way::LongPoll, Way::Poll];

/// From when on a buyer whom the generator sent too late is counted as such.
pub const LATE: Duration = Duration::from_millis(50);

/// The longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What a load came to.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The first moment of the schedule, by the server's clock.
    pub began: Timestamp,
    /// How long it took, from the first moment of the schedule until the last buyer was done.
    pub took: Duration,
    /// Buyers that the schedule had.
    pub scheduled: u64,
    /// Of these: not sent, because as many as may be were open.
    pub shed: u64,
    /// Of these: not sent or not waited for, because the load was cut off.
    pub cut_off: u64,
    /// Of these: not sent, because nobody would vouch for them.
    pub nameless: u64,
    /// Of these: sent later than [`LATE`] after their moment, by a generator that was too slow.
    pub late: u64,
    /// How late buyers were sent.
    pub lateness: Latencies,
    /// Claims: what a buyer wanted once, however often he had to ask.
    pub claims: u64,
    /// Claims sent, each repetition counted.
    pub attempts: u64,
    /// Claims that were answered with a ticket.
    pub granted: u64,
    /// Claims that were refused for good, by the problem's type.
    pub refused: BTreeMap<String, u64>,
    /// Claims that had no answer within the patience.
    pub unanswered: u64,
    /// Tickets that were confirmed.
    pub confirmed: u64,
    /// Tickets that were rejected.
    pub rejected: u64,
    /// Tickets without a final result within the patience.
    pub undecided: u64,
    /// Attempts and reads that failed, by what failed.
    pub errors: BTreeMap<String, u64>,
    /// From the moment that the schedule named until the claim was answered for good.
    pub answered: Latencies,
    /// From the same moment until the final result was known.
    pub known: Latencies,
    /// The same, by the way on which it came, as in [`WAYS`].
    pub known_on: [Latencies; 4],
    /// What happened when.
    pub timeline: Timeline,
}

/// Durations, by how many were at most how long; in microseconds, to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// What became of one buyer.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Nobody vouched for him in time.
    pub(super) nameless: bool,
    /// How late he was sent.
    pub(super) lateness: Duration,
    pub(super) claims: Vec<Claimed>,
    /// What failed, and when: no more than his patience has room for, since a pause follows each.
    pub(super) errors: Vec<(String, Instant)>,
}

/// What became of one claim.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) due: Instant,
    pub(super) attempts: u64,
    pub(super) answer: Option<(Instant, Answer)>,
}

#[derive(Debug)]
pub(super) enum Answer {
    Refused(String),
    Granted(Option<Final>),
}

#[derive(Debug)]
pub(super) struct Final {
    pub(super) at: Instant,
    /// None where the answer to the claim told it.
    pub(super) way: Option<Way>,
    pub(super) confirmed: bool,
}

impl Life {
    /// Adds what one of his devices lived through.
    pub(super) fn take(&mut self, device: Self) {
        self.claims.extend(device.claims);
        self.errors.extend(device.errors);
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let longest = LONGEST.as_micros() as u64;
        Self(Histogram::new_with_bounds(1, longest, 3).expect("the bounds are in order"))
    }
}

impl Latencies {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What so many of a hundred took at most.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percent))
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e6)
    }

    pub(super) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Tally {
    pub(super) fn new(began: Timestamp, scheduled: usize) -> Self {
        Self {
            began,
            took: Duration::ZERO,
            scheduled: scheduled as u64,
            shed: 0,
            cut_off: 0,
            nameless: 0,
            late: 0,
            lateness: Latencies::default(),
            claims: 0,
            attempts: 0,
            granted: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            confirmed: 0,
            rejected: 0,
            undecided: 0,
            errors: BTreeMap::new(),
            answered: Latencies::default(),
            known: Latencies::default(),
            known_on: Default::default(),
            timeline: Timeline::default(),
        }
    }

    /// Adds what became of one buyer of a load that began at this moment.
    pub(super) fn add(&mut self, life: Life, begin: Instant) {
        self.nameless += u64::from(life.nameless);
        self.late += u64::from(life.lateness > LATE);
        self.lateness.add(life.lateness);
        for (error, at) in life.errors {
            self.slice(at, begin).errors += 1;
            *self.errors.entry(error).or_default() += 1;
        }
        for claimed in life.claims {
            self.add_claim(claimed, begin);
        }
    }

    fn add_claim(&mut self, claimed: Claimed, begin: Instant) {
        self.claims += 1;
        self.attempts += claimed.attempts;
        self.slice(claimed.due, begin).due += 1;
        let Some((at, answer)) = claimed.answer else {
            self.unanswered += 1;
            return;
        };
        self.answered.add(at.saturating_duration_since(claimed.due));
        self.slice(at, begin).answered += 1;
        match answer {
            Answer::Refused(problem) => *self.refused.entry(problem).or_default() += 1,
            Answer::Granted(told) => {
                self.granted += 1;
                self.add_final(claimed.due, told, begin);
            }
        }
    }

    fn add_final(&mut self, due: Instant, told: Option<Final>, begin: Instant) {
        let Some(Final { at, way, confirmed }) = told else {
            self.undecided += 1;
            return;
        };
        if confirmed {
            self.confirmed += 1;
        } else {
            self.rejected += 1;
        }
        let latency = at.saturating_duration_since(due);
        self.known.add(latency);
        for (on, latencies) in WAYS.iter().zip(&mut self.known_on) {
            if Some(*on) == way {
                latencies.add(latency);
            }
        }
        self.slice(at, begin).finals += 1;
    }

    /// The slice of a moment; what comes before the begin belongs to the first.
    fn slice(&mut self, at: Instant, begin: Instant) -> &mut Slice {
        self.timeline.slice(at.saturating_duration_since(begin))
    }
}
