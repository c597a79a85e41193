use std::collections::HashSet;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sale::id::{BuyerId, InstallId, RoundId, SaleId, TicketId};
use sale::order::Batch;
use sale::terms::{Terms, Window};
use sale::units::Units;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use store::gate::Snapshot;
use store::gate::local::{self, LocalGate};

use super::*;

const SLOT: Slot = Slot { round: RoundId(7), shard: sale::id::Shard::FIRST };

struct Shop {
    batcher: Arc<Batcher>,
    gate: Gate,
    batches: mpsc::Receiver<Arc<Batch>>,
    folder: tempfile::TempDir,
}

impl Shop {
    /// A batcher before a gate that has one open round with so much stock.
    async fn open(stock: i64, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = gate(folder.path()).await;
        let at = |text| Timestamp::parse(text).unwrap();
        let terms = Terms {
            sale: SaleId::new("s").unwrap(),
            round: SLOT.round,
            limit: Units::ONE,
            window: Window::new(at("2020-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")).unwrap(),
            closed: false,
            version: 1,
        };
        let snapshot =
            Snapshot { terms, incarnation: 1, available: stock, tickets: vec![], restocks: vec![] };
        gate.warm(snapshot, None).await.unwrap();
        let (publisher, batches) = Publisher::new(100);
        let batcher = Arc::new(Batcher::new(gate.clone(), publisher, &settings));
        Self { batcher, gate, batches, folder }
    }

    /// Locks the gate's file until `ROLLBACK`: meanwhile calls begin and cannot end.
    async fn lock(&self) -> SqliteConnection {
        let file = format!("sqlite://{}", self.folder.path().join("gate.db").display());
        let mut lock = SqliteConnection::connect(&file).await.unwrap();
        lock.execute("BEGIN IMMEDIATE").await.unwrap();
        lock
    }

    /// Queues a claim, to be answered later.
    fn claiming(&self, tasks: &mut JoinSet<Result<Answered, Unanswered>>, slot: Slot, n: u32) {
        let batcher = self.batcher.clone();
        tasks.spawn(async move { batcher.claim(slot, claim(slot, n)).await });
    }
}

async fn gate(folder: &Path) -> Gate {
    let path = folder.join("gate.db");
    let gate = LocalGate::open(&path, InstallId([1; 16]), local::Settings::default()).await;
    Gate::Local(gate.unwrap())
}

fn claim(slot: Slot, n: u32) -> Claim {
    let mut ticket = [0; 16];
    ticket[..4].copy_from_slice(&slot.round.0.to_be_bytes());
    ticket[8..12].copy_from_slice(&n.to_be_bytes());
    let buyer = BuyerId::new(&format!("b{n}")).unwrap();
    Claim { ticket: TicketId(ticket), buyer, units: Units::ONE }
}

fn granted(answered: &Result<Answered, Unanswered>) -> bool {
    matches!(answered, Ok(Answered { answer: Answer::Granted(_), .. }))
}

#[tokio::test]
async fn while_two_calls_are_in_flight_claims_queue_and_the_next_call_takes_them_all() {
    let mut shop = Shop::open(1000, Settings::default()).await;
    let mut lock = shop.lock().await;
    let mut claims = JoinSet::new();
    for n in 0..6 {
        shop.claiming(&mut claims, SLOT, n);
        // Time enough for the lane to take it and for the call to begin.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    lock.execute("ROLLBACK").await.unwrap();
    assert!(claims.join_all().await.iter().all(granted));
    let mut sizes = Vec::new();
    for _ in 0..3 {
        sizes.push(shop.batches.recv().await.unwrap().orders().len());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 4]);
}

#[tokio::test]
async fn an_idle_lane_asks_at_once() {
    let mut shop = Shop::open(1000, Settings::default()).await;
    for n in 0..3 {
        assert!(granted(&shop.batcher.claim(SLOT, claim(SLOT, n)).await));
        assert_eq!(shop.batches.recv().await.unwrap().orders().len(), 1);
    }
}

