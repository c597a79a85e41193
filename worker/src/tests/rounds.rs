//! The keeper of rounds.

use std::sync::Arc;
use std::time::Duration;

use sale::status::Status;
use sale::terms::Restock;
use sqlx::Executor as _;
use store::gate::{Decided, GateError, Slot};
use store::ledger::{Amendment, DeadlineFrom, Reached, RestockBegun, Sale};

use super::bench::{Bench, buyers, by_hand, eventually, outcomes};
use crate::Settings;
use crate::rounds::Keeper;

/// A keeper that waits for nothing.
fn keeper(bench: &Bench) -> Keeper {
    let settings = Settings {
        retire_after: Duration::ZERO,
        restock_after: Duration::ZERO,
        ..Settings::default()
    };
    Keeper::new(bench.seams.clone(), Arc::default(), &settings)
}

async fn is_warm(bench: &Bench, sale: &Sale) -> bool {
    match bench.seams.gate.figures(Slot::first(sale.round)).await {
        Ok(_) => true,
        Err(GateError::NotWarm(_)) => false,
        Err(
            error @ (GateError::Recovering(_) | GateError::Unavailable(_) | GateError::NotKnown),
        ) => panic!("{error}"),
    }
}

async fn is_retired(bench: &Bench, sale: &Sale) -> bool {
    bench.seams.ledger.sale_of(sale.round).await.unwrap().unwrap().retired
}

async fn close(bench: &Bench, sale: &Sale) {
    let now = bench.seams.gate.now();
    bench.seams.ledger.amend(&sale.id, &Amendment::Close, now).await.unwrap();
}

/// Has everything decided that is on its way.
async fn decide(bench: &Bench, sale: &Sale, count: usize) {
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    bench.order(sale, &buyers(count)).await;
    outcomes(&mut feed, count).await;
    running.end().await;
}

#[tokio::test]
async fn a_round_that_the_gate_has_lost_is_loaded_from_the_ledger() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    decide(&bench, &sale, 4).await;

    let bench = bench.reopened("another-gate.db").await;
    assert!(!is_warm(&bench, &sale).await);
    let at_once = Settings { still_without_gate: Duration::ZERO, ..Settings::default() };
    let running = bench.start(at_once);
    eventually("the round in the gate", async || is_warm(&bench, &sale).await).await;

    let figures = bench.figures(&sale).await;
    assert_eq!((figures.available, figures.sold), (6, 4));
    assert_eq!(bench.in_gate(&sale, "buyer-0").await.unwrap().status, Status::Confirmed);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn newer_terms_reach_the_gate() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    close(&bench, &sale).await;
    let mut keeper = Keeper::new(bench.seams.clone(), Arc::default(), &Settings::default());
    keeper.step().await;
    assert!(bench.figures(&sale).await.terms.closed);
}

#[tokio::test]
async fn a_change_of_stock_that_a_crash_cut_short_is_finished() {
    for (change, left) in [(5, 15), (-3, 7), (-30, 0)] {
        let bench = Bench::new().await;
        let sale = bench.sale("lamp", 10).await;
        let restock = Restock::new(change).unwrap();
        let begun = bench.seams.ledger.begin_restock(sale.round, "key", &restock).await.unwrap();
        assert!(matches!(begun, RestockBegun::Stands(_)), "{change}: {begun:?}");

        let mut keeper = keeper(&bench);
        for _ in 0..2 {
            keeper.step().await;
        }

        assert_eq!(bench.seams.ledger.unfinished_restocks().await.unwrap(), []);
        assert_eq!(bench.figures(&sale).await.available, left, "{change}");
        bench.conserved(&sale).await;
    }
}

#[tokio::test]
async fn a_young_change_of_stock_is_left_to_who_began_it() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let restock = Restock::new(5).unwrap();
    bench.seams.ledger.begin_restock(sale.round, "key", &restock).await.unwrap();
    let settings = Settings { restock_after: Duration::from_secs(3600), ..Settings::default() };
    let mut keeper = Keeper::new(bench.seams.clone(), Arc::default(), &settings);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert_eq!(bench.seams.ledger.unfinished_restocks().await.unwrap().len(), 1);
    assert_eq!(bench.figures(&sale).await.available, 10);
}

#[tokio::test]
async fn a_round_that_is_over_leaves_the_gate_and_the_ledger_answers_for_it() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    decide(&bench, &sale, 4).await;
    let mut keeper = keeper(&bench);
    keeper.step().await;
    assert!(!is_retired(&bench, &sale).await, "it is open");

    close(&bench, &sale).await;
    for _ in 0..2 {
        keeper.step().await;
    }

    assert!(is_retired(&bench, &sale).await);
    assert!(!is_warm(&bench, &sale).await);
    keeper.step().await;
    assert!(!is_warm(&bench, &sale).await, "it is not loaded again");
    assert_eq!(bench.in_ledger(&sale, "buyer-0").await.unwrap().status, Status::Confirmed);
}

#[tokio::test]
async fn a_closed_round_stays_until_its_time_has_come() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    close(&bench, &sale).await;
    let mut keeper = Keeper::new(bench.seams.clone(), Arc::default(), &Settings::default());
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &sale).await);
}

#[tokio::test]
async fn a_round_with_an_undecided_order_stays() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.grant(&sale, &buyers(1)).await;
    close(&bench, &sale).await;
    let mut keeper = keeper(&bench);
    for _ in 0..3 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &sale).await);
    assert!(is_warm(&bench, &sale).await);
}

