//! Many at once: the stock is right to the unit, and every answer is kept.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use reqwest::StatusCode;
use serde_json::json;

use crate::ask::time;
use crate::harness::claimer::{Answer, Claim, Owed};
use crate::harness::{Server, eventually};
use crate::ledger::Lock;

/// Sends claims, so many at a time, and answers each with what it was answered.
async fn all(server: &Server, claims: Vec<Claim>, at_once: usize) -> Vec<(Claim, Answer)> {
    let sent = claims.into_iter().map(|claim| async move {
        let answer = claim.send(server).await.unwrap();
        (claim, answer)
    });
    stream::iter(sent).buffer_unordered(at_once).collect().await
}

fn owed(answers: &[(Claim, Answer)]) -> Vec<Owed> {
    answers.iter().filter_map(|(claim, answer)| claim.owed(answer)).collect()
}

/// How many answers are of each kind: the status, and the problem's type or nothing.
fn tally(answers: &[(Claim, Answer)]) -> HashMap<(u16, String), usize> {
    let mut tally = HashMap::new();
    for (_, answer) in answers {
        let kind = answer.body["type"].as_str().unwrap_or_default().to_owned();
        *tally.entry((answer.status.as_u16(), kind)).or_default() += 1;
    }
    tally
}

fn counts(of: &[(u16, &str, usize)]) -> HashMap<(u16, String), usize> {
    of.iter().map(|(status, kind, n)| ((*status, (*kind).to_owned()), *n)).collect()
}

#[tokio::test]
async fn of_a_crowd_exactly_as_many_win_as_there_are_units_and_nobody_wins_and_then_loses() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 500, 1).await;
    let claims = (0..3000).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let answers = all(&server, claims, 200).await;
    let expected = counts(&[(202, "", 500), (409, "/problems/sold-out", 2500)]);
    assert_eq!(tally(&answers), expected);
    let winners = owed(&answers);
    let audit = server.audit("cups", &winners).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (500, 0));
    let sale = server.sale("cups").await;
    let counts = ["stock", "available", "held", "sold"].map(|key| sale[key].as_i64().unwrap());
    assert_eq!(counts, [500, 0, 0, 500]);
}

#[tokio::test]
async fn the_last_unit_goes_to_one_of_two_hundred() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 1, 1).await;
    let claims = (0..200).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let answers = all(&server, claims, 200).await;
    let expected = counts(&[(202, "", 1), (409, "/problems/sold-out", 199)]);
    assert_eq!(tally(&answers), expected);
    assert_eq!(server.audit("cups", &owed(&answers)).await.confirmed_units, 1);
}

#[tokio::test]
async fn a_buyers_racing_claims_see_each_other() {
    let server = Server::start(&[]).await;
    server.open_sale("same", 50, 1).await;
    let claims = (0..100).map(|_| Claim::of("same", "ada")).collect();
    let answers = all(&server, claims, 100).await;
    assert_eq!(tally(&answers), counts(&[(202, "", 1), (200, "", 99)]));
    let ids: HashSet<_> = owed(&answers).into_iter().map(|owed| owed.id).collect();
    assert_eq!(ids.len(), 1, "a repeated buyer gets one ticket");
    server.audit("same", &owed(&answers)[..1]).await;

    server.open_sale("keys", 50, 3).await;
    let claims = (0..100).map(|n| Claim::of("keys", "ada").under(&n.to_string())).collect();
    let answers = all(&server, claims, 100).await;
    assert_eq!(tally(&answers), counts(&[(202, "", 3), (409, "/problems/limit-reached", 97)]));
    assert_eq!(server.audit("keys", &owed(&answers)).await.confirmed_units, 3);

    server.open_sale("one", 1, 2).await;
    let claims = ["a", "b"].map(|key| Claim::of("one", "ada").under(key)).to_vec();
    let answers = all(&server, claims, 2).await;
    assert_eq!(tally(&answers), counts(&[(202, "", 1), (409, "/problems/sold-out", 1)]));
    server.audit("one", &owed(&answers)).await;
}

#[tokio::test]
async fn a_thousand_repeats_of_one_buyer_cost_one_unit_and_the_others_get_theirs() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 100, 1).await;
    let repeats = (0..1000).map(|_| Claim::of("cups", "ada")).collect();
    let repeats = all(&server, repeats, 50).await;
    assert_eq!(tally(&repeats), counts(&[(202, "", 1), (200, "", 999)]));
    let others = (0..99).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let others = all(&server, others, 50).await;
    assert_eq!(tally(&others), counts(&[(202, "", 99)]));
    let tickets: HashSet<_> =
        owed(&repeats).into_iter().map(|owed| (owed.id, owed.token)).collect();
    assert_eq!(tickets.len(), 1, "every repeat is answered the same");
    let all: Vec<_> = owed(&others).into_iter().chain(owed(&repeats).into_iter().take(1)).collect();
    let audit = server.audit("cups", &all).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (100, 100));
}

#[tokio::test]
async fn a_new_sale_opens_while_the_orders_of_an_older_one_wait_and_neither_counts_for_the_other() {
    let server = Server::start(&[]).await;
    server.open_sale("old", 400, 1).await;
    server.create("new", json!({ "stock": 20, "opens_at": time(2) })).await;
    let lock = Lock::ledger(&server).await;
    let of_old = (0..300).map(|n| Claim::of("old", &format!("buyer-{n}"))).collect();
    let of_old = all(&server, of_old, 100).await;
    assert_eq!(tally(&of_old), counts(&[(202, "", 300)]));
    let first = eventually("the new sale opens", async || {
        let claim = Claim::of("new", "buyer-0");
        let answer = claim.send(&server).await.unwrap();
        (answer.status == StatusCode::ACCEPTED).then(|| claim.owed(&answer).unwrap())
    })
    .await;
    let of_new = (1..50).map(|n| Claim::of("new", &format!("buyer-{n}"))).collect();
    let of_new = all(&server, of_new, 50).await;
    assert_eq!(tally(&of_new), counts(&[(202, "", 19), (409, "/problems/sold-out", 30)]));
    for sale in ["old", "new"] {
        assert_eq!(server.sale(sale).await["sold"], 0, "all of them still wait");
    }
    lock.release().await;
    let of_new: Vec<_> = owed(&of_new).into_iter().chain([first]).collect();
    let of_old = owed(&of_old);
    let audits = join_all([server.audit("old", &of_old), server.audit("new", &of_new)]).await;
    assert_eq!((audits[0].confirmed_units, audits[1].confirmed_units), (300, 20));
}
