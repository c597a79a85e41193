use std::sync::Arc;
use std::time::Duration;

use sale::id::{BatchId, InstallId, RoundId};
use sale::order::{Batch, OrderV1};
use sale::status::{Reason, Status};
use sale::terms::Restock;
use store::gate::Snapshot;
use store::ledger::{DeadlineFrom, Lease, Ledger, LedgerError, Reached, Sale, WorkerId};
use tokio::task::JoinSet;

use super::{at, audit, create, crowd, deadline, order, state, statuses};

const ONE: WorkerId = WorkerId([1; 16]);
const OTHER: WorkerId = WorkerId([2; 16]);

async fn present(ledger: &Ledger, sale: &Sale) -> Sale {
    ledger.sale_of(sale.round).await.unwrap().unwrap()
}

async fn snapshot(ledger: &Ledger, sale: &Sale) -> Snapshot {
    ledger.snapshot(sale.round).await.unwrap().unwrap()
}

/// Creates a sale whose gate is loaded.
async fn loaded(ledger: &Ledger, stock: u32, limit: u64) -> Sale {
    let sale = create(ledger, stock, limit).await;
    load(ledger, &sale).await;
    sale
}

async fn load(ledger: &Ledger, sale: &Sale) {
    assert!(ledger.set_loaded(&snapshot(ledger, sale).await).await.unwrap());
}

async fn decide(ledger: &Ledger, orders: &[OrderV1], reached: &Reached) -> Vec<Status> {
    statuses(&ledger.decide(orders, reached, &deadline(), at(2_000)).await.unwrap())
}

fn of(order: OrderV1, incarnation: u32) -> OrderV1 {
    OrderV1 { incarnation, ..order }
}

/// A batch of one order, as a gate of this incarnation has written it with its write `sequence`.
fn batch(order: &OrderV1, incarnation: u32, sequence: u64) -> Arc<Batch> {
    let orders = vec![of(order.clone(), incarnation)];
    Arc::new(Batch::new(InstallId([9; 16]), BatchId([8; 16]), sequence, orders).unwrap())
}

/// The incarnation, and whether it is loaded.
async fn incarnation(ledger: &Ledger, sale: &Sale) -> (u32, bool) {
    let sale = present(ledger, sale).await;
    (sale.incarnation, sale.loaded)
}

pub(crate) async fn a_new_round_is_loaded_once(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    assert_eq!((sale.incarnation, sale.loaded), (1, false));
    assert_eq!((sale.sequence, sale.fences, sale.lease), (0, 0, None));
    let snapshot = snapshot(ledger, &sale).await;
    assert!(ledger.set_loaded(&snapshot).await.unwrap());
    assert_eq!(present(ledger, &sale).await, Sale { loaded: true, ..sale.clone() });
    assert!(!ledger.set_loaded(&snapshot).await.unwrap(), "it is loaded already");
}

pub(crate) async fn a_loaded_round_recovers_once_an_incarnation(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    assert!(!ledger.recover(sale.round, 1).await.unwrap(), "it has no gate yet");
    load(ledger, &sale).await;
    let ada = order(&sale, "ada", "", 1);
    let reached = Reached::of(&[batch(&ada, 1, 7)]);
    decide(ledger, std::slice::from_ref(&ada), &reached).await;
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let (ledger, round) = (ledger.clone(), sale.round);
        workers.spawn(async move { ledger.recover(round, 1).await.unwrap() });
    }
    let moved = workers.join_all().await;
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1);
    let recovering = Sale { incarnation: 2, ..sale.clone() };
    assert_eq!(present(ledger, &sale).await, recovering, "nothing is reached in it");
    assert!(!ledger.recover(sale.round, 1).await.unwrap());
    assert!(!ledger.recover(sale.round, 2).await.unwrap(), "it is recovering already");
    load(ledger, &sale).await;
    assert!(!ledger.recover(sale.round, 1).await.unwrap());
    assert!(ledger.recover(sale.round, 2).await.unwrap());
    assert!(!ledger.recover(RoundId(u32::MAX), 1).await.unwrap());
    audit(ledger, &sale).await;
}

