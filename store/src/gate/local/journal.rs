//! The journal of the local gate: one SQLite file, one blob a flush, group commit.
//!
//! Calls append their effects in memory, in the order they happened, and wait until the
//! position they have seen is on disk. One task writes all that has gathered as one row. When
//! the disk refuses, the same blob is tried again; meanwhile nothing new is taken in.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sale::id::InstallId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Rounds;
use super::checkpoint::{Checkpoint, weight};
use super::effect::Effect;
use super::round::Replay;
use crate::gate::GateError;

/// The layout of the file. A file of a higher one is refused.
const FORMAT: i64 = 1;

/// Pause before a write that failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Writes that may fail after the end was asked for, before the rest is given up. What is
/// given up was never answered.
const LAST_TRIES: u32 = 5;

/// Appends effects and tells when they are on disk.
pub(super) struct Journal {
    shared: Arc<Shared>,
    flushed: watch::Receiver<u64>,
    writer: TaskTracker,
    stop: CancellationToken,
}

struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
    failing: AtomicBool,
}

/// What is not written yet. Calls wait for it, so that it grows by what is in flight; one that
/// was cut off leaves its effects here, until the first failed write stops new ones.
struct Pending {
    lines: Vec<u8>,
    tail: u64,
}

impl Shared {
    fn take(&self) -> (Vec<u8>, u64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut pending.lines), pending.tail)
    }

    fn tail(&self) -> u64 {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).tail
    }
}

/// Effects written out, to be appended as one piece.
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// The most bytes of one piece: a row of SQLite takes 1,000,000,000, and other calls' pieces
    /// may share it.
    const MOST: usize = 500_000_000;

    /// Writes effects out.
    pub(super) fn of(effects: &[Effect]) -> Self {
        let mut lines = Vec::with_capacity(256);
        for effect in effects {
            serde_json::to_writer(&mut lines, effect)
                .expect("effects have text keys and plain values only, and memory does not fail");
            lines.push(b'\n');
        }
        Self(lines)
    }

    /// Whether the journal can take them.
    pub(super) fn fit(&self) -> bool {
        self.0.len() <= Self::MOST
    }
}

impl Journal {
    /// Opens the file, rebuilds the rounds into `rounds`, and starts to write.
    pub(super) async fn open(
        path: &Path,
        install: InstallId,
        rounds: Arc<Rounds>,
        checkpoint_after: u64,
    ) -> Result<Self, GateError> {
        let broken = |error| GateError::Unavailable(format!("{}: {error}", path.display()));
        let (mut file, tail, checkpoint) =
            read(path, install, &rounds, checkpoint_after).await.map_err(broken)?;
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending { lines: Vec::new(), tail }),
            wake: Notify::new(),
            failing: AtomicBool::new(false),
        });
        let (written, flushed) = watch::channel(tail);
        let stop = CancellationToken::new();
        let writer = TaskTracker::new();
        writer.spawn({
            let (shared, stop) = (shared.clone(), stop.clone());
            async move {
                Writer { shared, stop, written, checkpoint }.run(&mut file).await;
                if let Err(error) = file.close().await {
                    tracing::warn!(%error, "the gate's file did not close cleanly");
                }
            }
        });
        writer.close();
        Ok(Self { shared, flushed, writer, stop })
    }

    /// Whether new effects are taken in. They are not while the disk refuses.
    pub(super) fn accepts(&self) -> Result<(), GateError> {
        if self.stop.is_cancelled() {
            Err(GateError::Unavailable("it is shutting down".into()))
        } else if self.shared.failing.load(Ordering::Relaxed) {
            Err(GateError::Unavailable("its journal cannot be written".into()))
        } else {
            Ok(())
        }
    }

    /// Appends effects as one piece, and answers the position after them. To be called under
    /// the lock of what the effects changed, so that their order is the order of the changes.
    pub(super) fn append(&self, effect: &Effect) -> u64 {
        self.append_lines(Lines::of(std::slice::from_ref(effect)))
    }

    /// The same with effects that were written out before the lock was taken.
    pub(super) fn append_lines(&self, Lines(lines): Lines) -> u64 {
        let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.lines.is_empty() {
            pending.lines = lines;
        } else {
            pending.lines.extend_from_slice(&lines);
        }
        pending.tail += 1;
        let tail = pending.tail;
        drop(pending);
        self.shared.wake.notify_one();
        tail
    }

    /// Waits until everything up to `position` is on disk.
    pub(super) async fn flushed(&self, position: u64) -> Result<(), GateError> {
        if *self.flushed.borrow() >= position {
            return Ok(());
        }
        let mut flushed = self.flushed.clone();
        match flushed.wait_for(|flushed| *flushed >= position).await {
            Ok(_) => Ok(()),
            // The writer has ended with this effect unwritten.
            Err(_) => Err(GateError::NotKnown),
        }
    }

    /// Writes what is there and ends.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.writer.wait().await;
    }
}

#[cfg(test)]
impl Journal {
    /// One without a file: nobody writes down what is appended after `tail`, and what is said of
    /// it to the sender is believed.
    pub(super) fn unwritten(tail: u64) -> (Self, watch::Sender<u64>) {
        let shared = Shared {
            pending: Mutex::new(Pending { lines: Vec::new(), tail }),
            wake: Notify::new(),
            failing: AtomicBool::new(false),
        };
        let (written, flushed) = watch::channel(0);
        let (writer, stop) = (TaskTracker::new(), CancellationToken::new());
        (Self { shared: Arc::new(shared), flushed, writer, stop }, written)
    }

    /// What was appended and nobody has written down.
    pub(super) fn unwritten_lines(&self) -> Vec<u8> {
        self.shared.take().0
    }
}

