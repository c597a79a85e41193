//! An engine is away, or does not say a word.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
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
    let mut intruder = bench.intruder("ledger.db").await;
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
async fn while_the_gate_is_away_verdicts_wait_in_hand_and_nothing_is_given_back() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    let batch = bench.grant(&sale, &buyers(10)).await;
    let mut intruder = bench.intruder("gate.db").await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();

    bench.publish(batch).await;
    eventually("the pause", async || {
        running.worker.ready().await.is_err_and(|why| why.contains("the gate is away"))
    })
    .await;

    intruder.execute("ROLLBACK").await.unwrap();
    // Nobody sends the batch again: what comes was kept.
    outcomes(&mut feed, 10).await;
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_receiver_that_hears_nothing_while_orders_wait_is_made_anew() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let made_anew = || {
        let page = recorder.handle().render();
        page.lines().any(|line| line.starts_with("dibs_worker_receivers_total "))
    };
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let mut feed = bench.feed().await;
    let silent_after = Duration::from_millis(10);
    let running = bench.start(Settings { silent_after, ..Settings::default() });
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;
    assert!(!made_anew(), "with empty outboxes silence is nothing to mend");

    let batch = bench.grant(&sale, &buyers(3)).await;
    eventually("the warning", async || made_anew()).await;

    bench.publish(batch).await;
    outcomes(&mut feed, 3).await;
    running.end().await;
}

#[tokio::test]
async fn a_stop_ends_the_worker_also_while_the_ledger_is_away() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    let mut intruder = bench.intruder("ledger.db").await;
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
