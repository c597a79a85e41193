//! A gate that has lost acknowledged writes, or disagrees with the ledger, is rebuilt.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use sale::grant::Answer;
use sale::status::{Reason, Status};
use sqlx::Executor as _;
use store::gate::{Decided, GateError, Slot};
use store::ledger::{DeadlineFrom, Reached, Sale};

use super::bench::{Bench, buyers, by_hand, eventually, in_time, outcomes};
use crate::Settings;
use crate::rounds::Keeper;

/// Everything comes soon.
fn eager() -> Settings {
    let soon = Duration::from_millis(5);
    Settings { retry_every: soon, tend_every: soon, recover_every: soon, ..Settings::default() }
}

/// A keeper that is driven by hand. When it stops, its lease has ended.
fn keeper(bench: &Bench) -> Keeper {
    let settings =
        Settings { lease_for: Duration::ZERO, fence_again: Duration::ZERO, ..Settings::default() };
    Keeper::new(bench.seams.clone(), Arc::default(), &settings)
}

/// Some walks and steps, more than a rebuild takes if nothing is missing.
async fn drive(keeper: &mut Keeper) {
    for _ in 0..5 {
        keeper.step().await;
        keeper.recover().await;
    }
}

async fn row(bench: &Bench, sale: &Sale) -> Sale {
    bench.seams.ledger.sale_of(sale.round).await.unwrap().unwrap()
}

/// Whether the round is live in this incarnation, in ledger and gate.
async fn is_live(bench: &Bench, sale: &Sale, incarnation: u32) -> bool {
    let row = row(bench, sale).await;
    let gate = bench.seams.gate.figures(Slot::first(sale.round)).await;
    let gate = gate.is_ok_and(|gate| gate.incarnation == incarnation && !gate.frozen);
    row.loaded && row.incarnation == incarnation && gate
}

async fn until_live(bench: &Bench, sale: &Sale, incarnation: u32) {
    eventually("the rebuilt gate", async || is_live(bench, sale, incarnation).await).await;
}

/// Grants to these, and has it decided.
async fn sell(bench: &Bench, sale: &Sale, buyers: &[String]) {
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    bench.order(sale, buyers).await;
    outcomes(&mut feed, buyers.len()).await;
    running.end().await;
}

/// Has the ledger alone decide what was granted.
async fn decide(bench: &Bench, batch: &Arc<sale::order::Batch>) {
    let now = bench.seams.gate.now();
    let deadline = DeadlineFrom { reachable_since: now };
    let reached = Reached::of(std::slice::from_ref(batch));
    bench.seams.ledger.decide(batch.orders(), &reached, &deadline, now).await.unwrap();
}

