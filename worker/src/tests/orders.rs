//! From order to outcome.

use std::collections::HashSet;
use std::sync::Arc;

use sale::id::{BatchId, InstallId};
use sale::order::Batch;
use sale::status::{Reason, Status};
use store::gate::GateError;

use super::bench::{Bench, buyers, by_hand, eventually, outcomes, ticket};
use crate::Settings;

#[tokio::test]
async fn a_granted_batch_is_confirmed_settled_out_of_the_outbox_and_told() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let mut feed = bench.feed().await;
    let running = bench.start(Settings::default());
    let batch = bench.order(&sale, &buyers(3)).await;

    let told = outcomes(&mut feed, 3).await;

    for outcome in &told {
        assert_eq!(outcome.install, bench.seams.ledger.install());
        assert_eq!(outcome.ticket.sale, sale.id);
        assert_eq!(outcome.ticket.state.status, Status::Confirmed);
    }
    for order in batch.orders() {
        let state = bench.in_gate(&sale, order.buyer.as_str()).await.unwrap();
        assert_eq!((state.status, state.version), (Status::Confirmed, 2));
        assert_eq!(bench.in_ledger(&sale, order.buyer.as_str()).await, Some(state));
    }
    let figures = bench.figures(&sale).await;
    assert_eq!((figures.available, figures.sold), (7, 3));
    bench.conserved(&sale).await;
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;
    running.end().await;
}

#[tokio::test]
async fn when_the_ledger_has_less_than_the_gate_the_first_that_fit_are_confirmed() {
    let bench = Bench::new().await;
    let sale = bench.sale_with("lamp", 30, 100).await;
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    let batch = bench.order(&sale, &buyers(100)).await;

    outcomes(&mut feed, 100).await;

    for (n, order) in batch.orders().iter().enumerate() {
        let expected = if n < 30 { Status::Confirmed } else { Status::Rejected(Reason::SoldOut) };
        let state = bench.in_gate(&sale, order.buyer.as_str()).await.unwrap();
        assert_eq!(state.status, expected, "order {n}");
    }
    let counts = bench.seams.ledger.counts(sale.round).await.unwrap().unwrap();
    assert_eq!((counts.sold(), counts.available, counts.rejected), (30, 0, 70));
    assert_eq!(bench.figures(&sale).await.undecided, 0);
    running.end().await;
}

#[tokio::test]
async fn orders_of_an_older_sale_that_are_still_queued_do_not_touch_a_newer_one() {
    let bench = Bench::new().await;
    let old = bench.sale("old", 400).await;
    let new = bench.sale("new", 50).await;
    let everybody = buyers(300);
    for some in everybody.chunks(20) {
        bench.order(&old, some).await;
    }
    bench.order(&new, &everybody[..50]).await;
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());

    let told = outcomes(&mut feed, 350).await;

    assert!(told.iter().all(|outcome| outcome.ticket.state.status == Status::Confirmed));
    assert_eq!(told.iter().filter(|outcome| outcome.ticket.sale == old.id).count(), 300);
    for (sale, sold) in [(&old, 300), (&new, 50)] {
        assert_eq!(bench.figures(sale).await.sold, sold);
        bench.conserved(sale).await;
    }
    running.end().await;
}

#[tokio::test]
async fn a_batch_that_is_delivered_twice_counts_once() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let batch = bench.order(&sale, &buyers(4)).await;
    bench.publish(batch.clone()).await;
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    let told = outcomes(&mut feed, 4).await;

    // Once more, long after.
    bench.publish(batch).await;
    let again = outcomes(&mut feed, 4).await;

    let versions: HashSet<_> = told.iter().chain(&again).map(|o| o.ticket.to_json()).collect();
    assert_eq!(versions.len(), 4, "a repeated outcome says the same");
    assert_eq!(bench.figures(&sale).await.sold, 4);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn orders_of_another_database_are_dropped_and_block_nothing() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let own = bench.lone_batch(&sale, "ada");
    let foreign = bench.lone_batch(&sale, "mallory");
    let foreign =
        Batch::new(InstallId([1; 16]), BatchId([2; 16]), 0, foreign.orders().to_vec()).unwrap();
    bench.publish(Arc::new(foreign)).await;
    bench.publish(own).await;
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());

    let told = outcomes(&mut feed, 1).await;

    assert_eq!(told[0].ticket.id, ticket(&sale, "ada"));
    assert_eq!(bench.in_ledger(&sale, "mallory").await, None);
    running.end().await;
}

#[tokio::test]
async fn a_verdict_that_a_cold_gate_could_not_take_in_is_told_once_the_round_is_loaded() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert!(bench.seams.ledger.set_loaded(&snapshot).await.unwrap());
    let _consumer = bench.consume_only();
    let mut feed = bench.feed().await;
    let batch = bench.lone_batch(&sale, "ada");
    bench.publish(batch.clone()).await;
    eventually("the verdict", async || bench.in_ledger(&sale, "ada").await.is_some()).await;

    let warm = bench.sale("witness", 1).await;
    bench.order(&warm, &buyers(1)).await;
    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.sale, warm.id, "of the cold round nothing was told");

    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    bench.seams.gate.warm(snapshot, None).await.unwrap();
    bench.publish(batch).await;
    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.id, ticket(&sale, "ada"));
    assert_eq!(bench.in_gate(&sale, "ada").await.unwrap().status, Status::Confirmed);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_late_order_of_a_retired_round_still_gets_its_result() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    bench.seams.ledger.retire(sale.round).await.unwrap();
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());

    bench.publish(bench.lone_batch(&sale, "ada")).await;

    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.id, ticket(&sale, "ada"));
    let asked = bench.seams.gate.figures(store::gate::Slot::first(sale.round)).await;
    assert!(matches!(asked, Err(GateError::NotWarm(_))), "it is not loaded for that");
    running.end().await;
}

#[tokio::test]
async fn a_crash_between_the_verdict_and_the_gate_is_made_good_by_the_outbox() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let batch = bench.grant(&sale, &buyers(5)).await;
    let now = bench.seams.gate.now();
    let deadline = store::ledger::DeadlineFrom { reachable_since: now };
    bench
        .seams
        .ledger
        .decide(batch.orders(), &store::ledger::Reached::default(), &deadline, now)
        .await
        .unwrap();

    let bench = bench.reopened("gate.db").await;
    let figures = bench.figures(&sale).await;
    assert_eq!((figures.held, figures.undecided), (5, 5), "the gate knows of no verdict");
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    let slot = store::gate::Slot::first(sale.round);
    for batch in bench.seams.gate.resend(slot, 10).await.unwrap() {
        bench.publish(batch).await;
    }

    outcomes(&mut feed, 5).await;
    assert_eq!(bench.figures(&sale).await.sold, 5);
    bench.conserved(&sale).await;
    running.end().await;
}
