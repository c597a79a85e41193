//! The gate: where claims are granted, in one atomic step for each call.
//!
//! It holds the rounds that are live: terms, stock, the record of each buyer, and the outbox of
//! batches that the ledger has not decided yet.

pub mod local;
pub mod redis;
mod round;
mod seen;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RoundId, TicketId};
use sale::order::Batch;
use sale::terms::{Restock, Terms};
use sale::ticket::TicketState;
use sale::time::Timestamp;

use crate::clock;
use local::LocalGate;
use redis::RedisGate;
pub use round::{Figures, Settlement, Slot, Snapshot};
use seen::Position;

/// The gate, on one of its engines.
#[derive(Clone)]
pub enum Gate {
    /// In this process, journalled on its data folder.
    Local(LocalGate),
    /// In a Redis that every process reaches.
    Redis(RedisGate),
}

/// The bounds of the outbox, on every engine.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Orders that the outbox of a round holds; at the bound nothing more is granted.
    pub outbox_most: usize,
    /// When a batch is overdue first.
    pub resend_after: Duration,
    /// The longest step between two sends of a batch; steps double up to it.
    pub resend_most: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            outbox_most: 200_000,
            resend_after: Duration::from_secs(5),
            resend_most: Duration::from_secs(60),
        }
    }
}

/// A batch whose every order has a verdict or stands parked in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Its id.
    pub batch: BatchId,
    /// The write sequence that it was granted with: where an engine looks for it.
    pub sequence: u64,
}

impl From<&Batch> for Decided {
    fn from(batch: &Batch) -> Self {
        Self { batch: batch.id, sequence: batch.sequence }
    }
}

/// How long one call may take before its effect is called not known.
pub const CALL: Duration = Duration::from_secs(2);

/// Why a call of the gate was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GateError {
    /// The round is not loaded. Nothing was changed. This never means "sold out".
    #[error("round {0} is not loaded in the gate")]
    NotWarm(RoundId),
    /// The gate of this round has lost writes that were acknowledged, or may have: nobody gets
    /// anything from it, and nothing was changed.
    #[error("round {0} has lost writes and is being rebuilt")]
    Recovering(RoundId),
    /// The gate refuses work at present; nothing was changed.
    #[error("the gate is not available: {0}")]
    Unavailable(String),
    /// No answer came in time, or none that can be read; the call may have had its effect.
    /// Asking again with the same ids finds out.
    #[error("the gate did not answer in time")]
    NotKnown,
}

/// What a grant call answers.
#[derive(Debug, Clone)]
pub struct Grants {
    /// One answer a claim, in their order. Each sees the effect of those before it.
    pub answers: Vec<Answer>,
    /// What was granted, as it stands in the outbox; `None` if nothing was.
    pub batch: Option<Arc<Batch>>,
    /// The gate's clock at the call.
    pub now: Timestamp,
}

