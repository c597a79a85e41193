//! What every log must do, whatever engine it runs on. Each function gets a log of its own, of
//! the install [`INSTALL`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sale::fence::Fence;
use sale::id::{BatchId, BuyerId, InstallId, RoundId, SaleId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::outcome::Outcome;
use sale::ticket::Ticket;
use sale::time::Timestamp;
use sale::units::Units;
use store::log::{Delivery, Feed, FeedEvent, Log, Message, Orders};

/// Hands every case to the runner of an engine.
macro_rules! every_case {
    ($run:ident) => {
        $run!(
            a_batch_comes_as_it_was_published,
            a_batch_of_many_orders_with_long_names_travels_whole,
            batches_wait_for_a_consumer,
            what_many_publish_at_once_comes,
            a_take_is_bounded_and_leaves_the_rest,
            consumers_share_the_work,
            a_consumer_that_is_dropped_leaves_the_rest_to_the_next,
            a_wait_that_is_dropped_loses_nothing,
            every_feed_hears_every_outcome,
            outcomes_without_a_watcher_are_no_fault,
            a_fence_comes_once_from_every_partition,
            a_fence_comes_after_the_batches_that_were_published_before_it,
            a_fence_among_batches_is_given_back_and_acknowledged_alone,
        );
    };
}

/// Whose orders and outcomes these are.
pub(crate) const INSTALL: InstallId = InstallId([7; 16]);

/// A failure guard, not a measure.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes in time")
}

fn order(n: u16, buyer: &str) -> OrderV1 {
    let mut ticket = TicketId([0; 16]);
    ticket.0[14..].copy_from_slice(&n.to_be_bytes());
    OrderV1 {
        ticket,
        buyer: BuyerId::new(buyer).unwrap(),
        units: Units::ONE,
        granted_at: Timestamp::from_millis(1_000).unwrap(),
        incarnation: 1,
    }
}

pub(crate) fn id(n: u16) -> BatchId {
    let mut id = BatchId([0; 16]);
    id.0[..2].copy_from_slice(&n.to_be_bytes());
    id
}

/// The ids of the batches 1 to `last`.
pub(crate) fn ids(last: u16) -> HashSet<BatchId> {
    (1..=last).map(id).collect()
}

pub(crate) fn batch(n: u16, orders: u16) -> Arc<Batch> {
    let orders = (1..=orders).map(|n| order(n, "ada")).collect();
    Arc::new(Batch::new(INSTALL, id(n), n.into(), orders).unwrap())
}

pub(crate) fn outcome(n: u16) -> Outcome {
    let order = order(n, "ada");
    let sale = SaleId::new("s").unwrap();
    let ticket = Ticket { id: order.ticket, sale, state: order.pending() };
    Outcome { install: INSTALL, ticket }
}

/// What was delivered, which is a batch.
pub(crate) fn of(delivery: &Delivery) -> &Batch {
    delivery.batch().expect("only batches were published")
}

/// Receives and acknowledges until all these batches have come.
pub(crate) async fn receive(orders: &mut Orders, mut missing: HashSet<BatchId>) {
    while !missing.is_empty() {
        let deliveries = within(orders.next(100)).await.unwrap();
        for delivery in &deliveries {
            missing.remove(&of(delivery).id);
        }
        orders.ack(deliveries).await.unwrap();
    }
}

/// A batch travels whole: the same orders, in their order.
pub(crate) async fn a_batch_comes_as_it_was_published(log: Log) {
    let sent = batch(1, 5);
    let mut orders = log.orders().await.unwrap();
    log.publish(sent.clone()).await.unwrap();
    let deliveries = within(orders.next(1)).await.unwrap();
    assert_eq!(*of(&deliveries[0]), *sent);
    orders.ack(deliveries).await.unwrap();
}