#[tokio::test]
async fn a_gate_that_came_back_empty_is_rebuilt_to_the_unit_and_nobody_is_granted_twice() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let winners = buyers(4);
    sell(&bench, &sale, &winners).await;

    let bench = bench.with_gate("empty.db").await;
    let refused = bench.claim(&sale, &winners).await.unwrap_err();
    assert!(matches!(refused, GateError::NotWarm(_)), "{refused}");
    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;

    let again = bench.claim(&sale, &winners).await.unwrap();
    assert!(again.batch.is_none());
    for answer in again.answers {
        let Answer::Standing(state) = answer else { panic!("{answer:?}") };
        assert_eq!(state.status, Status::Confirmed);
    }
    let figures = bench.figures(&sale).await;
    assert_eq!((figures.available, figures.sold), (6, 4));
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_gate_that_was_set_back_grants_nothing_until_it_is_rebuilt() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &["early".into()]).await;
    bench.keep_gate("older.db").await;
    let winners = buyers(4);
    sell(&bench, &sale, &winners).await;

    let bench = bench.with_gate("older.db").await;
    assert_eq!(bench.figures(&sale).await.sold, 1, "four sales are forgotten");
    drive(&mut keeper(&bench)).await;
    let refused = bench.claim(&sale, &winners).await.unwrap_err();
    assert!(matches!(refused, GateError::Recovering(_)), "{refused}");

    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.sold, 5);
    assert!(bench.claim(&sale, &winners).await.unwrap().batch.is_none());
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn orders_that_the_older_gate_still_has_are_decided_before_it_is_replaced() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.grant(&sale, &buyers(3)).await;
    bench.keep_gate("older.db").await;
    sell(&bench, &sale, &["late".into()]).await;

    let bench = bench.with_gate("older.db").await;
    let running = bench.start(eager());
    eventually("the fences", async || row(&bench, &sale).await.fences == 1).await;
    assert!(!row(&bench, &sale).await.loaded, "its outbox is not empty");
    let _sweeper = bench.sweep(&sale);
    until_live(&bench, &sale, 2).await;

    assert_eq!(bench.figures(&sale).await.sold, 4);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn orders_on_their_way_are_decided_before_the_rebuild_counts() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.order(&sale, &buyers(3)).await;

    let bench = bench.with_gate("empty.db").await;
    drive(&mut keeper(&bench)).await;
    let missing = bench.claim(&sale, &buyers(1)).await.unwrap_err();
    assert!(matches!(missing, GateError::NotWarm(_)), "no fence has come back: {missing}");

    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.sold, 3);
    assert!(bench.claim(&sale, &buyers(3)).await.unwrap().batch.is_none());
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn an_order_that_was_lost_with_the_gate_comes_back_by_its_token() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.grant(&sale, &["ada".into(), "bob".into()]).await;

    let bench = bench.with_gate("empty.db").await;
    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.available, 10);
    let mut feed = bench.feed().await;
    bench.publish(bench.lone_batch(&sale, "ada")).await;

    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.state.status, Status::Confirmed);
    assert_eq!(bench.in_gate(&sale, "ada").await.unwrap().status, Status::Confirmed);
    assert_eq!(bench.figures(&sale).await.available, 9);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn what_came_back_by_tokens_after_its_units_were_sold_again_is_rejected_and_all_agree() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 3).await;
    bench.grant(&sale, &buyers(3)).await;

    let bench = bench.with_gate("empty.db").await;
    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    let mut feed = bench.feed().await;
    bench.order(&sale, &["new".into(), "newer".into()]).await;
    for buyer in buyers(3) {
        bench.publish(bench.lone_batch(&sale, &buyer)).await;
    }

    let told = outcomes(&mut feed, 5).await;
    let status = |outcome: &sale::outcome::Outcome| outcome.ticket.state.status;
    let confirmed = told.iter().filter(|outcome| status(outcome) == Status::Confirmed);
    assert_eq!(confirmed.count(), 3);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn an_order_of_the_gate_that_does_not_fit_in_the_ledger_makes_the_round_recover() {
    let bench = Bench::new().await;
    let sale = bench.sale_with("lamp", 5, 10).await;
    let mut feed = bench.feed().await;
    let running = bench.start(eager());
    bench.order(&sale, &buyers(8)).await;
    let told = outcomes(&mut feed, 8).await;
    let sold_out = Status::Rejected(Reason::SoldOut);
    let rejected = told.iter().filter(|outcome| outcome.ticket.state.status == sold_out);
    assert_eq!(rejected.count(), 3);

    let _sweeper = bench.sweep(&sale);
    until_live(&bench, &sale, 2).await;
    let figures = bench.figures(&sale).await;
    assert_eq!((figures.available, figures.sold), (0, 5));
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn of_two_workers_one_rebuilds() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let handle = recorder.handle();
    let page = || handle.render();
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &buyers(4)).await;

    let bench = bench.with_gate("empty.db").await;
    let workers = [bench.start(eager()), bench.start(eager())];
    until_live(&bench, &sale, 2).await;
    eventually("quiet", async || page().contains("dibs_worker_recovering 0")).await;
    bench.conserved(&sale).await;
    for worker in workers {
        worker.end().await;
    }

    assert_eq!(row(&bench, &sale).await.incarnation, 2);
    for change in ["recovering", "rebuilt"] {
        let once = format!("dibs_worker_rounds_total{{change=\"{change}\"}} 1");
        assert!(page().lines().any(|line| line == once), "{change} once");
    }
}

