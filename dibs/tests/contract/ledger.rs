//! The files below a running server, from outside: locked, or given faults of their own.

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::harness::Server;

/// Holds the write lock of one of the server's files until it is released.
pub(crate) struct Lock(SqliteConnection);

impl Lock {
    /// No verdict is reached, and none is lost, while it is held.
    pub(crate) async fn ledger(server: &Server) -> Self {
        Self::of(server, "ledger.db").await
    }

    /// Nothing is granted while it is held.
    pub(crate) async fn gate(server: &Server) -> Self {
        Self::of(server, "gate.db").await
    }

    async fn of(server: &Server, file: &str) -> Self {
        let mut connection = connect(server, file).await;
        connection.execute("BEGIN EXCLUSIVE").await.unwrap();
        Self(connection)
    }

    pub(crate) async fn release(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Runs statements on the ledger's file.
pub(crate) async fn on_ledger(server: &Server, statements: &str) {
    let mut connection = connect(server, "ledger.db").await;
    connection.execute(statements).await.unwrap();
    connection.close().await.unwrap();
}

/// From now on the ledger cannot confirm what this buyer claims; everything else it can.
pub(crate) async fn poison(server: &Server, buyer: &str) {
    let trigger = format!(
        "CREATE TRIGGER poison BEFORE INSERT ON orders \
         WHEN NEW.buyer = '{buyer}' AND NEW.status = 'confirmed' \
         BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
    );
    on_ledger(server, &trigger).await;
}

/// Takes the fault away.
pub(crate) async fn heal(server: &Server) {
    on_ledger(server, "DROP TRIGGER poison").await;
}

async fn connect(server: &Server, file: &str) -> SqliteConnection {
    let path = server.place().data().join(file);
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(crate::harness::PATIENCE);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// A number that the ledger's file holds.
pub(crate) async fn number(server: &Server, query: &str) -> i64 {
    let mut connection = connect(server, "ledger.db").await;
    let number = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    number
}
