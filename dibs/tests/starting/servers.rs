//! Servers that answer, and that must not be used as they are.

use crate::attempt::{self, PASSWORD, SERVING, Settings, refused_at_once, run};
use crate::install::{Install, PULSAR, REDIS, Sql, address, unique};

/// What the processes of an install are given, with all else that a role needs.
fn settings(install: &Install) -> Settings {
    let mut settings = attempt::settings();
    settings.extend(install.settings().into_iter().map(|(key, value)| (key, value.to_owned())));
    settings.push(("start_within", "30s".to_owned()));
    settings
}

/// The same with another value of one of them.
fn with(install: &Install, key: &'static str, value: String) -> Settings {
    let mut settings = settings(install);
    settings.push((key, value));
    settings
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
    let install = Install::new(Sql::MySql).await;
    for _ in 0..2 {
        let told = migrate(&settings(&install)).await;
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
    let install = Install::new(Sql::MySql).await;
    let first = migrate(&with(&install, "demo", "true".to_owned())).await;
    assert!(first.lines().any(|line| line.starts_with("the demo sale demo opens at ")), "{first}");
    assert_eq!(migrate(&with(&install, "demo", "true".to_owned())).await, first);
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_database_that_was_not_migrated_is_refused() {
    let install = Install::new(Sql::MySql).await;
    for command in SERVING {
        let line = refused_at_once(command, &settings(&install)).await;
        assert!(line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs MySQL: ./test brings it"]
async fn a_database_that_is_not_there_is_refused() {
    let (install, absent) = (Install::new(Sql::MySql).await, unique());
    let ledger = format!("{}/{absent}", address(Sql::MySql.variable()));
    for command in SERVING {
        let line = refused_at_once(command, &with(&install, "ledger", ledger.clone())).await;
        assert!(line.contains(&absent) && line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let install = Install::migrated(Sql::MySql).await;
    let ledger = as_user(install.address("ledger"), "dibs");
    let gate = as_user(install.address("gate"), "dibs");
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &with(&install, "ledger", ledger.clone())).await;
        assert!(line.contains("password") && line.contains("ledger"), "{line}");
        let line = refused_at_once(command, &with(&install, "gate", gate.clone())).await;
        assert!(line.contains("password") && line.contains("gate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_gate_that_is_no_redis_is_refused_in_one_line() {
    let install = Install::migrated(Sql::MySql).await;
    let mysql = url::Url::parse(install.address("ledger")).unwrap();
    let gate = format!("redis://{}:{}", mysql.host_str().unwrap(), mysql.port().unwrap());
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &with(&install, "gate", gate.clone())).await;
        assert!(line.contains(&format!("gate: {gate}")), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_namespace_that_is_not_there_is_refused() {
    let install = Install::migrated(Sql::MySql).await;
    let log = format!("{}/public/{}", address(PULSAR), unique());
    for command in SERVING {
        let line = refused_at_once(command, &with(&install, "log", log.clone())).await;
        assert!(line.contains("dibs migrate"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn the_redis_of_another_install_is_refused() {
    let (other, install) =
        (Install::migrated(Sql::MySql).await, Install::migrated(Sql::MySql).await);
    let gate = other.address("gate").to_owned();
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused_at_once(command, &with(&install, "gate", gate.clone())).await;
        assert!(line.contains("install") && line.contains("prefix"), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_prefix_that_nobody_has_migrated_is_refused() {
    let install = Install::migrated(Sql::MySql).await;
    let gate = format!("{}?prefix={}", address(REDIS), unique());
    for command in SERVING {
        let line = refused_at_once(command, &with(&install, "gate", gate.clone())).await;
        assert!(line.contains("prefix") && line.contains("dibs migrate"), "{line}");
    }
}
