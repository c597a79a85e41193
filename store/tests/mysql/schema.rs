use std::collections::HashSet;

use sqlx::Executor as _;
use store::ledger::mysql::{Address, MySqlLedger, migrate};
use store::open::OpenError;
use tokio::task::JoinSet;

use crate::contract::{audit, create};
use crate::database::{Database, Fresh, Server};

pub(crate) async fn ten_migrations_at_once_make_the_tables_once(server: Server) {
    let database = Database::named(server);
    let mut nodes = JoinSet::new();
    for _ in 0..10 {
        let address = database.address();
        nodes.spawn(async move {
            migrate(&address, None).await.unwrap();
            MySqlLedger::open(&address, None).await.map(|_| ()).unwrap();
        });
    }
    nodes.join_all().await;
    let mut sql = database.sql().await;
    let steps: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    let installs: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM install").fetch_one(&mut sql).await.unwrap();
    assert_eq!((steps, installs), (7, 1));
    let ids = HashSet::from([database.install().await, database.install().await]);
    assert_eq!(ids.len(), 1);
}

/// A step whose process died has made some of its tables, and is written down as not done.
pub(crate) async fn a_migration_that_was_cut_off_is_ended_by_the_next(server: Server) {
    let database = Database::migrated(server).await;
    let install = database.install().await;
    let mut sql = database.sql().await;
    for (step, lost) in [(3, "holdings"), (1, "contact"), (5, "aside")] {
        sql.execute(&*format!("DROP TABLE {lost}")).await.unwrap();
        sql.execute(&*format!(
            "UPDATE _sqlx_migrations SET success = FALSE WHERE version = {step}"
        ))
        .await
        .unwrap();
        let why = refused(&database).await;
        assert!(why.contains(&format!("step {step}")) && why.contains("`dibs migrate`"), "{why}");
        migrate(&database.address(), None).await.unwrap();
    }
    // Also where the later steps were never begun.
    sql.execute("DROP TABLE aside, restocks").await.unwrap();
    sql.execute("DELETE FROM _sqlx_migrations WHERE version > 4").await.unwrap();
    sql.execute("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 4").await.unwrap();
    migrate(&database.address(), None).await.unwrap();
    let ledger = database.open().await.unwrap();
    assert_eq!(ledger.install(), install, "what stood stays");
    let sale = create(&ledger, 1, 1).await;
    audit(&ledger, &sale).await;
    Fresh { database, ledger }.end().await;
}

/// What step 6 adds.
const ADDED: [&str; 5] = ["sequence", "loaded", "fences", "leased_by", "leased_until"];

/// A process of the version before makes a sale.
const AS_BEFORE: &str = "INSERT INTO sales VALUES ('$', 'Lamp', '{}'); \
    INSERT INTO rounds (sale, salt, stock, available, per_buyer, opens_at, closes_at, answer_within) \
    VALUES ('$', REPEAT('x', 32), 10, 10, 1, 0, 1, 300000)";

pub(crate) async fn rounds_of_the_version_before_count_as_loaded(server: Server) {
    let database = Database::migrated(server).await;
    let mut sql = database.sql().await;
    let dropped = ADDED.map(|column| format!("DROP COLUMN {column}")).join(", ");
    sql.execute(&*format!("ALTER TABLE rounds {dropped}")).await.unwrap();
    sql.execute("DELETE FROM _sqlx_migrations WHERE version = 6").await.unwrap();
    sql.execute(&*AS_BEFORE.replace('$', "there")).await.unwrap();
    migrate(&database.address(), None).await.unwrap();
    let ledger = database.open().await.unwrap();
    // It goes on running while the tables are those of this version.
    sql.execute(&*AS_BEFORE.replace('$', "later")).await.unwrap();
    create(&ledger, 1, 1).await;
    let sales = ledger.sales(9).await.unwrap();
    let loaded: Vec<_> = sales.iter().map(|sale| (sale.loaded, sale.lease)).collect();
    assert_eq!(loaded, [(false, None), (true, None), (true, None)], "the newest first");
    for sale in &sales[1..] {
        assert!(ledger.recover(sale.round, 1).await.unwrap());
    }
    ledger.close().await;
}

async fn refused(database: &Database) -> String {
    let Err(OpenError::Refused(why)) = database.open().await.map(|_| ()) else { panic!() };
    assert!(why.contains(&database.name) && !why.contains('\n'), "{why}");
    why
}

pub(crate) async fn tables_that_are_not_those_of_this_version_are_refused_with_what_to_do(
    server: Server,
) {
    let database = Database::migrated(server).await;
    let mut sql = database.sql().await;
    for (tamper, mend, says) in [
        (
            "RENAME TABLE _sqlx_migrations TO elsewhere",
            "RENAME TABLE elsewhere TO _sqlx_migrations",
            "run `dibs migrate`",
        ),
        (
            "UPDATE _sqlx_migrations SET version = -6 WHERE version = 6",
            "UPDATE _sqlx_migrations SET version = 6 WHERE version = -6",
            "newer version of Dibs (step -6",
        ),
        (
            "INSERT INTO _sqlx_migrations VALUES (9999, 'later', NOW(), TRUE, x'00', 0)",
            "DELETE FROM _sqlx_migrations WHERE version = 9999",
            "newer version of Dibs (step 9999",
        ),
        (
            "UPDATE _sqlx_migrations SET checksum = CONCAT(checksum, 'x') WHERE version = 2",
            "UPDATE _sqlx_migrations SET checksum = LEFT(checksum, 48) WHERE version = 2",
            "step 2",
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM _sqlx_migrations WHERE version = 6; \
             DELETE FROM _sqlx_migrations WHERE version = 6",
            "INSERT INTO _sqlx_migrations SELECT * FROM kept",
            "older version of Dibs (step 6 is missing): run `dibs migrate`",
        ),
    ] {
        sql.execute(tamper).await.unwrap();
        let why = refused(&database).await;
        assert!(why.contains(says), "{why}");
        if says.contains("newer") {
            let migrated = migrate(&database.address(), None).await;
            let Err(OpenError::Refused(why)) = migrated else { panic!("{migrated:?}") };
            assert!(why.contains(says), "nor is it touched: {why}");
        }
        sql.execute(mend).await.unwrap();
        database.open().await.unwrap().close().await;
    }
}

pub(crate) async fn a_database_that_is_missing_is_made_if_the_user_may(server: Server) {
    let database = Database::named(server);
    let why = refused(&database).await;
    assert!(why.contains("run `dibs migrate`"), "{why}");

    let user = &database.name;
    let mut sql = server.sql().await;
    sql.execute(&*format!("CREATE USER {user}@'%' IDENTIFIED BY 'pass w0rd'")).await.unwrap();
    let mut url = database.url();
    url.set_username(user).unwrap();
    url.set_password(Some("pass w0rd")).unwrap();
    let address = Address::parse(url.as_str()).unwrap();
    for tried in
        [migrate(&address, None).await, MySqlLedger::open(&address, None).await.map(|_| ())]
    {
        let Err(OpenError::Refused(why)) = tried else { panic!("{tried:?}") };
        assert!(why.contains("GRANT ALL ON") && why.contains(&database.name), "{why}");
        assert!(!why.contains("w0rd"), "{why}");
    }
    let grant = format!("GRANT ALL ON `{}`.* TO {user}@'%'", database.name);
    sql.execute(&*grant).await.unwrap();
    migrate(&address, None).await.unwrap();
    MySqlLedger::open(&address, None).await.map(|_| ()).unwrap();
}
