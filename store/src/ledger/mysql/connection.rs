//! Connections: how each is set up, the pools, and the rule by which one goes back into its pool.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions as _, Executor as _, MySql, MySqlConnection};

use super::address::Address;
use super::fault::Fault;
use super::server::Flavor;
use crate::ledger::{CALL, SNAPSHOT};

/// How long connecting may take at a start.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long a call waits for a connection of its pool, or for a new one.
const ACQUIRE: Duration = Duration::from_secs(1);

/// How long a connection of a pool stays unused. Less than the server waits.
const IDLE: Duration = Duration::from_secs(10);

/// What connections of a pool are for.
pub(super) struct Use {
    /// At the bound a further call waits for [`ACQUIRE`], then the ledger is not available.
    connections: u32,
    /// How long the server may work on one statement: on MariaDB any, on MySQL one that reads.
    /// It outlives the call that has been given up, and must not for long.
    statement: Duration,
}

/// Verdicts, and all that writes.
pub(super) const WRITING: Use = Use { connections: 4, statement: SNAPSHOT };

/// Reads of buyers and operators.
pub(super) const READING: Use = Use { connections: 8, statement: CALL };

/// What is the same for every connection, whatever the server's defaults are.
///
/// `READ COMMITTED`: a transaction first locks the rows of its rounds, and every read after that
/// must see what the holder before it committed. It locks rows and no gaps, so orders of
/// different buyers do not wait for each other.
///
/// `wait_timeout`: a machine that vanishes in a transaction says no goodbye. The server would keep
/// its locks for the eight hours of its default, and nobody could decide an order of that round.
/// No transaction waits so long for its client.
const SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
    autocommit = 1, foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = 2, lock_wait_timeout = 10, \
    wait_timeout = 20";

/// How to connect to the database.
pub(super) fn options(address: &Address, ca: Option<&Path>) -> MySqlConnectOptions {
    with_session(address.options(), ca)
}

/// How to connect to the server, whether the database is there or not.
pub(super) fn options_of_server(address: &Address, ca: Option<&Path>) -> MySqlConnectOptions {
    with_session(address.options_of_server(), ca)
}

fn with_session(options: MySqlConnectOptions, ca: Option<&Path>) -> MySqlConnectOptions {
    let options = options
        .charset("utf8mb4")
        .collation("utf8mb4_unicode_ci")
        .timezone(Some("+00:00".to_owned()))
        // `SESSION` says all of it.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .disable_statement_logging();
    match ca {
        Some(ca) => options.ssl_ca(ca),
        None => options,
    }
}

/// Sets a connection up.
pub(super) async fn prepare(
    connection: &mut MySqlConnection,
    flavor: Flavor,
    statement: Duration,
) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await?;
    let limit = match flavor {
        Flavor::MySql => format!("SET SESSION max_execution_time = {}", statement.as_millis()),
        Flavor::MariaDb => format!("SET SESSION max_statement_time = {}", statement.as_secs()),
    };
    connection.execute(&*limit).await?;
    Ok(())
}

/// A pool that connects when it is used first.
pub(super) fn pool(options: MySqlConnectOptions, flavor: Flavor, to: &Use) -> MySqlPool {
    let statement = to.statement;
    MySqlPoolOptions::new()
        .max_connections(to.connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .after_connect(move |connection, _| Box::pin(prepare(connection, flavor, statement)))
        .connect_lazy_with(options)
}

/// A connection of a pool, in a transaction or not. It goes back there from a call that came to
/// its end. One that was given up, or that failed, may have answers on their way that would be
/// taken for those of the next call: it is closed, and the server rolls back.
pub(super) struct Held(Option<PoolConnection<MySql>>);

const HELD: &str = "it is there until the call ends";

impl Held {
    /// A connection whose statements commit by themselves. Whatever keeps one from being made
    /// (a host that is blocked, a user that is locked, a server that is offline) speaks of no
    /// order.
    pub(super) async fn from(pool: &MySqlPool) -> Result<Self, Fault> {
        let entered = pool.acquire().await;
        Ok(Self(Some(entered.map_err(|error| Fault::Unavailable(error.to_string()))?)))
    }

    /// A connection in a transaction that `begin` begins.
    pub(super) async fn begin(pool: &MySqlPool, begin: &'static str) -> Result<Self, Fault> {
        let mut held = Self::from(pool).await?;
        held.execute(begin).await?;
        Ok(held)
    }

    /// Commits. If this is given up, the transaction stands or does not.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.execute("COMMIT").await?;
        self.done();
        Ok(())
    }

    /// Gives a connection back that is in no transaction, with every answer read.
    pub(super) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Held {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        self.0.as_ref().expect(HELD)
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        self.0.as_mut().expect(HELD)
    }
}