#[tokio::test]
async fn a_round_with_an_order_set_aside_stays() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    // The gate does not know of it, so that only the list of orders set aside can tell.
    let order = bench.lone_batch(&sale, "ada").orders()[0].clone();
    let now = bench.seams.gate.now();
    bench.seams.ledger.set_aside(&[(order.clone(), "broken".into())], now).await.unwrap();
    close(&bench, &sale).await;
    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &sale).await);
}

#[tokio::test]
async fn a_round_with_an_unfinished_change_of_stock_stays() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    // Downwards neither side has it yet, so that they agree.
    let restock = Restock::new(-3).unwrap();
    bench.seams.ledger.begin_restock(sale.round, "key", &restock).await.unwrap();
    close(&bench, &sale).await;
    let settings = Settings {
        retire_after: Duration::ZERO,
        restock_after: Duration::from_secs(3600),
        ..Settings::default()
    };
    let mut keeper = Keeper::new(bench.seams.clone(), Arc::default(), &settings);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &sale).await);
}

#[tokio::test]
async fn a_round_in_which_gate_and_ledger_disagree_stays() {
    let bench = Bench::new().await;
    let sale = bench.sale_with("lamp", 10, 11).await;
    close(&bench, &sale).await;
    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &sale).await);
    assert!(is_warm(&bench, &sale).await);
}

#[tokio::test]
async fn a_round_that_a_crash_kept_in_the_gate_leaves_it_after_the_next_start() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.seams.ledger.retire(sale.round).await.unwrap();
    assert!(is_warm(&bench, &sale).await);
    keeper(&bench).step().await;
    assert!(!is_warm(&bench, &sale).await);
}

#[tokio::test]
async fn a_verdict_that_no_outbox_brings_again_is_brought_by_the_keeper() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let batch = bench.grant(&sale, &buyers(3)).await;
    // Set aside, hence out of the outbox; then decided, and a crash before the gate was told.
    bench.seams.gate.settle(Slot::first(sale.round), &[], &[Decided::from(&*batch)]).await.unwrap();
    let now = bench.seams.gate.now();
    let deadline = DeadlineFrom { reachable_since: now };
    bench.seams.ledger.decide(batch.orders(), &Reached::default(), &deadline, now).await.unwrap();
    assert_eq!(bench.figures(&sale).await.held, 3);

    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }

    assert_eq!(bench.figures(&sale).await.sold, 3);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_missed_verdict_is_brought_while_other_orders_are_on_their_way() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let missed = bench.grant(&sale, &buyers(3)).await;
    bench
        .seams
        .gate
        .settle(Slot::first(sale.round), &[], &[Decided::from(&*missed)])
        .await
        .unwrap();
    let now = bench.seams.gate.now();
    let deadline = DeadlineFrom { reachable_since: now };
    bench.seams.ledger.decide(missed.orders(), &Reached::default(), &deadline, now).await.unwrap();
    bench.grant(&sale, &["busy".into()]).await;

    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }

    let figures = bench.figures(&sale).await;
    assert_eq!((figures.sold, figures.held, figures.undecided), (3, 1, 1));
}

#[tokio::test]
async fn a_verdict_reached_while_its_round_was_being_loaded_is_brought_by_the_keeper() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert!(bench.seams.ledger.set_loaded(&snapshot).await.unwrap());
    let order = bench.lone_batch(&sale, "ada").orders()[0].clone();
    let now = bench.seams.gate.now();
    let deadline = DeadlineFrom { reachable_since: now };
    bench.seams.ledger.decide(&[order], &Reached::default(), &deadline, now).await.unwrap();
    assert!(bench.seams.gate.warm(snapshot, None).await.unwrap());

    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }

    assert_eq!(bench.in_gate(&sale, "ada").await.unwrap().status, Status::Confirmed);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_round_does_not_leave_the_gate_by_counts_that_are_older_than_its_terms() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    close(&bench, &sale).await;
    let mut keeper = keeper(&bench);
    keeper.step().await;
    assert!(is_warm(&bench, &sale).await, "only the terms were brought");
    keeper.step().await;
    assert!(!is_warm(&bench, &sale).await);
}

#[tokio::test]
async fn a_change_of_stock_that_cannot_be_finished_does_not_keep_the_others_waiting() {
    let bench = Bench::new().await;
    // The gate takes back more than the ledger has.
    let bad = bench.sale_with("bad", 1, 10).await;
    let good = bench.sale("good", 10).await;
    let restock = Restock::new(-3).unwrap();
    for sale in [&bad, &good] {
        bench.seams.ledger.begin_restock(sale.round, "key", &restock).await.unwrap();
    }
    keeper(&bench).step().await;
    let left = bench.seams.ledger.unfinished_restocks().await.unwrap();
    assert_eq!(left.iter().map(|row| row.round).collect::<Vec<_>>(), [bad.round]);
    bench.conserved(&good).await;
}

#[tokio::test]
async fn one_round_in_trouble_does_not_keep_the_others_waiting() {
    let bench = Bench::new().await;
    let bad = bench.sale_with("bad", 10, 11).await;
    let good = bench.sale("good", 10).await;
    for sale in [&bad, &good] {
        close(&bench, sale).await;
    }
    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(!is_retired(&bench, &bad).await);
    assert!(is_retired(&bench, &good).await);
}

#[tokio::test]
async fn a_ledger_that_cannot_write_keeps_the_round_in_the_gate() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    close(&bench, &sale).await;
    let mut intruder = bench.intruder("ledger.db").await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();
    let mut keeper = keeper(&bench);
    for _ in 0..2 {
        keeper.step().await;
    }
    assert!(is_warm(&bench, &sale).await);
}