impl Gate {
    /// The gate's clock, without a call. It alone decides whether a window is open.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Local(_) => clock::now(),
            Self::Redis(gate) => gate.now(),
        }
    }

    /// Grants what can be granted of these claims, in their order. All claims belong to `slot`;
    /// `batch` is a fresh id for what is granted.
    pub async fn grant(
        &self,
        slot: Slot,
        batch: BatchId,
        claims: &[Claim],
    ) -> Result<Grants, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.grant(slot, batch, claims)).await,
            Self::Redis(gate) => in_time(gate.grant(slot, batch, claims)).await,
        }
    }

    /// Takes the ledger's states into the records, gives the units of rejected tickets back,
    /// and removes the decided batches from the outbox. Only newer versions have an effect, so
    /// a repeated call changes nothing.
    ///
    /// A batch leaves the outbox only by its own id.
    pub async fn settle(
        &self,
        slot: Slot,
        settlements: &[Settlement],
        decided: &[Decided],
    ) -> Result<(), GateError> {
        match self {
            Self::Local(gate) => in_time(gate.settle(slot, settlements, decided)).await,
            Self::Redis(gate) => in_time(gate.settle(slot, settlements, decided)).await,
        }
    }

    /// The states of tickets, `None` for those that their buyer's record does not have. A
    /// ticket of another buyer is not found.
    pub async fn read(
        &self,
        slot: Slot,
        tickets: &[(TicketId, BuyerId)],
    ) -> Result<Vec<Option<TicketState>>, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.read(slot, tickets)).await,
            Self::Redis(gate) => in_time(gate.read(slot, tickets)).await,
        }
    }

    /// Hands out batches of the outbox that are overdue, at most `most`, and stamps them: each
    /// is handed out once a step, to one caller; steps double up to a minute. After a start
    /// every batch is due at once.
    pub async fn resend(&self, slot: Slot, most: usize) -> Result<Vec<Arc<Batch>>, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.resend(slot, most)).await,
            Self::Redis(gate) => in_time(gate.resend(slot, most)).await,
        }
    }

    /// Loads a round where none of it is live; with `over`, also in place of a frozen gate of
    /// an older incarnation whose outbox is empty and whose sequence still is this. Answers
    /// whether it was loaded by this call; any other live round stays as it is.
    pub async fn warm(&self, snapshot: Snapshot, over: Option<u64>) -> Result<bool, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.warm(snapshot, over)).await,
            // Many calls, each of them in time.
            Self::Redis(gate) => gate.warm(&snapshot, over).await,
        }
    }

    /// Takes note that the gate of this slot has come so far at least, as the ledger's row
    /// says. One that is found behind it, or behind any reply that this process had, has lost
    /// writes: it is frozen, and grants, stock changes and reads are refused.
    pub fn expect(&self, slot: Slot, incarnation: u32, sequence: u64) {
        let position = Position { incarnation, sequence };
        match self {
            Self::Local(gate) => gate.expect(slot, position),
            Self::Redis(gate) => gate.expect(slot, position),
        }
    }

    /// Ends the grants of a gate of this or an older incarnation, and with them stock changes
    /// and reads. Its whole outbox is due at once. To repeat it changes nothing.
    pub async fn freeze(&self, slot: Slot, incarnation: u32) -> Result<(), GateError> {
        match self {
            Self::Local(gate) => in_time(gate.freeze(slot, incarnation)).await,
            Self::Redis(gate) => in_time(gate.freeze(slot, incarnation)).await,
        }
    }

    /// Replaces the terms of a round by newer ones; terms of a version that is not higher than
    /// the present one change nothing. Stock is never touched.
    pub async fn set_terms(&self, terms: Terms) -> Result<(), GateError> {
        match self {
            Self::Local(gate) => in_time(gate.set_terms(terms)).await,
            Self::Redis(gate) => in_time(gate.set_terms(terms)).await,
        }
    }

    /// Adds units, or takes back at most as many as are available, once a key. Answers what
    /// was applied, now or by an earlier call with this key.
    pub async fn restock(&self, slot: Slot, key: &str, change: &Restock) -> Result<i32, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.restock(slot, key, change)).await,
            Self::Redis(gate) => in_time(gate.restock(slot, key, change)).await,
        }
    }

    /// The counts of a slot.
    pub async fn figures(&self, slot: Slot) -> Result<Figures, GateError> {
        match self {
            Self::Local(gate) => in_time(gate.figures(slot)).await,
            Self::Redis(gate) => in_time(gate.figures(slot)).await,
        }
    }

    /// Forgets a round that is closed, decided, and agrees with the ledger. From then on it is
    /// not warm.
    pub async fn retire(&self, round: RoundId) -> Result<(), GateError> {
        match self {
            Self::Local(gate) => in_time(gate.retire(round)).await,
            Self::Redis(gate) => in_time(gate.retire(round)).await,
        }
    }

    /// Tries the real path of a grant without granting anything.
    pub async fn probe(&self) -> Result<(), GateError> {
        match self {
            Self::Local(gate) => in_time(gate.probe()).await,
            Self::Redis(gate) => in_time(gate.probe()).await,
        }
    }

    /// Ends the gate: everything that was answered is on disk when this returns.
    pub async fn close(&self) {
        match self {
            Self::Local(gate) => gate.close().await,
            Self::Redis(gate) => gate.close().await,
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, GateError>>) -> Result<T, GateError> {
    tokio::time::timeout(CALL, call).await.unwrap_or(Err(GateError::NotKnown))
}