#[tokio::test]
async fn a_recovering_round_is_told() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let other = bench.sale("other", 10).await;
    bench.grant(&other, &buyers(1)).await;
    bench.keep_gate("older.db").await;
    sell(&bench, &other, &["ada".into()]).await;

    let bench = bench.with_gate("older.db").await;
    let running = bench.start(eager());
    eventually("word of it", async || running.worker.recovering() == [other.round]).await;
    assert!(recorder.handle().render().contains("dibs_worker_recovering 1"));
    assert!(bench.claim(&sale, &buyers(1)).await.unwrap().batch.is_some(), "others go on");
    eventually("readiness", async || running.worker.ready().await.is_ok()).await;

    let _sweeper = bench.sweep(&other);
    eventually("the end of it", async || running.worker.recovering().is_empty()).await;
    assert!(is_live(&bench, &other, 2).await);
    running.end().await;
}

#[tokio::test]
async fn a_worker_that_died_in_the_middle_is_taken_over_when_its_lease_has_ended() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &buyers(4)).await;
    let bench = bench.with_gate("empty.db").await;
    let dead = Settings { lease_for: Duration::from_secs(3600), ..Settings::default() };
    Keeper::new(bench.seams.clone(), Arc::default(), &dead).step().await;
    let held = row(&bench, &sale).await;
    assert_eq!((held.incarnation, held.loaded), (2, false));
    let _consumer = bench.consume_only();
    eventually("its fences", async || row(&bench, &sale).await.fences == 1).await;

    let mut other = keeper(&bench);
    drive(&mut other).await;
    assert!(!row(&bench, &sale).await.loaded, "it is left alone");
    // As the clock does.
    bench.seams.ledger.end_lease(sale.round, held.lease.unwrap().by).await.unwrap();
    drive(&mut other).await;

    assert!(is_live(&bench, &sale, 2).await);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_worker_that_died_between_ledger_and_gate_costs_one_more_rebuild() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let lone = bench.lone_batch(&sale, "ada");
    let bench = bench.with_gate("empty.db").await;
    assert!(bench.seams.ledger.recover(sale.round, 1).await.unwrap());
    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert!(bench.seams.ledger.set_loaded(&snapshot).await.unwrap());
    decide(&bench, &lone).await;

    let running = bench.start(eager());
    until_live(&bench, &sale, 3).await;
    assert_eq!(bench.figures(&sale).await.sold, 1);
    bench.conserved(&sale).await;

    assert!(!bench.seams.gate.warm(snapshot, None).await.unwrap(), "should it be alive after all");
    running.end().await;
}

#[tokio::test]
async fn an_old_snapshot_that_comes_to_life_in_an_empty_gate_is_replaced() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let stale = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    sell(&bench, &sale, &buyers(4)).await;
    let bench = bench.with_gate("empty.db").await;
    assert!(bench.seams.ledger.recover(sale.round, 1).await.unwrap());
    assert!(bench.seams.gate.warm(stale, None).await.unwrap());

    let running = bench.start(eager());
    let _sweeper = bench.sweep(&sale);
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.sold, 4);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_new_sale_is_loaded_by_one_walk_without_a_fence() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    keeper(&bench).step().await;
    assert!(is_live(&bench, &sale, 1).await);
    assert_eq!(row(&bench, &sale).await.fences, 0);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_new_sale_that_its_creator_has_loaded_is_marked_so() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert!(bench.seams.gate.warm(snapshot, None).await.unwrap());
    bench.grant(&sale, &buyers(1)).await;
    keeper(&bench).step().await;
    assert!(is_live(&bench, &sale, 1).await);
    assert_eq!(bench.figures(&sale).await.held, 1);
}