/// So does the largest that a gate makes.
pub(crate) async fn a_batch_of_many_orders_with_long_names_travels_whole(log: Log) {
    let buyer = "\u{1}".repeat(64);
    let many = (1..=500).map(|n| order(n, &buyer)).collect();
    let sent = Arc::new(Batch::new(INSTALL, id(1), 1, many).unwrap());
    log.publish(sent.clone()).await.unwrap();
    let mut orders = log.orders().await.unwrap();
    let deliveries = within(orders.next(1)).await.unwrap();
    assert_eq!(*of(&deliveries[0]), *sent);
}

/// What is published before anybody receives waits for the first who does.
pub(crate) async fn batches_wait_for_a_consumer(log: Log) {
    for n in 1..=20 {
        log.publish(batch(n, 2)).await.unwrap();
    }
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, ids(20)).await;
}

/// Many may publish at the same time.
pub(crate) async fn what_many_publish_at_once_comes(log: Log) {
    let published = join_all((1..=200).map(|n| log.publish(batch(n, 1)))).await;
    assert!(published.iter().all(Result::is_ok));
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, ids(200)).await;
}

/// Taking stops when enough orders are together; what is left comes with the next take.
pub(crate) async fn a_take_is_bounded_and_leaves_the_rest(log: Log) {
    for n in 1..=3 {
        log.publish(batch(n, 10)).await.unwrap();
    }
    let mut orders = log.orders().await.unwrap();
    let mut missing = ids(3);
    while !missing.is_empty() {
        let deliveries = within(orders.next(11)).await.unwrap();
        let sizes = deliveries.iter().rev().map(|delivery| of(delivery).orders().len());
        let all_but_last: usize = sizes.skip(1).sum();
        assert!(all_but_last < 11, "enough orders were together before the last batch");
        for delivery in &deliveries {
            missing.remove(&of(delivery).id);
        }
        orders.ack(deliveries).await.unwrap();
    }
}

/// Several consumers share the work: together they receive everything.
pub(crate) async fn consumers_share_the_work(log: Log) {
    let (mut one, mut two) = (log.orders().await.unwrap(), log.orders().await.unwrap());
    for n in 1..=40 {
        log.publish(batch(n, 1)).await.unwrap();
    }
    let mut missing = ids(40);
    while !missing.is_empty() {
        let (deliveries, of_one) = within(async {
            tokio::select! {
                deliveries = one.next(1) => (deliveries, true),
                deliveries = two.next(1) => (deliveries, false),
            }
        })
        .await;
        let deliveries = deliveries.unwrap();
        for delivery in &deliveries {
            missing.remove(&of(delivery).id);
        }
        let consumer = if of_one { &mut one } else { &mut two };
        consumer.ack(deliveries).await.unwrap();
    }
}

/// A consumer that is given up leaves what it had not taken to the next one.
pub(crate) async fn a_consumer_that_is_dropped_leaves_the_rest_to_the_next(log: Log) {
    for n in 1..=20 {
        log.publish(batch(n, 1)).await.unwrap();
    }
    let mut orders = log.orders().await.unwrap();
    let mut missing = ids(20);
    let taken = within(orders.next(5)).await.unwrap();
    for delivery in &taken {
        missing.remove(&of(delivery).id);
    }
    orders.ack(taken).await.unwrap();
    drop(orders);
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, missing).await;
}

/// Giving up a wait loses nothing.
pub(crate) async fn a_wait_that_is_dropped_loses_nothing(log: Log) {
    let mut orders = log.orders().await.unwrap();
    for n in 1..=20 {
        let dropped = tokio::time::timeout(Duration::ZERO, orders.next(1)).await;
        if let Ok(deliveries) = dropped {
            orders.ack(deliveries.unwrap()).await.unwrap();
        }
        log.publish(batch(n, 1)).await.unwrap();
        receive(&mut orders, HashSet::from([id(n)])).await;
    }
}

async fn hear(feed: &mut Feed, mut missing: HashSet<TicketId>) {
    while !missing.is_empty() {
        match within(feed.next()).await.unwrap() {
            FeedEvent::Outcomes(outcomes) => {
                for outcome in outcomes.iter() {
                    missing.remove(&outcome.ticket.id);
                }
            }
            FeedEvent::Gap => panic!("a feed that keeps up misses nothing"),
        }
    }
}