struct Writer {
    shared: Arc<Shared>,
    stop: CancellationToken,
    written: watch::Sender<u64>,
    checkpoint: Checkpoint,
}

impl Writer {
    async fn run(mut self, file: &mut SqliteConnection) {
        loop {
            let (lines, tail) = self.shared.take();
            if !lines.is_empty() {
                if !self.write(file, &lines, tail).await {
                    return;
                }
                self.checkpoint.written(&lines);
            }
            let flushed = *self.written.borrow();
            let tail = || self.shared.tail();
            if let Err(error) = self.checkpoint.step(file, flushed, tail).await {
                tracing::warn!(%error, "a checkpoint of the gate failed and starts anew");
                self.checkpoint.give_up();
            }
            if self.shared.tail() > flushed {
                continue;
            }
            // A checkpoint that is left half done does not count, and the journal is whole.
            if self.stop.is_cancelled() {
                return;
            }
            if self.checkpoint.is_under_way() {
                continue;
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Writes one blob, however long it takes. Answers false when it is given up at the end.
    async fn write(&self, file: &mut SqliteConnection, lines: &[u8], tail: u64) -> bool {
        let mut last_tries = 0;
        loop {
            let position = i64::try_from(tail).expect("positions stay far below 2^63");
            let insert = sqlx::query("INSERT INTO journal (position, effects) VALUES (?, ?)");
            match insert.bind(position).bind(lines).execute(&mut *file).await {
                Ok(_) => break,
                Err(error) => {
                    if !self.shared.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "the gate's journal cannot be written: no grants");
                    }
                    if self.stop.is_cancelled() {
                        last_tries += 1;
                        if last_tries >= LAST_TRIES {
                            return false;
                        }
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        if self.shared.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the gate's journal can be written again");
        }
        self.written.send_replace(tail);
        true
    }
}

/// Opens the file and replays it: the last whole checkpoint, then all blobs after it.
async fn read(
    path: &Path,
    install: InstallId,
    rounds: &Arc<Rounds>,
    checkpoint_after: u64,
) -> Result<(SqliteConnection, u64, Checkpoint), Unreadable> {
    let mut file = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    let (generation, position) = prepare(&mut file, install).await?;
    let mut replay = Replay::default();
    let (checkpoint_bytes, _) =
        read_rows(&mut file, CHECKPOINT, generation, -1, &mut replay).await?;
    let (journal_bytes, tail) =
        read_rows(&mut file, JOURNAL, generation, position, &mut replay).await?;
    let mut live = rounds.0.write().unwrap_or_else(PoisonError::into_inner);
    for (slot, round) in replay.finish() {
        live.insert(slot, Arc::new(Mutex::new(round)));
    }
    drop(live);
    let tail = u64::try_from(tail).unwrap_or_default();
    let sizes = [checkpoint_bytes, journal_bytes];
    let checkpoint = Checkpoint::new(rounds.clone(), generation, checkpoint_after, sizes);
    Ok((file, tail, checkpoint))
}

const CHECKPOINT: &str = "SELECT part, effects FROM checkpoint
    WHERE generation = ?1 AND part > ?2 ORDER BY part LIMIT 1";

/// The journal knows no generations: the first parameter only has to be there.
const JOURNAL: &str = "SELECT position, effects FROM journal
    WHERE ?1 >= 0 AND position > ?2 ORDER BY position LIMIT 1";

/// Applies one table, row by row, so that the whole of it never stands in memory. Answers its
/// bytes and the key of its last row.
async fn read_rows(
    file: &mut SqliteConnection,
    query: &str,
    generation: i64,
    mut after: i64,
    replay: &mut Replay,
) -> Result<(u64, i64), Unreadable> {
    let mut bytes = 0;
    while let Some((at, effects)) = sqlx::query_as::<_, (i64, Vec<u8>)>(query)
        .bind(generation)
        .bind(after)
        .fetch_optional(&mut *file)
        .await?
    {
        bytes += weight(&effects);
        for line in effects.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            replay.apply(serde_json::from_slice(line)?);
        }
        after = at;
    }
    Ok((bytes, after))
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    #[error("an effect in it cannot be read: {0}")]
    Effect(#[from] serde_json::Error),
    #[error("its format {0} is newer than this program knows: use a newer dibs")]
    Newer(i64),
    #[error("it belongs to another ledger: put back the ledger file that it came with")]
    Foreign,
}

/// Makes the tables in a new file, checks an old one, and answers the last whole checkpoint.
async fn prepare(
    file: &mut SqliteConnection,
    install: InstallId,
) -> Result<(i64, i64), Unreadable> {
    let (format,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(&mut *file).await?;
    if format > FORMAT {
        return Err(Unreadable::Newer(format));
    }
    if format == 0 {
        let mut tx = file.begin().await?;
        for statement in [
            "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), install BLOB NOT NULL,
             generation INTEGER NOT NULL, position INTEGER NOT NULL) STRICT",
            "CREATE TABLE journal (position INTEGER PRIMARY KEY, effects BLOB NOT NULL) STRICT",
            "CREATE TABLE checkpoint (generation INTEGER NOT NULL, part INTEGER NOT NULL,
             effects BLOB NOT NULL, PRIMARY KEY (generation, part)) STRICT",
            "PRAGMA user_version = 1",
        ] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        sqlx::query("INSERT INTO head VALUES (1, ?, 0, 0)")
            .bind(install.0.as_slice())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    let (owner, generation, position): (Vec<u8>, i64, i64) =
        sqlx::query_as("SELECT install, generation, position FROM head")
            .fetch_one(&mut *file)
            .await?;
    if owner != install.0 {
        return Err(Unreadable::Foreign);
    }
    Ok((generation, position))
}
