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
    Settings { retry_every: soon, tend_every: soon, recover_every: soon, ..Settings::default() }
}

/// A keeper that is driven by hand. When it stops, its lease has ended.
pub(super) fn keeper(bench: &Bench) -> Keeper {
    let settings =
        Settings { lease_for: Duration::ZERO, fence_again: Duration::ZERO, ..Settings::default() };
    Keeper::new(bench.seams.clone(), Arc::default(), &settings)
}

/// Some walks and steps, more than a rebuild takes if nothing is missing.
pub(super) async fn drive(keeper: &mut Keeper) {
    for _ in 0..5 {
        keeper.step().await;
        keeper.recover().await;
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
