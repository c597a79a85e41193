//! Checkpoints: the state of all rounds written down piece by piece between two flushes, so
//! that the journal before it can go and no call waits for it.
//!
//! A piece may show effects that are later than the checkpoint's position. Reading them again
//! over it ends in the same state, and the checkpoint counts only once all that it shows is on
//! disk in the journal too.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};

use super::effect::Effect;
use super::round::PARTS;
use super::{Rounds, locked};
use crate::gate::{GateError, Slot};

/// Rows of old journal removed in one step.
const TRIM: i64 = 32;

/// Bytes that a row counts for beside its own. Reading a row at a start costs about as much as
/// parsing these, so that the rows of an idle server end in a checkpoint too.
const ROW: u64 = 4096;

/// What one blob adds to the cost of a start.
pub(super) fn weight(effects: &[u8]) -> u64 {
    effects.len() as u64 + ROW
}

/// Takes checkpoints when the journal has grown by more than the last one was large.
pub(super) struct Checkpoint {
    rounds: Arc<Rounds>,
    after: u64,
    generation: i64,
    journal_bytes: u64,
    checkpoint_bytes: u64,
    stage: Stage,
}

enum Stage {
    Idle,
    /// Pieces `next` and later are still to be written; the journal is needed from `position`.
    Writing {
        position: u64,
        pieces: Vec<Piece>,
        next: usize,
        bytes: u64,
    },
    /// All pieces stand; the journal must be on disk up to `seen` before they count.
    Standing {
        position: u64,
        seen: u64,
        bytes: u64,
    },
    /// The checkpoint counts; what came before it is removed.
    Trimming {
        position: u64,
    },
}

#[derive(Clone, Copy)]
enum Piece {
    Head(Slot),
    Tickets(Slot, usize),
    Outbox(Slot),
}

impl Checkpoint {
    /// `sizes` are the bytes of the last checkpoint and of the journal after it.
    pub(super) fn new(rounds: Arc<Rounds>, generation: i64, after: u64, sizes: [u64; 2]) -> Self {
        let [checkpoint_bytes, journal_bytes] = sizes;
        Self { rounds, after, generation, journal_bytes, checkpoint_bytes, stage: Stage::Idle }
    }

    /// The journal has grown by this blob.
    pub(super) fn written(&mut self, effects: &[u8]) {
        self.journal_bytes += weight(effects);
    }

    /// Whether there is a next step at once.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// Forgets a checkpoint that could not be written.
    pub(super) fn give_up(&mut self) {
        self.stage = Stage::Idle;
        self.journal_bytes = 0;
    }

    /// One small step, after a flush: the journal is on disk up to `flushed`; `tail` is the
    /// position of the newest effect in memory.
    pub(super) async fn step(
        &mut self,
        file: &mut SqliteConnection,
        flushed: u64,
        tail: impl Fn() -> u64,
    ) -> Result<(), NotTaken> {
        match &mut self.stage {
            Stage::Idle => {
                if self.journal_bytes > self.after.max(self.checkpoint_bytes) {
                    self.begin(file, flushed).await?;
                }
            }
            Stage::Writing { position, pieces, next, bytes } => {
                let Some(piece) = pieces.get(*next) else {
                    let (position, bytes) = (*position, *bytes);
                    self.stage = Stage::Standing { position, seen: tail(), bytes };
                    return Ok(());
                };
                if let Some(effect) = piece.effect(&self.rounds)? {
                    let line = serde_json::to_vec(&effect)
                        .expect("effects have text keys and plain values only");
                    sqlx::query("INSERT INTO checkpoint VALUES (?, ?, ?)")
                        .bind(self.generation + 1)
                        .bind(i64::try_from(*next).expect("pieces are few"))
                        .bind(&line)
                        .execute(file)
                        .await?;
                    *bytes += weight(&line);
                }
                *next += 1;
            }
            Stage::Standing { position, seen, bytes } => {
                let (position, bytes) = (*position, *bytes);
                if flushed >= *seen {
                    self.make_it_count(file, position).await?;
                    self.generation += 1;
                    self.checkpoint_bytes = bytes;
                    self.stage = Stage::Trimming { position };
                }
            }
            Stage::Trimming { position } => {
                let removed = sqlx::query(
                    "DELETE FROM journal WHERE position IN
                     (SELECT position FROM journal WHERE position <= ? LIMIT ?)",
                )
                .bind(i64::try_from(*position).expect("positions stay far below 2^63"))
                .bind(TRIM)
                .execute(file)
                .await?;
                if removed.rows_affected() == 0 {
                    self.stage = Stage::Idle;
                }
            }
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        file: &mut SqliteConnection,
        flushed: u64,
    ) -> Result<(), sqlx::Error> {
        // What an earlier try left behind.
        sqlx::query("DELETE FROM checkpoint WHERE generation <> ?")
            .bind(self.generation)
            .execute(file)
            .await?;
        let pieces = |slot| {
            std::iter::once(Piece::Head(slot))
                .chain((0..PARTS).map(move |part| Piece::Tickets(slot, part)))
                .chain(std::iter::once(Piece::Outbox(slot)))
        };
        let pieces = self.rounds.slots().into_iter().flat_map(pieces).collect();
        self.journal_bytes = 0;
        self.stage = Stage::Writing { position: flushed, pieces, next: 0, bytes: 0 };
        Ok(())
    }

    async fn make_it_count(
        &self,
        file: &mut SqliteConnection,
        position: u64,
    ) -> Result<(), sqlx::Error> {
        let mut tx = file.begin().await?;
        sqlx::query("UPDATE head SET generation = ?, position = ?")
            .bind(self.generation + 1)
            .bind(i64::try_from(position).expect("positions stay far below 2^63"))
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM checkpoint WHERE generation = ?")
            .bind(self.generation)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

impl Piece {
    /// The piece as an effect; `None` if it is empty or its round is gone. A round that is
    /// retired is gone although it may still be listed: the journal that says so may be older
    /// than the checkpoint.
    fn effect(self, rounds: &Rounds) -> Result<Option<Effect>, GateError> {
        let (Self::Head(slot) | Self::Tickets(slot, _) | Self::Outbox(slot)) = self;
        let Ok(round) = rounds.find(slot) else { return Ok(None) };
        let round = locked(&round)?;
        if round.is_live().is_err() {
            return Ok(None);
        }
        Ok(match self {
            Self::Head(_) => Some(round.head()),
            Self::Tickets(_, part) => round.tickets(part),
            Self::Outbox(_) => round.undecided(),
        })
    }
}

/// Why a checkpoint could not be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    #[error("{0}")]
    InDoubt(#[from] GateError),
}