pub(crate) async fn each_fence_of_the_incarnation_comes_back_once(ledger: &Ledger) {
    let sale = loaded(ledger, 10, 1).await;
    let fences = async || present(ledger, &sale).await.fences;
    ledger.pass_fence(sale.round, 1, 0).await.unwrap();
    assert_eq!(fences().await, 0, "a loaded round waits for none");
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    for other in [1, 3] {
        ledger.pass_fence(sale.round, other, 0).await.unwrap();
    }
    assert_eq!(fences().await, 0);
    let mut workers = JoinSet::new();
    for partition in [0, 2, 3, 2, 62] {
        let (ledger, round) = (ledger.clone(), sale.round);
        workers.spawn(async move { ledger.pass_fence(round, 2, partition).await.unwrap() });
    }
    workers.join_all().await;
    assert_eq!(fences().await, 0b1101 | (1 << 62));
    let none = ledger.pass_fence(sale.round, 2, 63).await;
    assert!(matches!(none, Err(LedgerError::Refused(_))), "{none:?}");
    ledger.pass_fence(RoundId(u32::MAX), 2, 0).await.unwrap();
    load(ledger, &sale).await;
    assert!(ledger.recover(sale.round, 2).await.unwrap());
    assert_eq!(fences().await, 0, "the next incarnation waits for its own");
}

pub(crate) async fn a_lease_is_one_workers_until_it_ends(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let lease =
        async |by, now, until| ledger.lease(sale.round, by, at(now), at(until)).await.unwrap();
    let held = async || present(ledger, &sale).await.lease;
    assert!(lease(ONE, 0, 100).await);
    assert!(!lease(OTHER, 99, 500).await);
    assert_eq!(held().await, Some(Lease { by: ONE, until: at(100) }));
    assert!(lease(ONE, 50, 200).await, "renewed");
    assert!(!lease(OTHER, 199, 500).await);
    assert!(lease(OTHER, 200, 300).await, "it has ended");
    assert!(!lease(ONE, 201, 900).await, "and is lost");
    ledger.end_lease(sale.round, ONE).await.unwrap();
    assert_eq!(held().await, Some(Lease { by: OTHER, until: at(300) }), "it is not his to end");
    for _twice in 0..2 {
        ledger.end_lease(sale.round, OTHER).await.unwrap();
        assert_eq!(held().await, None);
    }
    assert!(lease(ONE, 201, 300).await, "given back before its end");
    load(ledger, &sale).await;
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    assert_eq!(held().await, Some(Lease { by: ONE, until: at(300) }), "whatever the gate does");
    let nowhere = ledger.lease(RoundId(u32::MAX), ONE, at(0), at(100)).await.unwrap();
    assert!(!nowhere);
}

pub(crate) async fn a_lease_by_a_clock_far_ahead_counts_as_ended(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let lease =
        async |by, now, until| ledger.lease(sale.round, by, at(now), at(until)).await.unwrap();
    assert!(lease(ONE, 3_600_000, 3_600_100).await);
    assert!(!lease(OTHER, 3_599_900, 3_600_000).await, "twice as far ahead is believed");
    assert!(lease(OTHER, 0, 100).await);
    let held = present(ledger, &sale).await.lease;
    assert_eq!(held, Some(Lease { by: OTHER, until: at(100) }));
    let holds = |now| held.unwrap().holds(at(now), Duration::from_millis(100));
    let told = [-101, -100, 99, 100].map(holds);
    assert_eq!(told, [false, true, true, false], "who asks is told the same");
}

pub(crate) async fn of_many_workers_one_gets_the_lease(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let mut workers = JoinSet::new();
    for n in 0..12 {
        let (ledger, round) = (ledger.clone(), sale.round);
        workers.spawn(async move {
            let by = WorkerId([n; 16]);
            ledger.lease(round, by, at(0), at(100)).await.unwrap().then_some(by)
        });
    }
    let got: Vec<WorkerId> = workers.join_all().await.into_iter().flatten().collect();
    let held = present(ledger, &sale).await.lease.map(|lease| lease.by);
    assert_eq!(got, Vec::from_iter(held));
}

