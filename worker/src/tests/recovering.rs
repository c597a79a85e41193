//! A gate that has lost acknowledged writes, or disagrees with the ledger, is rebuilt.

mod losses;
mod rebuilds;

use std::sync::Arc;
use std::time::Duration;

use sale::order::Batch;
use store::gate::Slot;
use store::ledger::{DeadlineFrom, Reached, Sale};

use super::bench::{Bench, by_hand, eventually, outcomes};
use crate::Settings;
use crate::rounds::Keeper;

/// Everything comes soon.
pub(super) fn eager() -> Settings {
    let soon = Duration::from_millis(5);
    Settings {
        retry_every: soon,
        tend_every: soon,
        recover_every: soon,
        still_for: Duration::ZERO,
        still_without_gate: Duration::ZERO,
        build_again: soon,
        ..Settings::default()
    }
}

/// Nothing is waited for but what must come. When such a keeper stops, its lease has ended.
pub(super) fn at_once() -> Settings {
    let now = Duration::ZERO;
    Settings { lease_for: now, fence_again: now, build_again: now, ..eager() }
}

/// A keeper that is driven by hand.
pub(super) fn keeper_with(bench: &Bench, settings: &Settings) -> Keeper {
    Keeper::new(bench.seams.clone(), Arc::default(), settings)
}

pub(super) fn keeper(bench: &Bench) -> Keeper {
    keeper_with(bench, &at_once())
}

/// Some walks and steps, more than a rebuild takes if nothing is missing.
pub(super) async fn drive(keeper: &mut Keeper) {
    for _ in 0..5 {
        keeper.step().await;
        keeper.built().await;
        keeper.recover().await;
        keeper.built().await;
    }
}

pub(super) async fn row(bench: &Bench, sale: &Sale) -> Sale {
    bench.seams.ledger.sale_of(sale.round).await.unwrap().unwrap()
}

/// Whether the round is live in this incarnation, in ledger and gate.
pub(super) async fn is_live(bench: &Bench, sale: &Sale, incarnation: u32) -> bool {
    let row = row(bench, sale).await;
    let gate = bench.seams.gate.figures(Slot::first(sale.round)).await;
    let gate = gate.is_ok_and(|gate| gate.incarnation == incarnation && !gate.frozen);
    row.loaded && row.incarnation == incarnation && gate
}

/// Waits for the fence of the round, which has one partition here, and goes on.
pub(super) async fn drive_past_the_fence(bench: &Bench, sale: &Sale, keeper: &mut Keeper) {
    drive(keeper).await;
    eventually("its fence", async || row(bench, sale).await.fences == 1).await;
    drive(keeper).await;
}

pub(super) async fn until_live(bench: &Bench, sale: &Sale, incarnation: u32) {
    eventually("the rebuilt gate", async || is_live(bench, sale, incarnation).await).await;
}

/// Grants to these, and has it decided.
pub(super) async fn sell(bench: &Bench, sale: &Sale, buyers: &[String]) {
    let mut feed = bench.feed().await;
    let running = bench.start(by_hand());
    bench.order(sale, buyers).await;
    outcomes(&mut feed, buyers.len()).await;
    running.end().await;
}

/// Has the ledger alone decide what was granted.
pub(super) async fn decide(bench: &Bench, batch: &Arc<Batch>) {
    let now = bench.seams.gate.now();
    let deadline = DeadlineFrom { reachable_since: now };
    let reached = Reached::of(std::slice::from_ref(batch));
    bench.seams.ledger.decide(batch.orders(), &reached, &deadline, now).await.unwrap();
}
