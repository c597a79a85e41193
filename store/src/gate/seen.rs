//! What this process has seen of the gate: whoever has seen more than a gate shows knows that
//! it has lost writes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{GateError, Slot};

/// Slots that are remembered. At the bound all are forgotten, and the next replies and the
/// ledger's rows tell them anew.
const REMEMBERED: usize = 10_000;

/// Between two lines in the log that tell the same of any slot.
const TELL: Duration = Duration::from_secs(30);

/// How far the writes of a slot have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) incarnation: u32,
    pub(super) sequence: u64,
}

impl Position {
    /// Tells the operator that a gate stands here which must have come further.
    pub(super) fn is_behind(self, seen: Self, slot: Slot) {
        tracing::warn!(
            round = slot.round.0,
            incarnation = self.incarnation,
            sequence = self.sequence,
            seen_incarnation = seen.incarnation,
            seen_sequence = seen.sequence,
            "the gate of a round is behind what was seen of it, and grants no more"
        );
    }

    /// Tells the operator that such a gate could not be stopped.
    pub(super) fn stays(self, seen: Self, slot: Slot, error: &GateError) {
        tracing::warn!(
            round = slot.round.0,
            incarnation = self.incarnation,
            sequence = self.sequence,
            seen_incarnation = seen.incarnation,
            seen_sequence = seen.sequence,
            %error,
            "the gate of a round is behind what was seen of it, and could not be frozen: every \
             call tries it again"
        );
    }
}

/// When something was told that every call finds.
#[derive(Default)]
pub(super) struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Whether it should be told now.
    pub(super) fn is_due(&self) -> bool {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = at.is_none_or(|at| at.elapsed() >= TELL);
        if due {
            *at = Some(Instant::now());
        }
        due
    }
}

/// The highest position of each slot that this process has seen.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<Slot, Position>>);

impl Seen {
    /// What was seen of a slot so far; the lowest position if nothing was. To be asked before a
    /// call is sent: what comes to be seen while it is on its way accuses nobody.
    pub(super) fn of(&self, slot: Slot) -> Position {
        self.locked().get(&slot).copied().unwrap_or_default()
    }

    /// A reply, or the ledger's row, says this.
    pub(super) fn raise(&self, slot: Slot, to: Position) {
        let mut seen = self.locked();
        if seen.len() >= REMEMBERED && !seen.contains_key(&slot) {
            seen.clear();
        }
        let highest = seen.entry(slot).or_default();
        *highest = to.max(*highest);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Slot, Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::id::RoundId;

    #[test]
    fn only_the_highest_counts_and_an_incarnation_is_more_than_any_sequence() {
        let (seen, slot) = (Seen::default(), Slot::first(RoundId(1)));
        assert_eq!(seen.of(slot), Position::default());
        let at = |incarnation, sequence| Position { incarnation, sequence };
        for (raised, highest) in
            [(at(1, 7), at(1, 7)), (at(1, 3), at(1, 7)), (at(2, 0), at(2, 0)), (at(1, 9), at(2, 0))]
        {
            seen.raise(slot, raised);
            assert_eq!(seen.of(slot), highest);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let seen = Seen::default();
        let slots = (0..=u32::try_from(REMEMBERED).unwrap()).map(|n| Slot::first(RoundId(n)));
        slots.for_each(|slot| seen.raise(slot, Position { incarnation: 1, sequence: 1 }));
        assert_eq!(seen.0.lock().unwrap().len(), 1, "the one that went over the bound");
    }
}
