//! Two workers side by side.

use std::time::Duration;

use sale::status::Status;
use store::gate::{GateError, Slot};
use store::ledger::Amendment;

use super::bench::{Bench, buyers, eventually, outcomes};
use crate::Settings;

fn eager() -> Settings {
    let soon = Duration::from_millis(5);
    Settings {
        retry_every: soon,
        tend_every: soon,
        retire_after: Duration::ZERO,
        restock_after: Duration::ZERO,
        ..Settings::default()
    }
}

#[tokio::test]
async fn every_order_gets_one_verdict_and_the_round_is_loaded_and_retired_once() {
    let bench = Bench::new().await;
    let sale = bench.cold_sale("lamp", 150).await;
    let mut feed = bench.feed().await;
    let workers = [bench.start(eager()), bench.start(eager())];
    let slot = Slot::first(sale.round);
    eventually("the round", async || bench.seams.gate.figures(slot).await.is_ok()).await;

    for some in buyers(150).chunks(10) {
        let batch = bench.order(&sale, some).await;
        bench.publish(batch).await;
    }

    let told = outcomes(&mut feed, 150).await;
    assert!(told.iter().all(|outcome| outcome.ticket.state.status == Status::Confirmed));
    eventually("quiet", async || bench.figures(&sale).await.undecided == 0).await;
    bench.conserved(&sale).await;

    let now = bench.seams.gate.now();
    bench.seams.ledger.amend(&sale.id, &Amendment::Close, now).await.unwrap();
    eventually("retirement", async || {
        let gone = bench.seams.gate.figures(slot).await;
        matches!(gone, Err(GateError::NotWarm(_)))
    })
    .await;
    let counts = bench.seams.ledger.counts(sale.round).await.unwrap().unwrap();
    assert_eq!((counts.sold(), counts.available), (150, 0));
    for worker in workers {
        worker.end().await;
    }
}

#[tokio::test]
async fn a_change_of_stock_that_both_finish_counts_once() {
    let bench = Bench::new().await;
    let sale = bench.sale("lamp", 10).await;
    let more = sale::terms::Restock::new(5).unwrap();
    bench.seams.ledger.begin_restock(sale.round, "k", &more).await.unwrap();

    let workers = [bench.start(eager()), bench.start(eager())];
    eventually("the end of it", async || {
        bench.seams.ledger.unfinished_restocks().await.unwrap().is_empty()
    })
    .await;

    assert_eq!(bench.figures(&sale).await.available, 15);
    bench.conserved(&sale).await;
    for worker in workers {
        worker.end().await;
    }
}
