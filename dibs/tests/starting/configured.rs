//! What the configuration alone rules out, and servers that are away.

use std::io::ErrorKind;
use std::process::Stdio;

use tokio::net::TcpStream;

use crate::attempt::{PASSWORD, SERVING, engines, nobody, refused, run, settings};
use crate::dice;
use crate::harness::{Place, dibs, eventually, variable};

#[tokio::test]
async fn a_role_without_the_shared_secret_does_not_start() {
    let mut settings = settings();
    settings.push(("secret", String::new()));
    for command in SERVING {
        let line = refused(command, &settings, 2).await;
        assert!(line.contains("set DIBS_SECRET"), "{line}");
    }
}

#[tokio::test]
async fn an_api_without_an_admin_key_does_not_start() {
    let mut settings = settings();
    settings.push(("admin_key", String::new()));
    for command in [&["api"][..], &[]] {
        let line = refused(command, &settings, 2).await;
        assert!(line.contains("set DIBS_ADMIN_KEY"), "{line}");
    }
}

#[tokio::test]
async fn engines_that_do_not_go_together_are_refused_by_every_command() {
    let gate = engines()[..1].to_vec();
    for command in [&["api"][..], &[], &["migrate"], &["config", "check"]] {
        let line = run(command, &gate).await;
        let said = String::from_utf8(line.stderr).unwrap();
        assert_eq!(line.status.code(), Some(2), "{said}");
        assert!(said.contains("set log to a pulsar:// address"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn an_engine_that_nobody_answers_for_is_waited_for_and_then_named() {
    for command in SERVING.into_iter().chain([&["migrate"][..]]) {
        let line = refused(command, &settings(), 1).await;
        assert!(line.contains("the ledger was not reached within 1s"), "{line}");
    }
}

#[tokio::test]
async fn buyers_are_refused_rather_than_kept_waiting_for_a_start() {
    let (listen, ops, place) = (dice::address(), dice::address(), Place::new());
    let mut settings = settings();
    settings.extend([("listen", listen.clone()), ("ops_listen", ops.clone())]);
    settings.push(("start_within", "1m".to_owned()));
    let mut command = dibs(&place, ["api"]);
    command.envs(settings.iter().map(|(key, value)| (variable(key), value)));
    let mut api = command.stderr(Stdio::null()).spawn().unwrap();
    let readyz = format!("http://{ops}/readyz");
    let status = eventually("it waits for its engines", async || {
        Some(reqwest::get(&readyz).await.ok()?.status())
    });
    assert_eq!(status.await, 503);
    let refused = TcpStream::connect(&listen).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(api.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_check_fails_where_the_role_could_not_start() {
    for check in [&["config", "check"][..], &["config", "check", "push"]] {
        let line = refused(check, &engines(), 2).await;
        assert!(line.contains("set DIBS_SECRET"), "{line}");
    }
    let mut keyless = settings();
    keyless.push(("admin_key", String::new()));
    for check in [&["config", "check"][..], &["config", "check", "api"]] {
        let line = refused(check, &keyless, 2).await;
        assert!(line.contains("set DIBS_ADMIN_KEY"), "{line}");
    }
    let worker = run(&["config", "check", "worker"], &keyless).await;
    assert_eq!(worker.status.code(), Some(0), "it has no admin API");
}

#[tokio::test]
async fn the_listing_shows_where_engines_are_and_not_how_they_are_opened() {
    let listed = run(&["config"], &engines()).await;
    let listing = String::from_utf8(listed.stdout).unwrap();
    assert!(listing.contains("mysql://127.0.0.1:") && !listing.contains(PASSWORD), "{listing}");
}

#[tokio::test]
async fn the_health_of_a_server_that_is_not_there_is_a_failure() {
    let ops = nobody();
    for command in [&["health"][..], &["health", "--ready"]] {
        let line = refused(command, &vec![("ops_listen", ops.clone())], 1).await;
        assert!(line.contains(&format!("no answer from http://{ops}/")), "{line}");
    }
}