pub(crate) async fn a_round_is_loaded_from_what_still_stands(ledger: &Ledger) {
    let sale = create(ledger, 10, 4).await;
    let orders = crowd(&sale, 4);
    let up = async |key| {
        ledger.begin_restock(sale.round, key, &Restock::new(5).unwrap()).await.unwrap();
    };
    let down = async |key| {
        ledger.begin_restock(sale.round, key, &Restock::new(-5).unwrap()).await.unwrap();
        ledger.finish_restock(sale.round, key, -5).await.unwrap();
    };
    let stale = async |old: Snapshot, why| {
        assert!(!ledger.set_loaded(&old).await.unwrap(), "{why}");
        snapshot(ledger, &sale).await
    };
    let mut last = snapshot(ledger, &sale).await;
    decide(ledger, &orders[..1], &Reached::default()).await;
    last = stale(last, "one was confirmed").await;
    ledger.reject(&orders[1], Reason::Unprocessable, at(2_000)).await.unwrap();
    last = stale(last, "one was rejected").await;
    up("a").await;
    last = stale(last, "units were added").await;
    down("b").await;
    last = stale(last, "units were taken back").await;
    up("c").await;
    down("d").await;
    last = stale(last, "the gate would apply again what cancels out").await;
    decide(ledger, &[order(&sale, "ada", "", 5)], &Reached::default()).await;
    last = stale(last, "one did not fit").await;

    ledger.finish_restock(sale.round, "a", 5).await.unwrap();
    decide(ledger, &orders[..2], &Reached::default()).await;
    assert!(ledger.set_loaded(&last).await.unwrap(), "nothing of this changes what is loaded");
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    assert!(!ledger.set_loaded(&last).await.unwrap(), "of an older incarnation");
    load(ledger, &sale).await;
    audit(ledger, &sale).await;
}

pub(crate) async fn a_gate_that_is_live_is_confirmed_once_whatever_was_decided(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    decide(ledger, &crowd(&sale, 3), &Reached::default()).await;
    let confirm = async |incarnation| ledger.confirm_loaded(sale.round, incarnation).await.unwrap();
    assert!(!confirm(2).await, "another incarnation");
    assert!(confirm(1).await);
    assert_eq!(incarnation(ledger, &sale).await, (1, true));
    assert!(!confirm(1).await, "it is loaded already");
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    assert!(!confirm(1).await, "that gate is gone");
    assert!(!ledger.confirm_loaded(RoundId(u32::MAX), 1).await.unwrap());

    let retired = create(ledger, 10, 1).await;
    assert!(ledger.retire(retired.round).await.unwrap());
    assert!(!ledger.confirm_loaded(retired.round, 1).await.unwrap());
    audit(ledger, &sale).await;
}

/// Either the round is loaded first, and what does not fit moves it; or what does not fit comes
/// first, and the snapshot is too old.
pub(crate) async fn a_round_is_loaded_before_a_verdict_or_not_at_all(ledger: &Ledger) {
    for _ in 0..20 {
        let sale = create(ledger, 1, 2).await;
        let (snapshot, order) = (snapshot(ledger, &sale).await, [order(&sale, "ada", "", 2)]);
        let reached = Reached::default();
        let (loaded, verdicts) =
            tokio::join!(ledger.set_loaded(&snapshot), decide(ledger, &order, &reached));
        assert_eq!(verdicts, [Status::Rejected(Reason::SoldOut)]);
        let moved = if loaded.unwrap() { 2 } else { 1 };
        assert_eq!(incarnation(ledger, &sale).await, (moved, false));
    }
}

