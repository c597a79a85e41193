//! A push node on real local engines and a real socket, and what a test does around it: grants,
//! verdicts, outcomes, and clients.
#![allow(dead_code, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

pub(crate) mod http;
pub(crate) mod ws;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge::buyer::{BuyerKeys, KeySource};
use edge::origins::{Origin, Origins};
use edge::serve::{Limits, serve};
use jsonwebtoken::{EncodingKey, Header};
use push::{Keys, Push, Seams, Settings};
use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, SaleId, Shard, TicketId};
use sale::order::OrderV1;
use sale::outcome::Outcome;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::ticket::Ticket;
use sale::time::Timestamp;
use sale::token::TokenKeys;
use sale::units::Units;
use serde_json::json;
use store::clock;
use store::gate::local::LocalGate;
use store::gate::{Gate, Settlement, Slot};
use store::ledger::sqlite::SqliteLedger;
use store::ledger::{Creation, DeadlineFrom, Decision, Ledger, Reached, Sale};
use store::log::Log;
use store::log::local::LocalLog;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come. Reaching it is a failure.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

const BUYERS_SECRET: &[u8] = b"a secret that the merchant shares with dibs";
const TOKENS_SECRET: &[u8] = b"a secret that seals the tokens of a test";

/// Waits, and fails the test when it takes for ever.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, what).await.expect("it came in time")
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(GUARD, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A granted ticket with its token.
#[derive(Clone)]
pub(crate) struct Granted {
    pub(crate) order: OrderV1,
    pub(crate) token: String,
}

impl Granted {
    pub(crate) fn id(&self) -> TicketId {
        self.order.ticket
    }
}

/// A node with one open sale.
pub(crate) struct House {
    pub(crate) push: Arc<Push>,
    pub(crate) addr: SocketAddr,
    pub(crate) gate: Gate,
    pub(crate) log: Log,
    pub(crate) ledger: Ledger,
    pub(crate) sale: Sale,
    pub(crate) tokens: Arc<TokenKeys>,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinSet<()>,
    _folder: TempDir,
}

impl House {
    pub(crate) async fn open(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
        let ledger = Ledger::Sqlite(ledger);
        let install = ledger.install();
        let gate_file = folder.path().join("gate.db");
        let gate = LocalGate::open(&gate_file, install, Default::default()).await.unwrap();
        let gate = Gate::Local(gate);
        let log = Log::Local(LocalLog::new());
        let sale = create(&ledger, "demo").await;
        gate.warm(ledger.snapshot(sale.round).await.unwrap().unwrap(), None).await.unwrap();
        let tokens = Arc::new(TokenKeys::new(install, TOKENS_SECRET, &[] as &[&[u8]]));
        let shared = KeySource::Hs256(BUYERS_SECRET.to_vec());
        let keys = Keys {
            tokens: tokens.clone(),
            buyers: Arc::new(BuyerKeys::new(shared, None, None, None).unwrap()),
            origins: Arc::new(Origins::new(vec![Origin::parse("https://shop.example").unwrap()])),
        };
        let seams = Seams { gate: gate.clone(), log: log.clone(), ledger: ledger.clone() };
        let stop = CancellationToken::new();
        let push = Arc::new(Push::start(seams, keys, settings, &stop));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, push.router(), Limits::default(), stop.clone()));
        Self { push, addr, gate, log, ledger, sale, tokens, stop, serving, _folder: folder }
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot::first(self.sale.round)
    }

    pub(crate) fn url(&self, id: impl std::fmt::Display) -> String {
        format!("http://{}/v1/tickets/{id}", self.addr)
    }

    /// The order of a claim that the gate has not heard of.
    pub(crate) fn unheard(&self, buyer: &str, granted_at: Timestamp) -> Granted {
        let buyer = BuyerId::new(buyer).unwrap();
        let Sale { round, salt, .. } = &self.sale;
        let ticket = TicketId::derive(*round, Shard::FIRST, salt, &buyer, &RequestId::none());
        let order = OrderV1 { ticket, buyer, units: Units::ONE, granted_at, incarnation: 0 };
        Granted { token: self.tokens.seal(&order), order }
    }

    /// Grants one unit to each buyer.
    pub(crate) async fn grant(&self, buyers: &[String]) -> Vec<Granted> {
        let mut granted = Vec::new();
        for buyers in buyers.chunks(512) {
            let mut orders: Vec<OrderV1> =
                buyers.iter().map(|buyer| self.unheard(buyer, clock::now()).order).collect();
            let claims: Vec<Claim> = orders
                .iter()
                .map(|order| Claim {
                    ticket: order.ticket,
                    buyer: order.buyer.clone(),
                    units: order.units,
                })
                .collect();
            let batch = BatchId(rand::random());
            let grants = self.gate.grant(self.slot(), batch, &claims).await.unwrap();
            for (order, answer) in orders.iter_mut().zip(grants.answers) {
                let Answer::Granted(state) = answer else { panic!("{answer:?}") };
                order.granted_at = state.granted_at;
            }
            let seal = |order| Granted { token: self.tokens.seal(&order), order };
            granted.extend(orders.into_iter().map(seal));
        }
        granted
    }

    pub(crate) async fn grant_one(&self, buyer: &str) -> Granted {
        self.grant(&[buyer.to_owned()]).await.remove(0)
    }

    /// The ledger's verdict alone: neither gate nor watchers know of it.
    pub(crate) async fn decide(&self, granted: &[Granted]) -> Vec<Ticket> {
        let orders: Vec<OrderV1> = granted.iter().map(|granted| granted.order.clone()).collect();
        let now = clock::now();
        let deadline = DeadlineFrom { reachable_since: now };
        let mut tickets = Vec::new();
        for decision in
            self.ledger.decide(&orders, &Reached::default(), &deadline, now).await.unwrap()
        {
            let Decision::Stands { ticket, .. } = decision else { panic!("{decision:?}") };
            tickets.push(ticket);
        }
        tickets
    }

    /// Verdict and settlement, as a worker does it, without telling anybody.
    pub(crate) async fn settle(&self, granted: &[Granted]) -> Vec<Ticket> {
        let tickets = self.decide(granted).await;
        let settlements: Vec<Settlement> = tickets
            .iter()
            .zip(granted)
            .map(|(ticket, granted)| Settlement {
                ticket: ticket.id,
                buyer: granted.order.buyer.clone(),
                state: ticket.state,
            })
            .collect();
        self.gate.settle(self.slot(), &settlements, &[]).await.unwrap();
        tickets
    }

    /// Verdict, settlement, and the word to all watchers.
    pub(crate) async fn finish(&self, granted: &[Granted]) -> Vec<Ticket> {
        let tickets = self.settle(granted).await;
        let install = self.ledger.install();
        let outcomes = tickets.iter().map(|ticket| Outcome { install, ticket: ticket.clone() });
        self.log.publish_outcomes(outcomes.collect()).await.unwrap();
        tickets
    }

    /// What the ticket's JSON is as long as it is pending.
    pub(crate) fn pending(&self, granted: &Granted) -> Ticket {
        Ticket { id: granted.id(), sale: self.sale.id.clone(), state: granted.order.pending() }
    }

    /// The gate forgets the round, as one that came back empty.
    pub(crate) async fn lose_the_gate(&self) {
        self.gate.retire(self.sale.round).await.unwrap();
    }

    /// The round's gate is built from the ledger, in the place of one that was lost.
    pub(crate) async fn rebuild(&self) {
        let snapshot = async || self.ledger.snapshot(self.sale.round).await.unwrap().unwrap();
        assert!(self.ledger.set_loaded(&snapshot().await).await.unwrap());
        assert!(self.ledger.recover(self.sale.round, 1).await.unwrap());
        let snapshot = snapshot().await;
        assert!(self.ledger.set_loaded(&snapshot).await.unwrap());
        assert!(self.gate.warm(snapshot, None).await.unwrap());
    }

    /// The ledger answers nothing any more.
    pub(crate) async fn lose_the_ledger(&self) {
        self.ledger.close().await;
    }

    /// Nobody watches anything any more.
    pub(crate) async fn is_deserted(&self) {
        let push = &self.push;
        until("all sockets and watches are gone", || push.sockets() == 0 && push.watched() == 0)
            .await;
    }
}

