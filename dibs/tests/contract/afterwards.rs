//! When a round is over, and when the gate has forgotten one.

use std::path::Path;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::ask::problem;
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::ledger::{Lock, number};

async fn winners(server: &Server, buyers: usize) -> Vec<Owed> {
    let claims = (0..buyers).map(|n| async move {
        let owed = Claim::of("cups", &format!("buyer-{n}")).win(server).await;
        server.result(&owed).await;
        owed
    });
    join_all(claims).await
}

#[tokio::test]
async fn a_round_that_has_left_the_gate_is_closed_and_a_winner_still_finds_his_ticket() {
    let server = Server::start(&[("retire_after", "0s"), ("tend_every", "50ms")]).await;
    server.open_sale("cups", 5, 3).await;
    let owed = Claim::of("cups", "ada").under("1").units(2).win(&server).await;
    server.result(&owed).await;
    let before = server.ticket_text(&owed).await;
    server.patch("cups", None, json!({ "closed": true })).await;
    eventually("the round is retired", async || {
        (number(&server, "SELECT retired FROM rounds").await == 1).then_some(())
    })
    .await;
    eventually("it has left the gate", async || {
        let answer = server.patch("cups", Some("k"), json!({ "restock": 1 })).await;
        (answer.status() == StatusCode::CONFLICT).then_some(())
    })
    .await;
    assert_eq!(server.ticket_text(&owed).await, before);
    assert_eq!(
        server.stream(&owed).await.event().await.unwrap().split_once("data: ").unwrap().1,
        before
    );
    // For a moment the sales in memory do not know it yet: 503, never "sold out".
    let again = eventually("the retry finds it", async || {
        let claim = Claim::of("cups", "ada").under("1").units(2);
        let answer = claim.send(&server).await.unwrap();
        let loading = answer.body["type"] == "/problems/recovering";
        assert!(loading || answer.status == StatusCode::OK, "{answer:?}");
        claim.owed(&answer)
    })
    .await;
    assert_eq!(again.id, owed.id);
    let other = Claim::of("cups", "ada").under("1").units(1).send(&server).await.unwrap();
    assert_eq!(other.body["type"], "/problems/units-differ");
    for claim in [Claim::of("cups", "ada").under("2"), Claim::of("cups", "bob").under("1")] {
        assert_eq!(claim.send(&server).await.unwrap().body["type"], "/problems/closed");
    }
    let mut forged = owed.clone();
    forged.token.replace_range(forged.token.len() - 4.., "AAAA");
    problem(server.ticket(&forged).send().await.unwrap(), 404, "not-found").await;
    server.audit("cups", &[owed]).await;
}

/// Removes the gate's files, as if its storage was lost.
fn forget_gate(data: &Path) {
    let mut removed = 0;
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("gate.db") {
            std::fs::remove_file(path).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0);
}

#[tokio::test]
async fn an_empty_gate_is_rebuilt_from_the_ledger_and_nobody_gets_a_second_unit() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 100, 1).await;
    let owed = winners(&server, 60).await;
    server.audit("cups", &owed).await;
    let place = server.kill9().await;
    forget_gate(&place.data());
    let server = Server::start_in(place, &[]).await;
    let first = eventually("the round is loaded", async || {
        let answer = Claim::of("cups", "buyer-0").send(&server).await.unwrap();
        let loading = answer.body["type"] == "/problems/recovering";
        (!loading).then_some(answer)
    })
    .await;
    assert_eq!((first.status, &first.body["ticket"]["id"]), (StatusCode::OK, &json!(owed[0].id)));
    assert_eq!(server.sale("cups").await["available"], 40);
    for owed in &owed {
        assert_eq!(Claim::of("cups", &owed.buyer).win(&server).await.id, owed.id);
    }
    let claims = (60..160).map(|n| {
        let server = &server;
        async move { Claim::of("cups", &format!("buyer-{n}")).send(server).await.unwrap() }
    });
    let answers = join_all(claims).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).count();
    let lost = answers.iter().filter(|answer| answer.body["type"] == "/problems/sold-out").count();
    assert_eq!((won, lost), (40, 60));
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 100);
}

#[tokio::test]
async fn an_order_that_only_its_token_remembers_is_brought_back_by_reading() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let place = server.kill9().await;
    lock.release().await;
    forget_gate(&place.data());
    let server = Server::start_in(place, &[("resend_after", "100ms")]).await;
    let read = server.ticket(&owed).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK, "a token that verifies is never unknown");
    let read: Value = read.json().await.unwrap();
    assert_eq!((&read["id"], &read["granted_at"].is_string()), (&json!(owed.id), &true));
    assert_eq!(server.result(&owed).await["status"], "confirmed");
    let again = Claim::of("cups", "ada").send(&server).await.unwrap();
    assert_eq!((again.status, &again.body["ticket"]["id"]), (StatusCode::OK, &json!(owed.id)));
    assert_eq!(server.audit("cups", &[owed]).await.confirmed_units, 1);
}