#[tokio::test]
async fn a_call_takes_no_more_than_its_bound() {
    let settings = Settings { claims_a_call: 40, ..Settings::default() };
    let mut shop = Shop::open(1000, settings).await;
    let mut claims = JoinSet::new();
    (0..100).for_each(|n| shop.claiming(&mut claims, SLOT, n));
    assert!(claims.join_all().await.iter().all(granted));
    shop.batcher.end().await;
    let mut orders = 0;
    while let Ok(batch) = shop.batches.try_recv() {
        assert!(batch.orders().len() <= 40);
        orders += batch.orders().len();
    }
    assert_eq!(orders, 100);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_keeps_what_it_has() {
    let shop = Shop::open(1000, Settings { claims_queued: 4, ..Settings::default() }).await;
    let mut claims = JoinSet::new();
    (0..10).for_each(|n| shop.claiming(&mut claims, SLOT, n));
    let answers = claims.join_all().await;
    let full = |it: &&Result<_, _>| matches!(it, Err(Unanswered::QueueFull));
    assert_eq!(answers.iter().filter(full).count(), 6);
    assert_eq!(answers.iter().filter(|it| granted(it)).count(), 4);
}

#[tokio::test]
async fn an_error_of_the_gate_answers_every_claim_of_the_call() {
    let shop = Shop::open(1000, Settings::default()).await;
    let cold = Slot::first(RoundId(8));
    let mut claims = JoinSet::new();
    (0..50).for_each(|n| shop.claiming(&mut claims, cold, n));
    for answer in claims.join_all().await {
        let Err(Unanswered::Gate(GateError::NotWarm(round))) = answer else { panic!("{answer:?}") };
        assert_eq!(round, cold.round);
    }
}

#[tokio::test]
async fn a_claim_whose_asker_has_gone_is_still_made() {
    let shop = Shop::open(5, Settings::default()).await;
    {
        let mut asking = pin!(shop.batcher.claim(SLOT, claim(SLOT, 1)));
        let polled = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
    }
    shop.batcher.end().await;
    let again = shop.gate.grant(SLOT, BatchId([1; 16]), &[claim(SLOT, 1)]).await.unwrap();
    assert!(matches!(again.answers[..], [Answer::Standing(_)]));
}

#[tokio::test]
async fn a_claim_that_takes_too_long_is_not_known_and_asking_again_finds_out() {
    let settings = Settings { claim_within: Duration::from_millis(5), ..Settings::default() };
    let shop = Shop::open(5, settings).await;
    let mut lock = shop.lock().await;
    let answer = shop.batcher.claim(SLOT, claim(SLOT, 1)).await;
    assert!(matches!(answer, Err(Unanswered::Gate(GateError::NotKnown))), "{answer:?}");
    lock.execute("ROLLBACK").await.unwrap();
    shop.batcher.end().await;
    let again = shop.gate.grant(SLOT, BatchId([1; 16]), &[claim(SLOT, 1)]).await.unwrap();
    assert!(matches!(again.answers[..], [Answer::Standing(_)]));
}

#[tokio::test]
async fn at_the_end_queued_claims_are_answered_and_later_ones_refused() {
    let mut shop = Shop::open(1000, Settings::default()).await;
    let mut claims = JoinSet::new();
    (0..50).for_each(|n| shop.claiming(&mut claims, SLOT, n));
    tokio::task::yield_now().await;
    shop.batcher.end().await;
    assert!(claims.join_all().await.iter().all(granted));
    let mut handed = HashSet::new();
    while let Ok(batch) = shop.batches.try_recv() {
        handed.extend(batch.orders().iter().map(|order| order.ticket));
    }
    assert_eq!(handed.len(), 50);
    for slot in [SLOT, Slot::first(RoundId(8))] {
        let late = shop.batcher.claim(slot, claim(slot, 99)).await;
        assert!(matches!(late, Err(Unanswered::Ending)), "{late:?}");
    }
}

#[tokio::test]
async fn a_lane_ends_with_its_slot() {
    let shop = Shop::open(5, Settings::default()).await;
    assert!(granted(&shop.batcher.claim(SLOT, claim(SLOT, 1)).await));
    shop.batcher.keep(|slot| slot == SLOT);
    assert_eq!(shop.batcher.lanes.len(), 1);
    shop.batcher.keep(|_| false);
    assert_eq!(shop.batcher.lanes.len(), 0);
    shop.batcher.tasks.close();
    shop.batcher.tasks.wait().await;
}
