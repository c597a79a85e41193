//! One state of the model.

use std::collections::BTreeSet;

/// What the log carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Message {
    /// A batch, by its number.
    Batch(u32),
    /// A fence of this incarnation.
    Fence(u32),
}

/// The faults that may still come, of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// The gate's process dies with what is not on disk, or is cut off.
    pub(super) crashes: u8,
    /// A worker dies with what it has in hand.
    pub(super) deaths: u8,
    /// The log loses a message.
    pub(super) drops: u8,
    /// A take is decided after the answer deadline.
    pub(super) late: u8,
    /// The gate comes back empty, or without its last write.
    pub(super) losses: u8,
}

/// A gate that is being loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Build {
    pub(super) snapshot: u32,
    pub(super) over: Option<u64>,
    /// The ledger's row says that it is loaded.
    pub(super) marked: bool,
}

/// What a worker has in hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Worker {
    /// Messages that were taken.
    pub(super) hand: BTreeSet<Message>,
    /// Verdicts that the gate is to be told, and the batches they are of.
    pub(super) verdicts: Option<(u32, Vec<Message>)>,
    /// It was told; its answer waits for the disk.
    pub(super) told: bool,
    pub(super) build: Option<Build>,
}

/// What went wrong in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// A final result changed, or is gone.
    ChangedFinal,
    /// A retry of a buyer with a token did not find his ticket in a gate that lost nothing.
    LostTicket,
    /// Only a key or a check of the database kept an order from being written.
    Refused,
}

/// A state of all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) gate: u32,
    /// The gate before its last write; a loss may set it back to that.
    pub(super) older: Option<u32>,
    pub(super) books: u32,
    /// Doubles of a message are one.
    pub(super) log: BTreeSet<Message>,
    /// In their order, as they do not differ otherwise.
    pub(super) workers: [Worker; 2],
    /// Answers to buyers that wait for the disk: their claims, and the batch to be published.
    pub(super) answers: BTreeSet<(u8, Option<u32>)>,
    /// Claims whose buyer has his token.
    pub(super) tokens: u8,
    /// Calls of the gate that granted; each names its batch.
    pub(super) grants: u8,
    pub(super) left: Faults,
    /// The gate has lost what it had acknowledged.
    pub(super) lost: bool,
    /// Something was decided too late.
    pub(super) late: bool,
    pub(super) wrong: Option<Wrong>,
}

impl Worker {
    pub(super) fn has(&self, message: &Message) -> bool {
        let settles = self.verdicts.as_ref().is_some_and(|(_, of)| of.contains(message));
        settles || self.hand.contains(message)
    }
}

impl State {
    /// Nobody who waits for the gate hears of it. Who may ask again does.
    pub(super) fn unanswered(&mut self) {
        self.answers.clear();
        self.workers.iter_mut().for_each(|worker| worker.told = false);
    }

    pub(super) fn acknowledge(&mut self, w: usize) {
        self.workers[w].told = false;
        if let Some((_, batches)) = self.workers[w].verdicts.take() {
            self.log.retain(|message| !batches.contains(message));
        }
    }
}
