//! Servers that answer, and that must not be used as they are.

use sqlx::{Connection as _, Executor as _, MySqlConnection};

use crate::attempt::{PASSWORD, SERVING, Settings, refused_at_once, run, settings};

const REDIS: &str = "TEST_REDIS_URL";
const PULSAR: &str = "TEST_PULSAR_URL";
const PULSAR_ADMIN: &str = "TEST_PULSAR_ADMIN_URL";
const MYSQL: &str = "TEST_MYSQL_URL";

#[expect(clippy::disallowed_methods, reason = "tests are told where the engines are")]
fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} must name a server: run ./test"))
}

fn unique() -> String {
    format!("dibs_{:016x}", rand::random::<u64>())
}

/// A key prefix, a namespace and a database of one test.
struct Install {
    prefix: String,
    namespace: String,
    database: String,
}

impl Install {
    /// The database is there and empty, nothing else is.
    async fn new() -> Self {
        let install = Self { prefix: unique(), namespace: unique(), database: unique() };
        let mut server = MySqlConnection::connect(&address(MYSQL)).await.unwrap();
        server.execute(&*format!("CREATE DATABASE {}", install.database)).await.unwrap();
        install
    }

    fn settings(&self) -> Settings {
        let mut settings = settings();
        settings.extend([
            ("gate", format!("{}?prefix={}", address(REDIS), self.prefix)),
            ("log", format!("{}/public/{}", address(PULSAR), self.namespace)),
            ("log_admin", address(PULSAR_ADMIN)),
            ("ledger", format!("{}/{}", address(MYSQL), self.database)),
            ("start_within", "30s".to_owned()),
        ]);
        settings
    }

    fn with(&self, key: &'static str, value: String) -> Settings {
        let mut settings = self.settings();
        settings.push((key, value));
        settings
    }

    async fn migrated() -> Self {
        let install = Self::new().await;
        migrate(&install.settings()).await;
        install
    }
}

/// What `dibs migrate` tells.
async fn migrate(settings: &Settings) -> String {
    let output = run(&["migrate"], settings).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The address with this user and [`PASSWORD`] before the host.
fn as_user(address: &str, user: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap();
    let (_, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    format!("{scheme}://{user}:{PASSWORD}@{host}")
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn migrate_tells_a_line_for_each_engine_any_number_of_times() {
    let install = Install::new().await;
    for _ in 0..2 {
        let told = migrate(&install.settings()).await;
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 3, "{told}");
        for (line, name) in lines.into_iter().zip(["ledger", "log", "gate"]) {
            assert!(line.starts_with(&format!("the {name} ")), "{told}");
            assert!(line.ends_with(" is up to date"), "{told}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn migrate_makes_the_demo_sale_once_where_it_is_asked_to() {
    let install = Install::new().await;
    let first = migrate(&install.with("demo", "true".to_owned())).await;
    assert!(first.lines().any(|line| line.starts_with("the demo sale demo opens at ")), "{first}");
    assert_eq!(migrate(&install.with("demo", "true".to_owned())).await, first);
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_database_that_was_not_migrated_is_refused() {
    let install = Install::new().await;
    for command in SERVING {
        let line = refused_at_once(command, &install.settings()).await;
        assert!(line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs MySQL: ./test brings it"]
async fn a_database_that_is_not_there_is_refused() {
    let server = Install { prefix: unique(), namespace: unique(), database: unique() };
    for command in SERVING {
        let line = refused_at_once(command, &server.settings()).await;
        assert!(line.contains(&server.database) && line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let install = Install::migrated().await;
    let ledger = as_user(&format!("{}/{}", address(MYSQL), install.database), "dibs");
    let gate = as_user(&format!("{}?prefix={}", address(REDIS), install.prefix), "dibs");
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &install.with("ledger", ledger.clone())).await;
        assert!(line.contains("password") && line.contains("ledger"), "{line}");
        let line = refused_at_once(command, &install.with("gate", gate.clone())).await;
        assert!(line.contains("password") && line.contains("gate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_gate_that_is_no_redis_is_refused_in_one_line() {
    let install = Install::migrated().await;
    let mysql = url::Url::parse(&address(MYSQL)).unwrap();
    let gate = format!("redis://{}:{}", mysql.host_str().unwrap(), mysql.port().unwrap());
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &install.with("gate", gate.clone())).await;
        assert!(line.contains(&format!("gate: {gate}")), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_namespace_that_is_not_there_is_refused() {
    let install = Install::migrated().await;
    let log = format!("{}/public/{}", address(PULSAR), unique());
    for command in SERVING {
        let line = refused_at_once(command, &install.with("log", log.clone())).await;
        assert!(line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn the_redis_of_another_install_is_refused() {
    let (other, install) = (Install::migrated().await, Install::migrated().await);
    let gate = format!("{}?prefix={}", address(REDIS), other.prefix);
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &install.with("gate", gate.clone())).await;
        assert!(line.contains("install") && line.contains("prefix"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_prefix_that_nobody_has_migrated_is_refused() {
    let install = Install::migrated().await;
    let gate = format!("{}?prefix={}", address(REDIS), unique());
    for command in SERVING {
        let line = refused_at_once(command, &install.with("gate", gate.clone())).await;
        assert!(line.contains("prefix") && line.contains("dibs migrate"), "{line}");
    }
}