#[tokio::test]
async fn verdicts_that_land_at_any_moment_of_a_rebuild_are_not_lost() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    sell(&bench, &sale, &["early".into()]).await;
    bench.keep_gate("older.db").await;
    sell(&bench, &sale, &["late".into()]).await;

    let bench = bench.with_gate("older.db").await;
    let running = bench.start(eager());
    let everybody = buyers(60);
    for buyer in &everybody {
        bench.publish(bench.lone_batch(&sale, buyer)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let all_sold = async || {
        let gate = bench.seams.gate.figures(Slot::first(sale.round)).await;
        gate.is_ok_and(|gate| gate.sold == 62 && !gate.frozen)
    };
    eventually("all of them in the gate", all_sold).await;
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_ledger_that_is_away_in_the_middle_delays_and_loses_nothing() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &buyers(4)).await;
    bench.order(&sale, &["busy".into()]).await;
    let bench = bench.with_gate("empty.db").await;
    drive(&mut keeper(&bench)).await;
    let mut intruder = bench.intruder("ledger.db").await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();
    let running = bench.start(eager());
    eventually("the pause", async || {
        running.worker.ready().await.is_err_and(|why| why.contains("ledger"))
    })
    .await;
    assert!(!row(&bench, &sale).await.loaded);

    intruder.execute("ROLLBACK").await.unwrap();
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.sold, 5);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_gate_that_is_away_in_the_middle_delays_and_loses_nothing() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &buyers(4)).await;
    let bench = bench.with_gate("empty.db").await;
    let mut intruder = bench.intruder("empty.db").await;
    intruder.execute("BEGIN IMMEDIATE").await.unwrap();
    let running = bench.start(eager());
    eventually("the mark in the ledger", async || {
        let row = row(&bench, &sale).await;
        row.loaded && row.incarnation == 2
    })
    .await;
    intruder.execute("ROLLBACK").await.unwrap();

    let sold = async || {
        let incarnation = row(&bench, &sale).await.incarnation;
        is_live(&bench, &sale, incarnation).await
    };
    eventually("the rebuilt gate", sold).await;
    assert_eq!(bench.figures(&sale).await.sold, 4);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_fence_that_the_log_has_lost_is_sent_again() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let bench = bench.with_gate("empty.db").await;
    let mut keeper = keeper(&bench);
    keeper.step().await;
    let mut orders = bench.seams.log.orders().await.unwrap();
    let lost = in_time("a fence", orders.next(1)).await.unwrap();
    assert!(lost[0].fence().is_some());
    drop((orders, lost));

    let _consumer = bench.consume_only();
    keeper.recover().await;
    eventually("the other one", async || row(&bench, &sale).await.fences == 1).await;
    drive(&mut keeper).await;
    assert!(is_live(&bench, &sale, 2).await);
}

#[tokio::test]
async fn a_round_in_which_gate_and_ledger_disagree_for_good_recovers() {
    let bench = Bench::new().await;
    let sale = bench.sale_with("lamp", 10, 11).await;
    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.figures(&sale).await.available, 10);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_ticket_that_nothing_will_decide_is_forgotten_and_comes_back_by_its_token() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let batch = bench.grant(&sale, &["ada".into()]).await;
    let slot = Slot::first(sale.round);
    bench.seams.gate.settle(slot, &[], &[Decided::from(&*batch)]).await.unwrap();

    let running = bench.start(eager());
    until_live(&bench, &sale, 2).await;
    assert_eq!(bench.in_gate(&sale, "ada").await, None);
    let mut feed = bench.feed().await;
    bench.publish(bench.lone_batch(&sale, "ada")).await;
    outcomes(&mut feed, 1).await;
    assert_eq!(bench.figures(&sale).await.sold, 1);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn the_rebuilt_gate_holds_the_units_of_orders_that_are_set_aside() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let batch = bench.grant(&sale, &["ada".into()]).await;
    let now = bench.seams.gate.now();
    let failed = [(batch.orders()[0].clone(), "broken".to_owned())];
    bench.seams.ledger.set_aside(&failed, now).await.unwrap();

    let bench = bench.with_gate("empty.db").await;
    let running = bench.start(Settings { retry_every: by_hand().retry_every, ..eager() });
    until_live(&bench, &sale, 2).await;
    let figures = bench.figures(&sale).await;
    assert_eq!((figures.available, figures.held), (9, 1));

    decide(&bench, &batch).await;
    eventually("its verdict", async || bench.figures(&sale).await.sold == 1).await;
    bench.conserved(&sale).await;
    running.end().await;
}