pub(crate) async fn the_sequence_rises_to_what_decided_batches_carried(ledger: &Ledger) {
    let sale = loaded(ledger, 10, 1).await;
    let other = loaded(ledger, 10, 1).await;
    let orders = crowd(&sale, 3);
    let sequence = async || present(ledger, &sale).await.sequence;
    let decided = async |n: usize, incarnation, sequence| {
        let reached = Reached::of(&[batch(&orders[n], incarnation, sequence)]);
        decide(ledger, &orders[n..=n], &reached).await;
    };
    decided(0, 1, 7).await;
    assert_eq!(sequence().await, 7);
    decided(1, 1, 5).await;
    assert_eq!(sequence().await, 7, "it never falls");
    decided(0, 1, 1 << 40).await;
    assert_eq!(sequence().await, 1 << 40, "also by what stands already");
    assert_eq!(present(ledger, &other).await.sequence, 0);
    decide(ledger, &orders, &Reached::default()).await;
    assert_eq!(sequence().await, 1 << 40);

    assert!(ledger.recover(sale.round, 1).await.unwrap());
    decided(2, 1, 1 << 41).await;
    assert_eq!(sequence().await, 0, "of the gate that is gone");
    load(ledger, &sale).await;
    decided(2, 2, 3).await;
    assert_eq!(sequence().await, 3);
    audit(ledger, &sale).await;
}

pub(crate) async fn what_a_gate_in_order_would_not_grant_moves_the_round(ledger: &Ledger) {
    let none = Reached::default();
    let sale = loaded(ledger, 1, 1).await;
    let [ada, bo] = ["ada", "bo"].map(|buyer| order(&sale, buyer, "", 1));
    let reached = Reached::of(&[batch(&bo, 1, 9)]);
    let verdicts = decide(ledger, &[ada.clone(), bo.clone()], &reached).await;
    assert_eq!(verdicts, [Status::Confirmed, Status::Rejected(Reason::SoldOut)]);
    assert_eq!(incarnation(ledger, &sale).await, (2, false));
    assert_eq!(present(ledger, &sale).await.sequence, 0);
    load(ledger, &sale).await;
    decide(ledger, &[ada, of(bo, 2)], &none).await;
    assert_eq!(incarnation(ledger, &sale).await, (2, true), "its verdict stood before");
    audit(ledger, &sale).await;

    let sale = loaded(ledger, 10, 1).await;
    let twice = ["a", "b"].map(|request| order(&sale, "ada", request, 1));
    let verdicts = decide(ledger, &twice, &none).await;
    assert_eq!(verdicts, [Status::Confirmed, Status::Rejected(Reason::Limit)]);
    assert_eq!(incarnation(ledger, &sale).await, (2, false));
    audit(ledger, &sale).await;
}

pub(crate) async fn no_other_rejection_moves_the_round(ledger: &Ledger) {
    let none = Reached::default();
    let sale = loaded(ledger, 1, 2).await;
    let [ada, bo, eve, dan] = ["ada", "bo", "eve", "dan"].map(|buyer| order(&sale, buyer, "", 2));
    let late = DeadlineFrom { reachable_since: at(0) };
    let decided = ledger.decide(&[ada], &none, &late, at(900_000)).await.unwrap();
    assert_eq!(state(&decided[0]).status, Status::Rejected(Reason::Deadline));
    ledger.reject(&bo, Reason::Unprocessable, at(2_000)).await.unwrap();
    decide(ledger, &[of(eve, 0)], &none).await;
    assert_eq!(incarnation(ledger, &sale).await, (1, true), "nor one brought by a token");
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    decide(ledger, &[of(dan, 2)], &none).await;
    assert_eq!(incarnation(ledger, &sale).await, (2, false), "nor one while it is recovering");
    load(ledger, &sale).await;
    decide(ledger, &[order(&sale, "fay", "", 2)], &none).await;
    assert_eq!(incarnation(ledger, &sale).await, (2, true), "nor one of an older incarnation");
    audit(ledger, &sale).await;
}

