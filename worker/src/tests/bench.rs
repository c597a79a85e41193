//! What the tests stand on.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, RequestId, SaleId, Shard, TicketId};
use sale::order::{Batch, OrderV1};
use sale::outcome::Outcome;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sale::units::Units;
use sqlx::{Connection as _, SqliteConnection};
use store::Seams;
use store::gate::local::{self, LocalGate};
use store::gate::{Figures, Gate, GateError, Grants, Slot};
use store::ledger::sqlite::SqliteLedger;
use store::ledger::{Creation, Ledger, Sale};
use store::log::local::LocalLog;
use store::log::{Feed, FeedEvent, Log};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::Breaker;
use crate::consume::Consumer;
use crate::contact::Contact;
use crate::decide::Decider;
use crate::retry::Retries;
use crate::run::Stop;
use crate::settle::Settler;
use crate::{Settings, Worker};

/// Engines in a temporary folder.
pub(crate) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(crate) seams: Seams,
}

/// A worker that runs.
pub(crate) struct Running {
    pub(crate) worker: Worker,
    stop: CancellationToken,
}

impl Running {
    pub(crate) async fn end(self) {
        self.stop.cancel();
        in_time("the worker's end", self.worker.end()).await;
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seams = open(&folder, "gate.db").await;
        Self { folder, seams }
    }

    /// The same folder, opened anew; another gate file is a gate that lost everything.
    pub(crate) async fn reopened(self, gate: &str) -> Self {
        self.seams.gate.close().await;
        self.seams.ledger.close().await;
        let Self { folder, seams } = self;
        drop(seams);
        let seams = open(&folder, gate).await;
        Self { folder, seams }
    }

    /// Another gate in the place of this one, which is lost; log and ledger go on.
    pub(crate) async fn with_gate(self, gate: &str) -> Self {
        self.seams.gate.close().await;
        let Self { folder, seams: Seams { log, ledger, .. } } = self;
        let gate = open_gate(&folder, gate, &ledger).await;
        Self { folder, seams: Seams { gate, log, ledger } }
    }

    /// Keeps the gate as it is at this moment, in another file.
    pub(crate) async fn keep_gate(&self, copy: &str) {
        let copy = self.folder.path().join(copy);
        let mut intruder = self.intruder("gate.db").await;
        sqlx::query("VACUUM INTO ?")
            .bind(copy.display().to_string())
            .execute(&mut intruder)
            .await
            .unwrap();
    }

    /// Another connection to the file of the ledger or of the gate.
    pub(crate) async fn intruder(&self, file: &str) -> SqliteConnection {
        let path: PathBuf = self.folder.path().join(file);
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
    }

    /// An open sale in the ledger only.
    pub(crate) async fn cold_sale(&self, id: &str, stock: u32) -> Sale {
        let now = self.seams.gate.now();
        let opens_at = Timestamp::from_millis(now.millis() - 60_000).unwrap();
        let closes_at = now.plus(Duration::from_secs(3600));
        let new = NewSale {
            id: SaleId::new(id).unwrap(),
            name: SaleName::new(id.to_owned()).unwrap(),
            stock: Stock::new(stock).unwrap(),
            limit: Units::new(2).unwrap(),
            window: Window::new(opens_at, closes_at).unwrap(),
            answer_within: Duration::from_secs(300),
        };
        match self.seams.ledger.create(&new).await.unwrap() {
            Creation::Created(sale) => sale,
            other @ (Creation::Same(_) | Creation::Differs) => panic!("{other:?}"),
        }
    }

    /// An open sale in ledger and gate; the gate believes in `believed` units.
    pub(crate) async fn sale_with(&self, id: &str, stock: u32, believed: i64) -> Sale {
        let sale = self.cold_sale(id, stock).await;
        let mut snapshot = self.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
        assert!(self.seams.ledger.set_loaded(&snapshot).await.unwrap());
        snapshot.available = believed;
        assert!(self.seams.gate.warm(snapshot, None).await.unwrap());
        sale
    }

    /// An open sale in ledger and gate.
    pub(crate) async fn sale(&self, id: &str, stock: u32) -> Sale {
        self.sale_with(id, stock, i64::from(stock)).await
    }

    /// One unit claimed for each of these buyers, by one call.
    pub(crate) async fn claim(&self, sale: &Sale, buyers: &[String]) -> Result<Grants, GateError> {
        let claims: Vec<_> = buyers
            .iter()
            .map(|buyer| Claim {
                ticket: ticket(sale, buyer),
                buyer: BuyerId::new(buyer).unwrap(),
                units: Units::ONE,
            })
            .collect();
        let id = BatchId(rand::random());
        self.seams.gate.grant(Slot::first(sale.round), id, &claims).await
    }

    /// The same where all is granted.
    pub(crate) async fn grant(&self, sale: &Sale, buyers: &[String]) -> Arc<Batch> {
        let grants = self.claim(sale, buyers).await.unwrap();
        let batch = grants.batch.unwrap();
        assert_eq!(batch.orders().len(), buyers.len(), "all are granted");
        batch
    }

    /// A grant that is on its way to the worker.
    pub(crate) async fn order(&self, sale: &Sale, buyers: &[String]) -> Arc<Batch> {
        let batch = self.grant(sale, buyers).await;
        self.publish(batch.clone()).await;
        batch
    }

    pub(crate) async fn publish(&self, batch: Arc<Batch>) {
        self.seams.log.publish(batch).await.unwrap();
    }

