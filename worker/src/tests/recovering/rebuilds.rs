//! The rebuild itself: who does it, and what may come in its way.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::Executor as _;
use store::gate::{GateError, Slot};

use super::{
    at_once, decide, drive, drive_past_the_fence, eager, is_live, keeper, keeper_with, row, sell,
    until_live,
};
use crate::Settings;
use crate::rounds::{Keeper, Walked};
use crate::tests::bench::{Bench, buyers, eventually, in_time};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

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
    let long = Settings { lease_for: HOUR, ..at_once() };
    keeper_with(&bench, &long).step().await;
    let held = row(&bench, &sale).await;
    assert_eq!((held.incarnation, held.loaded), (2, false));
    let _consumer = bench.consume_only();
    eventually("its fences", async || row(&bench, &sale).await.fences == 1).await;

    let mut other = keeper_with(&bench, &long);
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

/// Loses the gate in favour of this one while buyers read their tokens.
async fn rebuild_while_verdicts_land(gate: &str) {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 100).await;
    sell(&bench, &sale, &["early".into()]).await;
    bench.keep_gate("older.db").await;
    sell(&bench, &sale, &["late".into()]).await;

    let bench = bench.with_gate(gate).await;
    let running = bench.start(eager());
    for buyer in buyers(40) {
        bench.publish(bench.lone_batch(&sale, &buyer)).await;
        eventually("a verdict", async || bench.in_ledger(&sale, &buyer).await.is_some()).await;
    }
    let all_sold = async || {
        let gate = bench.seams.gate.figures(Slot::first(sale.round)).await;
        gate.is_ok_and(|gate| gate.sold == 42 && !gate.frozen)
    };
    eventually("all of them in the gate", all_sold).await;
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn verdicts_that_land_at_any_moment_of_a_rebuild_are_not_lost() {
    rebuild_while_verdicts_land("empty.db").await;
}

#[tokio::test]
async fn verdicts_that_move_the_older_gate_while_it_is_replaced_are_not_lost() {
    rebuild_while_verdicts_land("older.db").await;
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
async fn orders_that_another_worker_has_in_hand_are_waited_for_beyond_the_fence() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 1).await;
    let in_hand = bench.grant(&sale, &["ada".into()]).await;
    let bench = bench.with_gate("empty.db").await;
    let _consumer = bench.consume_only();
    let patient = Settings { still_without_gate: HOUR, ..at_once() };
    drive_past_the_fence(&bench, &sale, &mut keeper_with(&bench, &patient)).await;
    let refused = bench.claim(&sale, &["bob".into()]).await.unwrap_err();
    assert!(matches!(refused, GateError::NotWarm(_)), "{refused}");

    decide(&bench, &in_hand).await;
    drive(&mut keeper(&bench)).await;
    assert!(is_live(&bench, &sale, 2).await);
    assert!(bench.claim(&sale, &["bob".into()]).await.unwrap().batch.is_none(), "sold out");
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn an_old_gate_that_is_drained_shortens_the_wait() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    bench.keep_gate("older.db").await;
    sell(&bench, &sale, &buyers(4)).await;
    let bench = bench.with_gate("older.db").await;
    let _consumer = bench.consume_only();
    let patient = Settings { still_for: HOUR, ..at_once() };
    drive_past_the_fence(&bench, &sale, &mut keeper_with(&bench, &patient)).await;
    assert!(!row(&bench, &sale).await.loaded);

    let brief = Settings { still_without_gate: HOUR, ..at_once() };
    drive(&mut keeper_with(&bench, &brief)).await;
    assert!(is_live(&bench, &sale, 2).await);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_later_incarnation_that_was_loaded_without_a_word_recovers_once_more() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let lone = bench.lone_batch(&sale, "ada");
    let bench = bench.with_gate("empty.db").await;
    assert!(bench.seams.ledger.recover(sale.round, 1).await.unwrap());
    let snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert!(bench.seams.gate.warm(snapshot, None).await.unwrap());
    decide(&bench, &lone).await;

    let running = bench.start(eager());
    until_live(&bench, &sale, 3).await;
    assert_eq!(bench.figures(&sale).await.sold, 1);
    bench.conserved(&sale).await;
    running.end().await;
}

#[tokio::test]
async fn a_new_round_that_is_being_loaded_does_not_count_as_recovering() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let walked = Arc::new(Walked::default());
    let settings = Settings { lease_for: HOUR, ..at_once() };
    let mut keeper = Keeper::new(bench.seams.clone(), walked.clone(), &settings);
    keeper.step().await;
    assert!(row(&bench, &sale).await.lease.is_some(), "it is at work");
    assert_eq!(walked.recovering(), []);
    keeper.built().await;
    assert!(is_live(&bench, &sale, 1).await);
}

#[tokio::test]
async fn a_round_that_could_not_be_loaded_does_not_recover_again_at_once() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    sell(&bench, &sale, &buyers(4)).await;
    let bench = bench.with_gate("empty.db").await;
    let _consumer = bench.consume_only();
    let mut intruder = bench.intruder("ledger.db").await;
    intruder.execute("ALTER TABLE aside RENAME TO missing").await.unwrap();
    let mut patient = keeper_with(&bench, &Settings { build_again: HOUR, ..at_once() });
    drive_past_the_fence(&bench, &sale, &mut patient).await;
    intruder.execute("ALTER TABLE missing RENAME TO aside").await.unwrap();
    drive(&mut patient).await;
    let failed = row(&bench, &sale).await;
    assert_eq!((failed.incarnation, failed.loaded), (2, true), "it waits");
    let missing = bench.claim(&sale, &buyers(1)).await.unwrap_err();
    assert!(matches!(missing, GateError::NotWarm(_)), "{missing}");

    drive_past_the_fence(&bench, &sale, &mut keeper(&bench)).await;
    assert!(is_live(&bench, &sale, 3).await);
    bench.conserved(&sale).await;
}

#[tokio::test]
async fn a_round_whose_rows_do_not_add_up_is_not_read_again_at_once() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let mut intruder = bench.intruder("ledger.db").await;
    intruder.execute("UPDATE rounds SET rejected = 1").await.unwrap();
    let mut patient = keeper_with(&bench, &Settings { build_again: HOUR, ..at_once() });
    drive(&mut patient).await;
    intruder.execute("UPDATE rounds SET rejected = 0").await.unwrap();
    drive(&mut patient).await;
    assert!(!row(&bench, &sale).await.loaded, "it waits");
    drive(&mut keeper(&bench)).await;
    assert!(is_live(&bench, &sale, 1).await);
}
