//! The contract of the ledger on SQLite, and what only a file has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/ledger/mod.rs"]
mod contract;

use std::path::PathBuf;

use contract::{at, audit, create, crowd, deadline, state};
use sale::status::Status;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use store::ledger::sqlite::SqliteLedger;
use store::ledger::{Ledger, LedgerError, Reached, Sale};

struct Fresh {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Fresh {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(&folder.path().join("ledger.db")).await.unwrap();
        Self { folder, ledger }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// A connection of another program.
    async fn sql(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// What the rows say, beside what the ledger says of them.
    async fn end(self) {
        let mut sql = self.sql().await;
        for (what, query) in [
            (
                "a confirmed order holds its units, a rejected one none",
                "SELECT count(*) FROM orders o LEFT JOIN \
                 (SELECT ticket, buyer, count(*) AS held FROM holdings GROUP BY ticket, buyer) h \
                 ON h.ticket = o.ticket AND h.buyer = o.buyer \
                 WHERE coalesce(h.held, 0) <> iif(o.status = 'confirmed', o.units, 0)",
            ),
            (
                "what is held left the stock",
                "SELECT count(*) FROM rounds r WHERE r.stock - r.available <> \
                 (SELECT count(*) FROM holdings h WHERE h.round = r.round)",
            ),
            (
                "a unit's number is within the limit",
                "SELECT count(*) FROM holdings h JOIN rounds r ON r.round = h.round \
                 WHERE h.n > r.per_buyer OR hex(substr(h.ticket, 1, 4)) <> printf('%08X', r.round)",
            ),
            (
                "no decided order is set aside",
                "SELECT count(*) FROM aside JOIN orders ON orders.ticket = aside.ticket",
            ),
        ] {
            let faults: i64 = sqlx::query_scalar(query).fetch_one(&mut sql).await.unwrap();
            assert_eq!(faults, 0, "{what}");
        }
        sql.close().await.unwrap();
        self.ledger.close().await;
    }
}

async fn open(file: &std::path::Path) -> Result<Ledger, LedgerError> {
    Ok(Ledger::Sqlite(SqliteLedger::open(file).await?))
}

macro_rules! on_a_file {
    ($($part:ident: $($shows:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $shows() {
            let fresh = Fresh::open().await;
            contract::$part::$shows(&fresh.ledger).await;
            fresh.end().await;
        }
    )+)+};
}

every_case!(on_a_file);

#[tokio::test]
async fn one_poisoned_order_of_five_hundred_fails_alone() {
    let fresh = Fresh::open().await;
    let mut sql = fresh.sql().await;
    sql.execute(
        "CREATE TRIGGER poison BEFORE INSERT ON orders WHEN NEW.buyer = 'buyer-321' \
         BEGIN SELECT RAISE(ABORT, 'poison'); END",
    )
    .await
    .unwrap();
    let heal = async || {
        sql.execute("DROP TRIGGER poison").await.unwrap();
    };
    contract::decide::one_poisoned_order_of_five_hundred_fails_alone(&fresh.ledger, heal).await;
    fresh.end().await;
}

#[tokio::test]
async fn a_file_opened_again_holds_everything() {
    let fresh = Fresh::open().await;
    let again = async || open(&fresh.file()).await.unwrap();
    let ledger = contract::holds_everything_when_opened_again(&fresh.ledger, again).await;
    Fresh { folder: fresh.folder, ledger }.end().await;
}

#[tokio::test]
async fn every_file_has_an_install_of_its_own() {
    let (one, other) = (Fresh::open().await, Fresh::open().await);
    assert_ne!(one.ledger.install(), other.ledger.install());
}

#[tokio::test]
async fn a_file_of_a_newer_version_or_of_other_steps_is_refused_with_a_sentence() {
    for (tamper, says) in [
        (
            "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '', TRUE, x'00', 0)",
            "newer version of Dibs (step 9999",
        ),
        ("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2", "step 2"),
        ("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 3", "half done"),
    ] {
        let fresh = Fresh::open().await;
        fresh.ledger.close().await;
        fresh.sql().await.execute(tamper).await.unwrap();
        let Err(LedgerError::Refused(why)) = open(&fresh.file()).await else { panic!("{tamper}") };
        assert!(why.contains(says) && why.contains("ledger.db"), "{why}");
    }
}

#[tokio::test]
async fn rounds_of_the_version_before_count_as_loaded() {
    let fresh = Fresh::open().await;
    let sale = create(&fresh.ledger, 10, 1).await;
    fresh.ledger.close().await;
    let mut sql = fresh.sql().await;
    for added in ["sequence", "loaded", "fences", "leased_by", "leased_until"] {
        sql.execute(&*format!("ALTER TABLE rounds DROP COLUMN {added}")).await.unwrap();
    }
    sql.execute("DELETE FROM _sqlx_migrations WHERE version = 6").await.unwrap();
    sql.close().await.unwrap();
    let ledger = open(&fresh.file()).await.unwrap();
    let expected = Sale { loaded: true, ..sale.clone() };
    assert_eq!(ledger.sale(&sale.id).await.unwrap(), Some(expected));
    Fresh { folder: fresh.folder, ledger }.end().await;
}

#[tokio::test]
async fn what_is_no_ledger_is_refused_and_a_folder_that_is_gone_is_not_available() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    std::fs::write(&file, "this is no database, whatever its name says".repeat(99)).unwrap();
    let opened = open(&file).await.map(|_| ());
    assert!(matches!(opened, Err(LedgerError::Refused(_))), "{opened:?}");
    let opened = open(&folder.path().join("gone/ledger.db")).await.map(|_| ());
    assert!(matches!(opened, Err(LedgerError::Unavailable(_))), "{opened:?}");
}

#[tokio::test]
async fn while_another_program_holds_the_file_nothing_is_decided_and_reads_go_on() {
    let fresh = Fresh::open().await;
    let sale = create(&fresh.ledger, 10, 1).await;
    let orders = crowd(&sale, 3);
    let mut sql = fresh.sql().await;
    sql.execute("BEGIN IMMEDIATE").await.unwrap();
    let held = fresh.ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await;
    assert!(matches!(held, Err(LedgerError::Unavailable(_))), "{held:?}");
    assert_eq!(fresh.ledger.read(&[orders[0].ticket]).await.unwrap(), [None]);
    sql.execute("ROLLBACK").await.unwrap();
    let decided =
        fresh.ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert!(decided.iter().all(|decision| state(decision).status == Status::Confirmed));
    audit(&fresh.ledger, &sale).await;
    fresh.end().await;
}

#[tokio::test]
async fn a_state_that_may_not_be_cannot_be_written() {
    let fresh = Fresh::open().await;
    create(&fresh.ledger, 10, 1).await;
    let mut sql = fresh.sql().await;
    for illegal in [
        "UPDATE rounds SET available = -1",
        "UPDATE rounds SET available = stock + 1",
        "UPDATE rounds SET closes_at = opens_at",
        "UPDATE rounds SET salt = x'00'",
        "UPDATE rounds SET sale = 'nobody'",
        "UPDATE rounds SET sequence = -1",
        "UPDATE rounds SET loaded = 2",
        "UPDATE rounds SET leased_by = x'00'",
        "UPDATE rounds SET leased_until = -1",
        "INSERT INTO orders VALUES (zeroblob(15), 'a', 1, 'confirmed', NULL, 2, 1, 1)",
        "INSERT INTO orders VALUES (zeroblob(16), 'a', 1, 'confirmed', 'limit', 2, 1, 1)",
        "INSERT INTO orders VALUES (zeroblob(16), 'a', 1, 'rejected', NULL, 2, 1, 1)",
        "INSERT INTO orders VALUES (zeroblob(16), 'a', 0, 'confirmed', NULL, 2, 1, 1)",
        "INSERT INTO orders VALUES (zeroblob(16), '', 1, 'confirmed', NULL, 2, 1, 1)",
        "INSERT INTO holdings VALUES (1, 'a', 1, zeroblob(16))",
        "INSERT INTO restocks VALUES (1, 'k', 5, 4)",
        "INSERT INTO restocks VALUES (1, 'k', -5, -6)",
    ] {
        assert!(sql.execute(illegal).await.is_err(), "{illegal}");
    }
}
