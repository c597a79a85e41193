//! The ledger in MySQL or MariaDB: a pool of connections writes, another one reads.
//!
//! Whatever writes first locks the rows that it decides by, in the order of their ids, so what
//! it has read cannot change before it commits. The SQL is what both servers speak.

mod address;
mod aside;
mod connection;
mod decide;
mod fault;
mod recovering;
mod restocks;
mod sales;
mod schema;
mod server;
mod tickets;

use std::path::Path;
use std::time::Duration;

use sale::id::InstallId;
use sale::time::Timestamp;
use sale::token::KeyId;
use sqlx::Connection as _;
use sqlx::mysql::MySqlPool;
use tokio::time::{sleep, timeout};

use super::LedgerError;
use super::change::{are_foreign, run_since};
use super::rows::readable;
use crate::open::OpenError;
pub use address::Address;
use connection::{CONNECT, Held, READING, WRITING};
pub(in crate::ledger) use fault::Fault;
pub use schema::migrate;

/// The ledger in MySQL or MariaDB. Clones share its connections.
#[derive(Clone)]
pub struct MySqlLedger {
    install: InstallId,
    writers: MySqlPool,
    readers: MySqlPool,
}

/// Rows in one statement: MariaDB looks for the values of a list one by one in the index up to
/// 1,000 of them, and a statement takes 65,535 binds.
const ROWS_A_STATEMENT: usize = 256;

/// Whether a statement on so many rows is kept prepared on its connection: its text is the same
/// every time. To have one prepared costs the server as much as a third of its work.
fn is_kept(rows: usize) -> bool {
    rows == ROWS_A_STATEMENT || rows == 1
}

/// Times that a transaction is begun which others are in the way of. After the last it is not
/// available, and the caller's own retry takes over.
const TRIES: u32 = 5;

/// The longest pause before a transaction is begun again, for each time that it was.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

impl MySqlLedger {
    /// Connects, and refuses a database whose tables are not those of this version.
    pub async fn open(address: &Address, ca: Option<&Path>) -> Result<Self, OpenError> {
        let options = connection::options(address, ca);
        let (mut connection, flavor) = schema::connect(address, &options).await?;
        let checking = async {
            schema::check(&mut connection, address).await?;
            let id: Vec<u8> = sqlx::query_scalar("SELECT id FROM install")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| fault::of_opening(address, &error))?;
            let refused = |error: LedgerError| OpenError::Refused(format!("{address}: {error}"));
            let install = InstallId(readable("install", id.try_into()).map_err(refused)?);
            // Whether the goodbye arrives changes nothing.
            let _ = connection.close().await;
            Ok(install)
        };
        let install = timeout(CONNECT, checking).await.unwrap_or_else(|_| {
            Err(OpenError::Unreachable(format!("{address} stopped answering")))
        })?;
        let writers = connection::pool(options.clone(), flavor, &WRITING);
        let readers = connection::pool(options, flavor, &READING);
        Ok(Self { install, writers, readers })
    }

    pub(in crate::ledger) fn install(&self) -> InstallId {
        self.install
    }

    pub(in crate::ledger) async fn contact(
        &self,
        now: Timestamp,
        gap: Duration,
    ) -> Result<Timestamp, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let last: Option<(i64, i64)> =
                sqlx::query_as("SELECT since, seen_at FROM contact FOR UPDATE")
                    .fetch_optional(&mut *tx)
                    .await?;
            let since = match last {
                None => now,
                Some((since, seen_at)) => {
                    let seen_at = readable("contact", Timestamp::from_millis(seen_at))?;
                    let since = readable("contact", Timestamp::from_millis(since))?;
                    run_since(since, seen_at, now, gap)
                }
            };
            sqlx::query(
                "INSERT INTO contact (one, since, seen_at) VALUES (1, ?, ?) \
                 ON DUPLICATE KEY UPDATE since = VALUES(since), seen_at = VALUES(seen_at)",
            )
            .bind(since.millis())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(since)
        })
        .await
    }

    pub(in crate::ledger) async fn admit_keys(
        &self,
        keys: &[KeyId],
        anew: bool,
    ) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            // One process after the other: of two at their first start, the second knows.
            sqlx::query("SELECT id FROM install FOR UPDATE").fetch_one(&mut *tx).await?;
            let known: Vec<Vec<u8>> =
                sqlx::query_scalar("SELECT id FROM token_keys").fetch_all(&mut *tx).await?;
            if !anew && are_foreign(keys, &known) {
                return Ok(false);
            }
            for key in keys {
                sqlx::query("INSERT IGNORE INTO token_keys (id) VALUES (?)")
                    .bind(&key.0[..])
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    pub(in crate::ledger) async fn probe(&self) -> Result<(), Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            sqlx::query("UPDATE install SET probes = probes + 1").execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn close(&self) {
        let closing = async {
            self.readers.close().await;
            self.writers.close().await;
        };
        if timeout(GOODBYE, closing).await.is_err() {
            tracing::warn!("the ledger's connections did not end in time");
        }
    }

    async fn write(&self) -> Result<Held, Fault> {
        Held::begin(&self.writers, "START TRANSACTION").await
    }

    async fn reading(&self) -> Result<Held, Fault> {
        Held::from(&self.readers).await
    }
}

/// Runs a transaction until no other is in its way, at most [`TRIES`] times.
async fn tried<T, F>(transaction: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    for tries in 1..TRIES {
        match transaction().await {
            Err(Fault::Contended(why)) => {
                tracing::debug!(tries, why, "a transaction of the ledger is tried again");
                sleep((PAUSE * tries).mul_f64(rand::random())).await;
            }
            ended => return ended,
        }
    }
    transaction().await
}
