//! The command, on the real binary.

use std::path::Path;
use std::process::Output;

use crowd::chaos::binary;
use crowd::chaos::fault::Role;
use crowd::chaos::process::Process;
use crowd::history::{Did, Reader, Way};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::PATIENCE;

const ADMIN_KEY: &str = "the-admin-key-of-tests";
const SHOP: &str = "hs256:the secret of the shop that these tests are";

async fn dibs(folder: &Path) -> Process {
    let binary = binary::dibs(None).await.unwrap();
    let settings =
        [("demo", "false"), ("guests", "true"), ("admin_key", ADMIN_KEY), ("jwt_keys", SHOP)];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Process::start(&binary, Role::Embedded, "dibs", folder, settings.into()).await.unwrap()
}

async fn crowd_load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd"));
    command.arg("load").args(arguments).kill_on_drop(true);
    timeout(PATIENCE * 2, command.output()).await.expect("it should have ended").unwrap()
}

#[tokio::test]
async fn a_herd_is_sent_followed_on_every_way_judged_and_reported() {
    let folder = TempDir::new().unwrap();
    let server = dibs(folder.path()).await;
    let (url, run) = (format!("http://{}", server.listen), folder.path().join("run"));
    let output = crowd_load(&[
        "--server",
        &url,
        "--admin-key",
        ADMIN_KEY,
        "--jwt",
        SHOP,
        "--seed",
        "7",
        "--buyers",
        "120",
        "--stock",
        "150",
        "--limit",
        "2",
        "--opens-in",
        "3s",
        "--mix",
        "socket=1,events=1,long-poll=1,poll=1",
        "--early",
        "20",
        "--double-tap",
        "20",
        "--second-device",
        "20",
        "--reload",
        "30",
        "--foreign",
        "30",
        "--again",
        "30",
        "--look",
        "50",
        "--out",
        run.to_str().unwrap(),
    ])
    .await;
    let (text, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{log}");
    assert!(text.contains("invariants held"), "{text}");

    let report = std::fs::read_to_string(run.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["verdict"]["found"], serde_json::json!({}), "{report}");
    let confirmed = report["claims"]["confirmed"].as_u64().unwrap();
    assert!(confirmed > 0, "{report}");
    assert_eq!(report["since_the_scheduled_moment"]["final_result_known"]["count"], confirmed);
    let did = all(&run.join("history.jsonl")).await;
    let some = |what: &str, is: fn(&Did) -> bool| assert!(did.iter().any(is), "nobody {what}");
    some("asked for a foreign ticket", |did| matches!(did, Did::Foreign { shown: None, .. }));
    some("looked into the ledger", |did| matches!(did, Did::Looked { found: Some(_), .. }));
    for way in [Way::Socket, Way::Events, Way::LongPoll, Way::Poll] {
        assert!(
            did.iter().any(|did| matches!(did, Did::Saw { way: on, .. } if *on == way)),
            "{way:?}"
        );
    }
    let written: String =
        ["plan.json", "report.json", "report.html", "history.jsonl", "books.json"]
            .map(|name| std::fs::read_to_string(run.join(name)).unwrap())
            .concat();
    for secret in [ADMIN_KEY, SHOP.trim_start_matches("hs256:")] {
        assert!(!written.contains(secret), "a secret was written down");
    }
}

#[tokio::test]
async fn guests_come_evenly_to_a_sale_that_stands_and_nobody_judges_without_the_key() {
    let folder = TempDir::new().unwrap();
    let server = dibs(folder.path()).await;
    let url = format!("http://{}", server.listen);
    let run = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (run("first"), run("second"));
    let created = crowd_load(&[
        "--server",
        &url,
        "--admin-key",
        ADMIN_KEY,
        "--buyers",
        "1",
        "--opens-in",
        "1s",
        "--out",
        &first,
    ])
    .await;
    assert!(created.status.success(), "{created:?}");
    let plan = std::fs::read_to_string(folder.path().join("first/plan.json")).unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let sale = plan["sales"][0].as_str().unwrap();
    let output = crowd_load(&[
        "--server",
        &url,
        "--sale",
        sale,
        "--arrivals",
        "constant",
        "--rate",
        "40",
        "--for",
        "1s",
        "--plain",
        "--out",
        &second,
    ])
    .await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("Not judged") && text.contains("40 buyers a second for 1s"), "{text}");
}

#[tokio::test]
async fn a_load_that_cannot_begin_says_why() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run").to_str().unwrap().to_owned();
    let output = crowd_load(&["--out", &out]).await;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && log.contains("--admin-key"), "{log}");
    let output = crowd_load(&["--out", &out, "--jwt", "hs256:too short", "--sale", "any"]).await;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("32 bytes") && !log.contains("too short"), "{log}");
}

async fn all(history: &Path) -> Vec<Did> {
    let mut reader = Reader::open(history).await.unwrap();
    let mut all = Vec::new();
    while let Some(event) = reader.next().await.unwrap() {
        all.push(event.did);
    }
    all
}