/// Creates a sale with a large stock that is open now.
pub(crate) async fn create(ledger: &Ledger, id: &str) -> Sale {
    let now = clock::now();
    let sale = NewSale {
        id: SaleId::new(id).unwrap(),
        name: SaleName::new("a sale".into()).unwrap(),
        stock: Stock::new(1_000_000).unwrap(),
        limit: Units::ONE,
        window: Window::new(Timestamp::from_millis(0).unwrap(), now.plus(GUARD * 100)).unwrap(),
        answer_within: Duration::from_secs(300),
    };
    let Creation::Created(sale) = ledger.create(&sale).await.unwrap() else { panic!("it is new") };
    sale
}

/// A JWT of the merchant for this buyer.
pub(crate) fn jwt(buyer: &str) -> String {
    jwt_until(buyer, clock::now().millis() / 1000 + 600)
}

/// The same, with an end of its own in seconds since 1970.
pub(crate) fn jwt_until(buyer: &str, exp: i64) -> String {
    let claims = json!({ "sub": buyer, "exp": exp });
    let key = EncodingKey::from_secret(BUYERS_SECRET);
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

/// Names of so many buyers.
pub(crate) fn buyers(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{prefix}-{n}")).collect()
}

/// Settings with a refresher that does not interfere, so that a test sees one cause at a time.
pub(crate) fn quiet() -> Settings {
    Settings { reread_every: GUARD * 10, overdue_after: GUARD, ..Settings::default() }
}
