//! What makes a round recover, and how it stands afterwards.

use sale::grant::Answer;
use sale::status::{Reason, Status};
use store::gate::{Decided, GateError, Slot};

use super::{decide, drive, eager, is_live, keeper, row, sell, until_live};
use crate::Settings;
use crate::tests::bench::{Bench, buyers, by_hand, eventually, outcomes};

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
async fn verdicts_of_a_round_that_recovers_are_told_and_do_not_come_again_before_its_fence() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let bench = bench.with_gate("empty.db").await;
    assert!(bench.seams.ledger.recover(sale.round, 1).await.unwrap());
    let mut feed = bench.feed().await;
    let _consumer = bench.consume_only();
    bench.publish(bench.lone_batch(&sale, "ada")).await;

    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.state.status, Status::Confirmed);
    let missing = bench.claim(&sale, &buyers(1)).await.unwrap_err();
    assert!(matches!(missing, GateError::NotWarm(_)), "{missing}");
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
async fn a_new_sale_is_loaded_by_one_walk_without_a_fence() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 10).await;
    let mut keeper = keeper(&bench);
    keeper.step().await;
    keeper.built().await;
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
    let early = bench.lone_batch(&sale, "ada");
    decide(&bench, &early).await;
    keeper(&bench).step().await;
    assert!(is_live(&bench, &sale, 1).await);
    assert_eq!(bench.figures(&sale).await.held, 1);
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
