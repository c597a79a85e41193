//! A crash right after an answer: what was granted is decided, with nobody asking again.

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, stream};
use rand::RngExt as _;
use reqwest::StatusCode;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::dice::dice;
use crate::harness::Server;
use crate::harness::claimer::{Claim, Owed};

/// Claims at one time.
const BURST: usize = 64;

#[tokio::test]
async fn a_crash_right_after_an_answer_leaves_no_grant_without_a_verdict() {
    let (_, mut dice) = dice();
    let mut server = Server::start(&[]).await;
    server.open_sale("cups", 100_000, 1).await;
    let mut owed = Vec::new();
    let mut unanswered = Vec::new();
    let drawn = [dice.random_range(2..20), dice.random_range(20..40), dice.random_range(40..64)];
    for kth in [1].into_iter().chain(drawn).chain([BURST]) {
        eprintln!("kill after answer {kth} of {BURST}");
        let claims = (0..BURST).map(|n| Claim::of("cups", &format!("{kth}-{n}")));
        server = burst(server, kth, claims, &mut owed, &mut unanswered).await;
        // Nobody has asked again: whoever stands in the gate has an order all the same.
        server.audit("cups", &owed).await;
    }
    for claim in &unanswered {
        owed.push(claim.win(&server).await);
    }
    let audit = server.audit("cups", &owed).await;
    assert_eq!(audit.tickets.len(), owed.len(), "one ticket a claim, and no other");
    assert_eq!(audit.rejected, 0);
}

/// Sends all claims at once, kills the server at the `kth` grant, and restarts it.
async fn burst(
    server: Server,
    kth: usize,
    claims: impl Iterator<Item = Claim>,
    owed: &mut Vec<Owed>,
    unanswered: &mut Vec<Claim>,
) -> Server {
    let (http, base) = (server.http.clone(), server.base.clone());
    let mut answers: FuturesUnordered<_> = claims
        .map(|claim| {
            let (http, base) = (&http, &base);
            async move { (claim.send_to(http, base).await, claim) }
        })
        .collect();
    let (mut server, mut place) = (Some(server), None);
    let mut granted = 0;
    while let Some((answer, claim)) = answers.next().await {
        let Ok(answer) = answer else {
            unanswered.push(claim);
            continue;
        };
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        owed.extend(claim.owed(&answer));
        granted += 1;
        if granted == kth
            && let Some(dying) = server.take()
        {
            place = Some(dying.kill9().await);
        }
    }
    Server::start_in(place.expect("so many were granted"), &[]).await
}

#[tokio::test]
async fn orders_that_wait_for_a_locked_ledger_outlive_a_crash_and_are_all_decided() {
    const ORDERS: usize = 2_000;
    let server = Server::start(&[("checkpoint_after", "20000")]).await;
    server.open_sale("cups", 100_000, 1).await;
    let mut blocker = open(&server, "ledger.db").await;
    blocker.execute("BEGIN IMMEDIATE").await.unwrap();

    let claims: Vec<_> = (0..ORDERS).map(|n| Claim::of("cups", &format!("b{n}"))).collect();
    let owed: Vec<_> = stream::iter(&claims)
        .map(|claim| claim.win(&server))
        .buffer_unordered(BURST)
        .collect()
        .await;
    let counts = server.sale("cups").await;
    assert_eq!((&counts["held"], &counts["sold"]), (&ORDERS.into(), &0.into()), "{counts}");
    // The gate has condensed its journal since, so that it restarts from a checkpoint.
    let checkpoints = sqlx::query_scalar::<_, i64>("SELECT generation FROM head");
    let mut gate = open(&server, "gate.db").await;
    assert!(checkpoints.fetch_one(&mut gate).await.unwrap() > 0);
    let place = server.kill9().await;
    blocker.execute("ROLLBACK").await.unwrap();

    let server = Server::start_in(place, &[]).await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (ORDERS as u64, 0));
}

async fn open(server: &Server, file: &str) -> SqliteConnection {
    let file = server.place().data().join(file);
    SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap()
}
