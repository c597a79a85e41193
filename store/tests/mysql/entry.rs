use std::path::PathBuf;

use sqlx::Executor as _;
use store::ledger::mysql::{Address, MySqlLedger, migrate};
use store::ledger::{Ledger, LedgerError, Reached};
use store::open::OpenError;
use url::Url;

use crate::contract::{at, create, crowd, deadline};
use crate::database::{Database, Server};

const PASSWORD: &str = "s3cret/wørd@";

/// Makes a user with rights on one database, who has never entered before. He goes with it.
async fn user_of(database: &Database, require: &str) {
    let (name, mut sql) = (&database.name, database.sql().await);
    for statement in [
        format!("DROP USER IF EXISTS {name}@'%'"),
        format!("CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}' {require}"),
        format!("GRANT ALL ON `{name}`.* TO {name}@'%'"),
    ] {
        sql.execute(&*statement).await.unwrap();
    }
}

fn url_of(database: &Database, mode: &str) -> Url {
    let mut url = database.url();
    url.set_username(&database.name).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url.query_pairs_mut().append_pair("ssl-mode", mode);
    url
}

async fn enter(url: &Url, ca: Option<PathBuf>) -> Result<(), OpenError> {
    let address = Address::parse(url.as_str()).unwrap();
    let ledger = MySqlLedger::open(&address, ca.as_deref()).await?;
    let ledger = store::ledger::Ledger::MySql(ledger);
    ledger.probe().await.unwrap();
    assert_eq!(ledger.sales(1).await.unwrap(), []);
    ledger.close().await;
    Ok(())
}

fn one_line(entered: Result<(), OpenError>) -> String {
    let Err(OpenError::Refused(why)) = entered else { panic!("{entered:?}") };
    assert!(!why.contains('\n') && !why.contains("s3cret"), "{why}");
    why
}

pub(crate) async fn who_may_not_enter_is_told_so_in_one_line_without_his_password(server: Server) {
    let database = Database::migrated(server).await;
    user_of(&database, "").await;
    let mut url = url_of(&database, "PREFERRED");
    url.set_password(Some("s3cret")).unwrap();
    let why = one_line(enter(&url, None).await);
    assert!(why.contains("wrong user or password") && !why.contains("denied"), "{why}");
    let migrated = migrate(&Address::parse(url.as_str()).unwrap(), None).await;
    assert!(one_line(migrated).contains("wrong user or password"));
    let mut url = url_of(&database, "PREFERRED");
    url.set_path("dibs_that_nobody_made");
    let why = one_line(enter(&url, None).await);
    assert!(why.contains("dibs_that_nobody_made") && why.contains("`dibs migrate`"), "{why}");
}

pub(crate) async fn where_nobody_answers_is_unreachable(server: Server) {
    let mut url = Database::named(server).url();
    // Bound and let go: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    url.set_port(Some(port)).unwrap();
    let address = Address::parse(url.as_str()).unwrap();
    for tried in
        [MySqlLedger::open(&address, None).await.map(|_| ()), migrate(&address, None).await]
    {
        let Err(OpenError::Unreachable(why)) = tried else { panic!("{tried:?}") };
        assert!(why.contains(&format!("127.0.0.1:{port}")) && !why.contains('\n'), "{why}");
    }
    // Somebody takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    url.set_port(Some(silent.local_addr().unwrap().port())).unwrap();
    let address = Address::parse(url.as_str()).unwrap();
    let tried = MySqlLedger::open(&address, None).await.map(|_| ());
    assert!(matches!(tried, Err(OpenError::Unreachable(_))), "{tried:?}");
}

pub(crate) async fn a_password_is_proved_without_encryption_and_with_it(server: Server) {
    let database = Database::migrated(server).await;
    for mode in ["DISABLED", "PREFERRED", "REQUIRED"] {
        // The first time a server has nothing remembered of the password.
        user_of(&database, "").await;
        for _twice in 0..2 {
            enter(&url_of(&database, mode), None).await.unwrap();
        }
    }
    user_of(&database, "REQUIRE SSL").await;
    enter(&url_of(&database, "REQUIRED"), None).await.unwrap();
    one_line(enter(&url_of(&database, "DISABLED"), None).await);
}

#[expect(clippy::disallowed_methods, reason = "the authority is given to the tests")]
pub(crate) async fn a_certificate_is_verified_where_that_is_asked_for(server: Server) {
    let ca = std::env::var("TEST_CA_FILE").map(PathBuf::from);
    let ca = ca.expect("TEST_CA_FILE must name the authority of the servers' certificates");
    let database = Database::migrated(server).await;
    user_of(&database, "REQUIRE SSL").await;
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let url = url_of(&database, mode);
        enter(&url, Some(ca.clone())).await.unwrap();
        let why = one_line(enter(&url, None).await);
        assert!(why.contains("`engines_ca`"), "an unknown authority: {why}");
    }
}

pub(crate) async fn who_is_locked_out_finds_the_ledger_away_and_no_order_fails(server: Server) {
    let database = Database::migrated(server).await;
    let sale = create(&database.open().await.unwrap(), 10, 1).await;
    user_of(&database, "").await;
    let address = Address::parse(url_of(&database, "PREFERRED").as_str()).unwrap();
    // It connects anew when it is used first.
    let ledger = Ledger::MySql(MySqlLedger::open(&address, None).await.unwrap());
    let mut sql = database.sql().await;
    sql.execute(&*format!("ALTER USER {}@'%' ACCOUNT LOCK", database.name)).await.unwrap();
    let decided =
        ledger.decide(&crowd(&sale, 3), &Reached::default(), &deadline(), at(2_000)).await;
    assert!(matches!(decided, Err(LedgerError::Unavailable(_))), "{decided:?}");
    sql.execute(&*format!("ALTER USER {}@'%' ACCOUNT UNLOCK", database.name)).await.unwrap();
    assert_eq!(
        ledger
            .decide(&crowd(&sale, 3), &Reached::default(), &deadline(), at(2_000))
            .await
            .unwrap()
            .len(),
        3
    );
    ledger.close().await;
}