    /// An order as a token carries it: the gate need not know of it.
    pub(crate) fn lone_batch(&self, sale: &Sale, buyer: &str) -> Arc<Batch> {
        let order = OrderV1 {
            ticket: ticket(sale, buyer),
            buyer: BuyerId::new(buyer).unwrap(),
            units: Units::ONE,
            granted_at: self.seams.gate.now(),
            incarnation: 0,
        };
        let install = self.seams.ledger.install();
        Arc::new(Batch::new(install, BatchId(rand::random()), 0, vec![order]).unwrap())
    }

    /// The sweeper of a round, which is a part of the api; it ends with what is answered.
    pub(crate) fn sweep(&self, sale: &Sale) -> JoinSet<()> {
        let (seams, slot) = (self.seams.clone(), Slot::first(sale.round));
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                for batch in seams.gate.resend(slot, 10).await.unwrap_or_default() {
                    seams.log.publish(batch).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        task
    }

    pub(crate) fn start(&self, settings: Settings) -> Running {
        let stop = CancellationToken::new();
        Running { worker: Worker::start(self.seams.clone(), settings, stop.clone()), stop }
    }

    /// The retries of a worker that is driven by hand.
    pub(crate) fn retries(&self) -> Retries {
        let (decider, settler, _) = self.parts(&CancellationToken::new());
        Retries::new(decider, settler, Settings::default().retries_most)
    }

    /// A worker that does nothing but consume; it ends with what is answered.
    pub(crate) fn consume_only(&self) -> JoinSet<()> {
        let mut task = JoinSet::new();
        task.spawn(Arc::new(self.consumer()).run());
        task
    }

    /// The consumer of a worker that nobody stops.
    pub(crate) fn consumer(&self) -> Consumer {
        let stop = CancellationToken::new();
        let (decider, settler, breaker) = self.parts(&stop);
        let settings = Settings::default();
        Consumer {
            log: self.seams.log.clone(),
            decider,
            settler,
            breaker,
            walked: Arc::default(),
            together: settings.orders_together,
            silent_after: settings.silent_after,
            stop: Stop::new(stop, settings.finish_within),
        }
    }

    fn parts(&self, stop: &CancellationToken) -> (Arc<Decider>, Settler, Arc<Breaker>) {
        let settings = Settings::default();
        let stop = Stop::new(stop.clone(), settings.finish_within);
        let breaker = Arc::new(Breaker::new(stop, &settings));
        let contact = Arc::new(Contact::new(self.seams.clone(), &settings));
        let decider = Arc::new(Decider::new(self.seams.clone(), contact, breaker.clone()));
        (decider, Settler::new(self.seams.clone(), breaker.clone()), breaker)
    }

    pub(crate) async fn feed(&self) -> Feed {
        self.seams.log.outcomes().await.unwrap()
    }

    pub(crate) async fn figures(&self, sale: &Sale) -> Figures {
        self.seams.gate.figures(Slot::first(sale.round)).await.unwrap()
    }

    /// What the gate's record says of a buyer's ticket.
    pub(crate) async fn in_gate(&self, sale: &Sale, buyer: &str) -> Option<TicketState> {
        let asked = [(ticket(sale, buyer), BuyerId::new(buyer).unwrap())];
        self.seams.gate.read(Slot::first(sale.round), &asked).await.unwrap()[0]
    }

    /// What the ledger says of a buyer's ticket.
    pub(crate) async fn in_ledger(&self, sale: &Sale, buyer: &str) -> Option<TicketState> {
        let read = self.seams.ledger.read(&[ticket(sale, buyer)]).await.unwrap();
        read.into_iter().next().flatten().map(|row| row.ticket.state)
    }

    /// At a quiet moment units are conserved, and gate and ledger say the same.
    pub(crate) async fn conserved(&self, sale: &Sale) {
        let gate = self.figures(sale).await;
        let ledger = self.seams.ledger.counts(sale.round).await.unwrap().unwrap();
        assert_eq!((gate.held, gate.undecided), (0, 0), "the moment is quiet");
        assert_eq!(gate.available, i64::from(ledger.available));
        assert_eq!(gate.sold, u64::from(ledger.sold()));
    }
}

async fn open(folder: &tempfile::TempDir, gate: &str) -> Seams {
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    let ledger = Ledger::Sqlite(ledger);
    let gate = open_gate(folder, gate, &ledger).await;
    Seams { gate, log: Log::Local(LocalLog::new()), ledger }
}

async fn open_gate(folder: &tempfile::TempDir, gate: &str, ledger: &Ledger) -> Gate {
    let (path, settings) = (folder.path().join(gate), local::Settings::default());
    Gate::Local(LocalGate::open(&path, ledger.install(), settings).await.unwrap())
}

pub(crate) fn ticket(sale: &Sale, buyer: &str) -> TicketId {
    let buyer = BuyerId::new(buyer).unwrap();
    TicketId::derive(sale.round, Shard::FIRST, &sale.salt, &buyer, &RequestId::none())
}

pub(crate) fn buyers(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("buyer-{n}")).collect()
}

/// Waits for so many outcomes, in the order they came.
pub(crate) async fn outcomes(feed: &mut Feed, count: usize) -> Vec<Outcome> {
    let mut all = Vec::new();
    while all.len() < count {
        match in_time("an outcome", feed.next()).await.unwrap() {
            FeedEvent::Outcomes(some) => all.extend(some.iter().cloned()),
            FeedEvent::Gap => panic!("the test is too slow for its feed"),
        }
    }
    all
}

/// Asks until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let asked = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    in_time(what, asked).await;
}

/// Nothing here may hang.
pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), wait).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Steps that come only when a test drives them by hand.
pub(crate) fn by_hand() -> Settings {
    let never = Duration::from_secs(100_000);
    Settings { retry_every: never, tend_every: never, ..Settings::default() }
}
