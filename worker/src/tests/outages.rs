//! The ledger is away.

use sale::status::Status;
use sqlx::Executor as _;

use super::bench::{Bench, buyers, by_hand, eventually, outcomes};
use crate::Settings;

#[tokio::test]
async fn while_the_ledger_is_away_orders_wait_and_no_try_is_counted() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    let mut feed = bench.feed().await;
    let running = bench.start(Settings::default());
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;
    let mut intruder = bench.intruder().await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();

    for some in buyers(60).chunks(10) {
        bench.order(&sale, some).await;
    }
    eventually("the pause", async || {
        running.worker.ready().await.is_err_and(|why| why.contains("paused"))
    })
    .await;
    assert_eq!(bench.figures(&sale).await.undecided, 60, "nothing is lost meanwhile");

    intruder.execute("ROLLBACK").await.unwrap();
    let told = outcomes(&mut feed, 60).await;
    assert!(told.iter().all(|outcome| outcome.ticket.state.status == Status::Confirmed));
    assert_eq!(bench.seams.ledger.aside(None, 10).await.unwrap(), []);
    bench.conserved(&sale).await;
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;
    running.end().await;
}

#[tokio::test]
async fn a_stop_ends_the_worker_also_while_the_ledger_is_away() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    let mut intruder = bench.intruder().await;
    let running = bench.start(by_hand());
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();
    bench.order(&sale, &buyers(1)).await;
    eventually("the pause", async || {
        running.worker.ready().await.is_err_and(|why| why.contains("paused"))
    })
    .await;

    running.end().await;

    assert_eq!(bench.figures(&sale).await.undecided, 1, "the order comes again");
}

#[tokio::test]
async fn a_worker_that_never_reached_the_ledger_is_not_ready() {
    let bench = Bench::new().await;
    bench.seams.ledger.close().await;
    let running = bench.start(Settings::default());
    assert!(running.worker.ready().await.is_err());
    running.end().await;
}
