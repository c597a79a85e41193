//! A gate that has lost writes: nothing that was answered is lost with them, and an operator sees
//! how far gate and ledger are.

use std::fs;
use std::path::Path;
use std::process::Output;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::problem;
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{ADMIN_KEY, Server, dibs, eventually};
use crate::ledger::{Lock, on_ledger};

async fn winners(server: &Server, buyers: std::ops::Range<usize>) -> Vec<Owed> {
    let claims = buyers.map(|n| async move {
        let owed = Claim::of("cups", &format!("buyer-{n}")).win(server).await;
        server.result(&owed).await;
        owed
    });
    join_all(claims).await
}

/// Copies the gate's files over those of another folder.
fn copy_gate(from: &Path, to: &Path) {
    let gate = |folder: &Path| -> Vec<_> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_stem().unwrap() == "gate").collect()
    };
    gate(to).iter().for_each(|old| fs::remove_file(old).unwrap());
    let copied = gate(from);
    assert!(!copied.is_empty());
    for file in copied {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

impl Server {
    /// The only round, gate beside ledger.
    async fn round(&self) -> Value {
        let (status, rounds) = self.admin(Method::GET, "rounds", None).await;
        assert_eq!((status, rounds["rounds"].as_array().unwrap().len()), (StatusCode::OK, 1));
        rounds["rounds"][0].clone()
    }

    async fn until_agreed(&self) -> Value {
        eventually("gate and ledger agree", async || {
            let round = self.round().await;
            (round["agree"] == true).then_some(round)
        })
        .await
    }

    /// The rounds that `/readyz` names; the server is ready all the same.
    async fn recovering(&self) -> Value {
        let answer = self.http.get(format!("{}/readyz", self.ops)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<Value>().await.unwrap()["recovering"].clone()
    }

    /// What `dibs report` says.
    async fn dibs_report(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = dibs(self.place(), ["report", "--url", &self.base]);
        command.args(arguments).env("DIBS_ADMIN_KEY", ADMIN_KEY);
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

/// As if another worker had the only round in hand: this server's leaves it alone.
async fn lease_to_nobody(server: &Server) {
    let anothers = "CREATE TRIGGER anothers BEFORE UPDATE OF leased_by, fences ON rounds \
                    BEGIN SELECT RAISE(IGNORE); END";
    on_ledger(server, anothers).await;
}

async fn end_lease(server: &Server) {
    on_ledger(server, "DROP TRIGGER anothers").await;
}

#[tokio::test]
async fn a_gate_that_was_set_back_loses_no_token_and_sells_nothing_twice() {
    let settings = [("resend_after", "100ms")];
    let server = Server::start(&settings).await;
    server.open_sale("cups", 10, 1).await;
    let mut owed = winners(&server, 0..3).await;
    let place = server.kill9().await;
    let older = tempfile::tempdir().unwrap();
    copy_gate(&place.data(), older.path());

    let server = Server::start_in(place, &settings).await;
    owed.extend(winners(&server, 3..6).await);
    let before = join_all(owed.iter().map(|owed| server.ticket_text(owed))).await;
    let lock = Lock::ledger(&server).await;
    owed.push(Claim::of("cups", "late").win(&server).await);
    let place = server.kill9().await;
    lock.release().await;
    copy_gate(older.path(), &place.data());

    let server = Server::start_in(place, &settings).await;
    for owed in &owed {
        assert_eq!(server.result(owed).await["status"], "confirmed");
    }
    let after = join_all(owed.iter().take(6).map(|owed| server.ticket_text(owed))).await;
    assert_eq!(before, after, "what is final stays, to the byte");
    let round = server.until_agreed().await;
    assert!(round["incarnation"].as_u64().unwrap() > 1, "{round}");
    for owed in &owed {
        assert_eq!(Claim::of("cups", &owed.buyer).win(&server).await.id, owed.id);
    }
    let more = (7..20).map(|n| {
        let server = &server;
        async move { Claim::of("cups", &format!("buyer-{n}")).send(server).await.unwrap() }
    });
    let answers = join_all(more).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).count();
    assert_eq!(won, 3, "{answers:?}");
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 10);
}

#[tokio::test]
async fn while_a_round_recovers_finals_are_read_claims_wait_and_everybody_is_told() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = winners(&server, 0..2).await;
    let agreed = server.until_agreed().await;
    let texts = join_all(owed.iter().map(|owed| server.ticket_text(owed))).await;
    assert_eq!(server.recovering().await, json!([]));

    lease_to_nobody(&server).await;
    on_ledger(&server, "UPDATE rounds SET incarnation = 2, loaded = 0, sequence = 0").await;
    let number: u32 = agreed["round"].as_str().unwrap().parse().unwrap();
    eventually("it is told", async || (server.recovering().await == json!([number])).then_some(()))
        .await;
    problem(server.claim_one("cups", "eve").await, 503, "recovering").await;
    assert_eq!(join_all(owed.iter().map(|owed| server.ticket_text(owed))).await, texts);
    let (code, table, error) = server.dibs_report(&[]).await;
    assert_eq!((code, &*error), (Some(0), ""), "it is being worked on");
    assert!(table.contains("recovering") && table.contains("being rebuilt"), "{table}");

    end_lease(&server).await;
    let rebuilt = server.until_agreed().await;
    assert_eq!((&rebuilt["incarnation"], &rebuilt["state"]), (&json!(2), &json!("live")));
    eventually("nothing recovers", async || (server.recovering().await == json!([])).then_some(()))
        .await;
    assert_eq!(server.claim_one("cups", "eve").await.status(), StatusCode::ACCEPTED);
    server.audit("cups", &owed).await;
}

#[tokio::test]
async fn rounds_that_agree_are_reported_in_a_table_and_as_json() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    winners(&server, 0..2).await;
    let round = server.until_agreed().await;
    let (code, table, error) = server.dibs_report(&[]).await;
    assert_eq!((code, &*error), (Some(0), ""));
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap()[..4], ["SALE", "ROUND", "STATE", "STOCK"]);
    let number = round["round"].as_str().unwrap();
    let row = ["cups", number, "live", "5", "3", "3", "2", "2", "0", "0", "0", "0", "agree"];
    assert_eq!(lines.collect::<Vec<_>>(), [row]);
    let (code, json, _) = server.dibs_report(&["--json"]).await;
    assert_eq!((code, serde_json::from_str(&json).unwrap()), (Some(0), json!([round])));
}

#[tokio::test]
async fn a_round_that_disagrees_is_named_until_a_worker_has_put_it_in_order() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    server.open_sale("mugs", 5, 1).await;
    winners(&server, 0..2).await;
    lease_to_nobody(&server).await;
    let more = "UPDATE rounds SET stock = stock + 4, available = available + 4 \
                WHERE available = 3";
    on_ledger(&server, more).await;
    for arguments in [&[][..], &["--json"]] {
        let (code, told, error) = server.dibs_report(arguments).await;
        assert_eq!(code, Some(1));
        assert!(told.contains("cups") && told.contains("mugs"), "all are shown: {told}");
        let words =
            "of cups has 3 available, 0 held and 2 sold in the gate, and 7 available, 2 sold";
        assert!(error.starts_with("dibs: ") && error.contains(words), "{error}");
        assert!(!error.contains("mugs") && error.lines().count() == 1, "{error}");
    }
    end_lease(&server).await;
    eventually("both agree", async || {
        let (code, table, _) = server.dibs_report(&[]).await;
        (code == Some(0) && table.matches(" agree\n").count() == 2).then_some(())
    })
    .await;
    assert_eq!(server.sale("cups").await["available"], 7);
}
