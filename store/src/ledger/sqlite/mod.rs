//! The ledger in one SQLite file: one connection writes, a few others read.
//!
//! Every write is one `BEGIN IMMEDIATE`, so what it has read cannot change before it commits.

mod aside;
mod decide;
mod fault;
mod recovering;
mod restocks;
mod sales;
mod tickets;

use std::path::Path;
use std::time::Duration;

use sale::id::InstallId;
use sale::time::Timestamp;
use sale::token::KeyId;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};

use super::LedgerError;
use super::change::{are_foreign, run_since};
use super::rows::readable;
pub(in crate::ledger) use fault::Fault;

/// The ledger in one SQLite file.
#[derive(Clone)]
pub struct SqliteLedger {
    install: InstallId,
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How long a call waits for a connection, or for a lock that another process holds.
const WAIT: Duration = Duration::from_secs(2);

/// Connections that read; a further call waits for one of them, at most [`WAIT`].
const READERS: u32 = 4;

/// Pages in the write-ahead log before they are copied into the file. Ticket ids are random, so
/// a batch touches about a thousand pages; at SQLite's own 1000 every batch would pay for a copy.
const CHECKPOINT_PAGES: &str = "4000";

/// Rows in one statement: the widest has 9 binds a row, and SQLite takes 32,766.
const ROWS_A_STATEMENT: usize = 2000;

impl SqliteLedger {
    /// Opens the file, makes it if there is none, and brings its tables up to date. A file of a
    /// newer version, or one whose tables were made by other steps, is refused.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Ok(Self::connect(path).await?)
    }

    async fn connect(path: &Path) -> Result<Self, Fault> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT)
            .pragma("cache_size", "-65536")
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("../migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|error| Fault::of_migration(path, error))?;
        let id: Vec<u8> = sqlx::query_scalar("SELECT id FROM install").fetch_one(&writer).await?;
        let install = InstallId(readable("install", id.as_slice().try_into())?);
        let reading = options.pragma("cache_size", "-8192").read_only(true);
        let readers = pool(READERS).connect_with(reading).await?;
        Ok(Self { install, writer, readers })
    }

    pub(in crate::ledger) fn install(&self) -> InstallId {
        self.install
    }

    pub(in crate::ledger) async fn contact(
        &self,
        now: Timestamp,
        gap: Duration,
    ) -> Result<Timestamp, Fault> {
        let mut tx = self.write().await?;
        let last: Option<(i64, i64)> =
            sqlx::query_as("SELECT since, seen_at FROM contact").fetch_optional(&mut *tx).await?;
        let since = match last {
            None => now,
            Some((since, seen_at)) => {
                let seen_at = readable("contact", Timestamp::from_millis(seen_at))?;
                let since = readable("contact", Timestamp::from_millis(since))?;
                run_since(since, seen_at, now, gap)
            }
        };
        sqlx::query("INSERT OR REPLACE INTO contact (one, since, seen_at) VALUES (1, ?, ?)")
            .bind(since.millis())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(since)
    }

    pub(in crate::ledger) async fn admit_keys(
        &self,
        keys: &[KeyId],
        anew: bool,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let known: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT id FROM token_keys").fetch_all(&mut *tx).await?;
        if !anew && are_foreign(keys, &known) {
            return Ok(false);
        }
        for key in keys {
            sqlx::query("INSERT OR IGNORE INTO token_keys (id) VALUES (?)")
                .bind(&key.0[..])
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    pub(in crate::ledger) async fn probe(&self) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE install SET probes = probes + 1").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::ledger) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite itself rolls back when the disk is full or fails; sqlx then takes the
        // connection to be in a transaction for ever. It is replaced.
        .before_acquire(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_those_of_the_golden_file_which_only_grows() {
        let golden = include_str!("../../../golden/migrations-sqlite.txt");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let steps: Vec<_> = sqlx::migrate!("../migrations/sqlite")
            .iter()
            .map(|step| format!("{} {}", step.version, hex(&step.checksum)))
            .collect();
        assert_eq!(golden.lines().collect::<Vec<_>>(), steps, "a released step never changes");
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    async fn fresh() -> (tempfile::TempDir, SqliteLedger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
        (folder, ledger)
    }

    /// A transaction that writes more than the file may hold.
    async fn fill(ledger: &SqliteLedger) -> Result<(), Fault> {
        let mut tx = ledger.write().await?;
        let grow = "INSERT INTO sales VALUES ('a', 'b', hex(zeroblob(9999999)))";
        sqlx::query(grow).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_full_disk_is_not_available_and_the_ledger_goes_on_after_it() {
        let (_folder, ledger) = fresh().await;
        sqlx::query("PRAGMA max_page_count = 100").execute(&ledger.writer).await.unwrap();
        let full = fill(&ledger).await.map_err(LedgerError::from);
        assert!(matches!(full, Err(LedgerError::Unavailable(_))), "{full:?}");
        ledger.probe().await.unwrap();
        assert_eq!(ledger.sales(9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_call_given_up_at_any_point_leaves_nothing_behind() {
        let (_folder, ledger) = fresh().await;
        for steps in 0..40 {
            let mut call = Box::pin(ledger.contact(at(1_000), Duration::ZERO));
            for _ in 0..steps {
                let step = tokio::time::timeout(Duration::from_micros(50), &mut call).await;
                if step.is_ok() {
                    break;
                }
            }
        }
        ledger.probe().await.unwrap();
        assert_eq!(ledger.contact(at(1_000), Duration::ZERO).await.unwrap(), at(1_000));
    }
}