/// The order of a round that nobody knows has the others decided in halves.
pub(crate) async fn halves_of_a_take_move_the_round_once(ledger: &Ledger) {
    let none = Reached::default();
    let [sale, free] = [loaded(ledger, 5, 1).await, loaded(ledger, 99, 1).await];
    for (sale, moved, sequence) in [(&sale, (2, false), 0), (&free, (1, true), 4)] {
        let mut orders = crowd(sale, 40);
        orders[11].ticket.0[..4].copy_from_slice(&[0xff; 4]);
        let reached = Reached::of(&[batch(&orders[30], 1, 4)]);
        let decided = ledger.decide(&orders, &reached, &deadline(), at(2_000)).await.unwrap();
        assert_eq!(decided.len(), 40);
        assert_eq!(incarnation(ledger, sale).await, moved);
        assert_eq!(present(ledger, sale).await.sequence, sequence);
        audit(ledger, sale).await;
    }
    decide(ledger, &crowd(&sale, 60)[40..], &none).await;
    assert_eq!(incarnation(ledger, &sale).await, (2, false));
}

pub(crate) async fn a_round_that_is_not_loaded_is_restocked_and_retired(ledger: &Ledger) {
    let sale = loaded(ledger, 10, 1).await;
    assert!(ledger.recover(sale.round, 1).await.unwrap());
    for (key, units) in [("up", 5), ("down", -3)] {
        ledger.begin_restock(sale.round, key, &Restock::new(units).unwrap()).await.unwrap();
        ledger.finish_restock(sale.round, key, units).await.unwrap();
    }
    assert_eq!(ledger.counts(sale.round).await.unwrap().unwrap().available, 12);
    let before = snapshot(ledger, &sale).await;
    assert!(ledger.retire(sale.round).await.unwrap());
    assert!(!ledger.set_loaded(&before).await.unwrap(), "the ledger alone answers for it");
    audit(ledger, &sale).await;

    let sale = loaded(ledger, 1, 2).await;
    assert!(ledger.retire(sale.round).await.unwrap());
    assert!(!ledger.recover(sale.round, 1).await.unwrap());
    decide(ledger, &[order(&sale, "ada", "", 2)], &Reached::default()).await;
    assert_eq!(incarnation(ledger, &sale).await, (1, true));
    audit(ledger, &sale).await;
}

/// Two keepers move and load the round as often as they can while two workers decide its orders.
pub(crate) async fn keepers_and_deciders_disturb_nothing_of_each_other(ledger: &Ledger) {
    let sale = loaded(ledger, 600, 1).await;
    let orders = crowd(&sale, 600);
    let mut deciders = JoinSet::new();
    for half in orders.chunks(300) {
        let (ledger, half) = (ledger.clone(), half.to_vec());
        deciders.spawn(async move {
            for part in half.chunks(10) {
                let verdicts = decide(&ledger, part, &Reached::default()).await;
                assert!(verdicts.iter().all(|verdict| *verdict == Status::Confirmed));
            }
        });
    }
    let mut keepers = JoinSet::new();
    for by in [ONE, OTHER] {
        let (ledger, sale) = (ledger.clone(), sale.clone());
        keepers.spawn(async move {
            let (mut moved, mut loaded) = (0, 0);
            for _ in 0..40 {
                ledger.lease(sale.round, by, at(0), at(100)).await.unwrap();
                let seen = present(&ledger, &sale).await.incarnation;
                moved += u32::from(ledger.recover(sale.round, seen).await.unwrap());
                ledger.pass_fence(sale.round, seen, 0).await.unwrap();
                let snapshot = snapshot(&ledger, &sale).await;
                loaded += u32::from(ledger.set_loaded(&snapshot).await.unwrap());
                ledger.end_lease(sale.round, by).await.unwrap();
            }
            (moved, loaded)
        });
    }
    deciders.join_all().await;
    let done = keepers.join_all().await;
    let (moved, loaded) = done.iter().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    let present = present(ledger, &sale).await;
    assert_eq!(present.incarnation, 1 + moved);
    // Each incarnation but the last was loaded before it was moved.
    assert_eq!(1 + loaded, moved + u32::from(present.loaded));
    audit(ledger, &sale).await;
}