/// Every watcher hears every outcome from the moment he listens.
pub(crate) async fn every_feed_hears_every_outcome(log: Log) {
    let (mut one, mut two) = (log.outcomes().await.unwrap(), log.outcomes().await.unwrap());
    let outcomes: Vec<_> = (1..=9).map(outcome).collect();
    let tickets: HashSet<_> = outcomes.iter().map(|outcome| outcome.ticket.id).collect();
    for part in outcomes.chunks(4) {
        log.publish_outcomes(part.to_vec()).await.unwrap();
    }
    hear(&mut one, tickets.clone()).await;
    hear(&mut two, tickets).await;
}

/// Outcomes that nobody listens for are no fault.
pub(crate) async fn outcomes_without_a_watcher_are_no_fault(log: Log) {
    log.publish_outcomes(vec![outcome(1)]).await.unwrap();
    log.probe().await.unwrap();
}

/// Whose gate is rebuilt.
const ROUND: RoundId = RoundId(7);

/// Receives and acknowledges until so many fences have come.
async fn fences(orders: &mut Orders, count: usize) -> Vec<Fence> {
    let mut fences = Vec::new();
    while fences.len() < count {
        let deliveries = within(orders.next(100)).await.unwrap();
        fences.extend(deliveries.iter().filter_map(Delivery::fence));
        orders.ack(deliveries).await.unwrap();
    }
    fences
}

/// Each tells where it was sent through.
pub(crate) async fn a_fence_comes_once_from_every_partition(log: Log) {
    log.publish_fence(INSTALL, ROUND, 2).await.unwrap();
    log.publish_fence(INSTALL, ROUND, 3).await.unwrap();
    let mut orders = log.orders().await.unwrap();
    let mut came = fences(&mut orders, 2 * usize::from(log.partitions())).await;
    came.sort_by_key(|fence| (fence.incarnation, fence.partition));
    let of = |incarnation| {
        let fence =
            move |partition| Fence { install: INSTALL, round: ROUND, incarnation, partition };
        (0..log.partitions()).map(fence)
    };
    assert_eq!(came, of(2).chain(of(3)).collect::<Vec<_>>());
}

/// To a consumer that is alone, whatever partition they went through.
pub(crate) async fn a_fence_comes_after_the_batches_that_were_published_before_it(log: Log) {
    let mut orders = log.orders().await.unwrap();
    for n in 1..=50 {
        log.publish(batch(n, 1)).await.unwrap();
    }
    log.publish_fence(INSTALL, ROUND, 2).await.unwrap();
    let (mut missing, mut fences) = (ids(50), 0);
    while fences < log.partitions() {
        for delivery in within(orders.next(7)).await.unwrap() {
            match &delivery.message {
                Message::Batch(batch) => drop(missing.remove(&batch.id)),
                Message::Fence(_) => fences += 1,
            }
            orders.ack(vec![delivery]).await.unwrap();
        }
    }
    assert_eq!(missing, HashSet::new());
}

/// What becomes of the one does not touch the others.
pub(crate) async fn a_fence_among_batches_is_given_back_and_acknowledged_alone(log: Log) {
    let mut orders = log.orders().await.unwrap();
    log.publish(batch(1, 1)).await.unwrap();
    log.publish_fence(INSTALL, ROUND, 2).await.unwrap();
    log.publish(batch(2, 1)).await.unwrap();
    let (mut missing, mut back) = (ids(2), HashSet::new());
    while !missing.is_empty() || back.len() < log.partitions().into() {
        for delivery in within(orders.next(100)).await.unwrap() {
            match &delivery.message {
                Message::Batch(batch) => {
                    assert!(missing.remove(&batch.id), "a batch that is done came again");
                    orders.ack(vec![delivery]).await.unwrap();
                }
                Message::Fence(fence) => {
                    back.insert(fence.partition);
                    orders.nack(vec![delivery]).await.unwrap();
                }
            }
        }
    }
    let again = fences(&mut orders, back.len()).await;
    assert_eq!(again.iter().map(|fence| fence.partition).collect::<HashSet<_>>(), back);
}
