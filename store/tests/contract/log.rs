//! What every log must do, whatever engine it runs on. Each function has orders and outcomes of
//! its own install, and passes over those of others, so that all of them can share one engine.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use sale::id::{BatchId, BuyerId, InstallId, SaleId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::outcome::Outcome;
use sale::ticket::Ticket;
use sale::time::Timestamp;
use sale::units::Units;
use store::log::{Feed, FeedEvent, Log, Orders};

/// A failure guard, not a measure.
async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it comes in time")
}

fn fresh_install() -> InstallId {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    InstallId([NEXT.fetch_add(1, Ordering::Relaxed); 16])
}

fn order(n: u8) -> OrderV1 {
    let mut ticket = TicketId([n; 16]);
    ticket.0[..5].fill(0);
    OrderV1 {
        ticket,
        buyer: BuyerId::new("ada").unwrap(),
        units: Units::ONE,
        granted_at: Timestamp::from_millis(1_000).unwrap(),
        incarnation: 1,
    }
}

fn batch(install: InstallId, id: u8, orders: u8) -> Arc<Batch> {
    let orders = (1..=orders).map(order).collect();
    Arc::new(Batch::new(install, BatchId([id; 16]), u64::from(id), orders).unwrap())
}

fn outcome(install: InstallId, n: u8) -> Outcome {
    let order = order(n);
    let sale = SaleId::new("s").unwrap();
    let ticket = Ticket { id: order.ticket, sale, state: order.pending() };
    Outcome { install, ticket }
}

/// Receives and acknowledges until all these batches of the install have come.
async fn receive(orders: &mut Orders, install: InstallId, mut missing: HashSet<BatchId>) {
    while !missing.is_empty() {
        let deliveries = within(orders.next(100)).await.unwrap();
        for delivery in deliveries.iter().filter(|delivery| delivery.batch.install == install) {
            missing.remove(&delivery.batch.id);
        }
        orders.ack(deliveries).await.unwrap();
    }
}

/// A batch travels whole: the same orders, in their order.
pub(crate) async fn a_batch_comes_as_it_was_published(log: Log) {
    let install = fresh_install();
    let sent = batch(install, 1, 5);
    let mut orders = log.orders().await.unwrap();
    log.publish(sent.clone()).await.unwrap();
    loop {
        let deliveries = within(orders.next(1)).await.unwrap();
        let found = deliveries.iter().find(|delivery| delivery.batch.install == install);
        let received = found.map(|delivery| delivery.batch.clone());
        orders.ack(deliveries).await.unwrap();
        if let Some(received) = received {
            assert_eq!(received, sent);
            return;
        }
    }
}

/// What is published before anybody receives waits for the first who does.
pub(crate) async fn batches_wait_for_a_consumer(log: Log) {
    let install = fresh_install();
    for id in 1..=20 {
        log.publish(batch(install, id, 2)).await.unwrap();
    }
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, install, (1..=20).map(|id| BatchId([id; 16])).collect()).await;
}

/// Taking stops when enough orders are together; what is left comes with the next take.
pub(crate) async fn a_take_is_bounded_and_leaves_the_rest(log: Log) {
    let install = fresh_install();
    for id in 1..=3 {
        log.publish(batch(install, id, 10)).await.unwrap();
    }
    let mut orders = log.orders().await.unwrap();
    let mut missing: HashSet<_> = (1..=3).map(|id| BatchId([id; 16])).collect();
    while !missing.is_empty() {
        let deliveries = within(orders.next(11)).await.unwrap();
        let taken: Vec<_> = deliveries.iter().map(|delivery| delivery.batch.clone()).collect();
        let all_but_last: usize =
            taken.iter().rev().skip(1).map(|batch| batch.orders().len()).sum();
        assert!(all_but_last < 11, "enough orders were together before the last batch");
        orders.ack(deliveries).await.unwrap();
        for batch in taken.iter().filter(|batch| batch.install == install) {
            missing.remove(&batch.id);
        }
    }
}

/// Several consumers share the work: together they receive everything.
pub(crate) async fn consumers_share_the_work(log: Log) {
    let install = fresh_install();
    let (mut one, mut two) = (log.orders().await.unwrap(), log.orders().await.unwrap());
    let mut missing: HashSet<_> = (1..=40).map(|id| BatchId([id; 16])).collect();
    for id in 1..=40 {
        log.publish(batch(install, id, 1)).await.unwrap();
    }
    while !missing.is_empty() {
        let (deliveries, of_one) = within(async {
            tokio::select! {
                deliveries = one.next(1) => (deliveries, true),
                deliveries = two.next(1) => (deliveries, false),
            }
        })
        .await;
        let deliveries = deliveries.unwrap();
        for delivery in deliveries.iter().filter(|delivery| delivery.batch.install == install) {
            missing.remove(&delivery.batch.id);
        }
        let consumer = if of_one { &mut one } else { &mut two };
        consumer.ack(deliveries).await.unwrap();
    }
}

/// Giving up a wait loses nothing.
pub(crate) async fn a_wait_that_is_dropped_loses_nothing(log: Log) {
    let install = fresh_install();
    let mut orders = log.orders().await.unwrap();
    for id in 1..=20 {
        let dropped = tokio::time::timeout(Duration::ZERO, orders.next(1)).await;
        if let Ok(deliveries) = dropped {
            orders.ack(deliveries.unwrap()).await.unwrap();
        }
        log.publish(batch(install, id, 1)).await.unwrap();
        receive(&mut orders, install, HashSet::from([BatchId([id; 16])])).await;
    }
}

async fn hear(feed: &mut Feed, install: InstallId, mut missing: HashSet<TicketId>) {
    while !missing.is_empty() {
        match within(feed.next()).await.unwrap() {
            FeedEvent::Outcomes(outcomes) => {
                for outcome in outcomes.iter().filter(|outcome| outcome.install == install) {
                    missing.remove(&outcome.ticket.id);
                }
            }
            FeedEvent::Gap => panic!("a feed that keeps up misses nothing"),
        }
    }
}

/// Every watcher hears every outcome from the moment he listens.
pub(crate) async fn every_feed_hears_every_outcome(log: Log) {
    let install = fresh_install();
    let (mut one, mut two) = (log.outcomes().await.unwrap(), log.outcomes().await.unwrap());
    let outcomes: Vec<_> = (1..=9).map(|n| outcome(install, n)).collect();
    let tickets: HashSet<_> = outcomes.iter().map(|outcome| outcome.ticket.id).collect();
    for part in outcomes.chunks(4) {
        log.publish_outcomes(part.to_vec()).await.unwrap();
    }
    hear(&mut one, install, tickets.clone()).await;
    hear(&mut two, install, tickets).await;
}

/// Outcomes that nobody listens for are no fault.
pub(crate) async fn outcomes_without_a_watcher_are_no_fault(log: Log) {
    log.publish_outcomes(vec![outcome(fresh_install(), 1)]).await.unwrap();
    log.probe().await.unwrap();
}
