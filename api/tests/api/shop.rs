//! A whole API on fresh engines, and the worker's part where a test needs it.

use std::sync::Arc;
use std::time::Duration;

use api::{Api, Keys, Seams, Settings};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use edge::buyer::{BuyerKeys, KeySource};
use edge::guest::GuestKeys;
use edge::origins::{Origin, Origins};
use edge::secrets::{AdminKey, Secrets};
use http_body_util::BodyExt as _;
use sale::id::RoundId;
use sale::order::{Batch, OrderV1};
use sale::status::Reason;
use sale::token::TokenKeys;
use serde_json::{Value, json};
use store::clock;
use store::gate::local::LocalGate;
use store::gate::redis::{self, RedisGate};
use store::gate::{Decided, Gate, Settlement, Slot, local};
use store::ledger::sqlite::SqliteLedger;
use store::ledger::{DeadlineFrom, Decision, Ledger, Reached};
use store::log::Log;
use store::log::local::LocalLog;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

const ADMIN: &str = "the-key-of-the-operator";
const SECRET: &str = "a secret of at least thirty-two bytes";

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Shop {
    pub(crate) api: Api,
    pub(crate) seams: Seams,
    pub(crate) tokens: Arc<TokenKeys>,
    guests: Arc<GuestKeys>,
    keys: Keys,
    router: Router,
    folder: Arc<tempfile::TempDir>,
}

/// How a shop differs from the usual one.
pub(crate) struct Layout {
    pub(crate) settings: Settings,
    pub(crate) gate: local::Settings,
    /// A gate in Redis instead of the local one.
    pub(crate) redis: Option<redis::Address>,
    pub(crate) guests: bool,
    pub(crate) origins: Vec<Origin>,
}

impl Default for Layout {
    fn default() -> Self {
        let settings = Settings { refresh_gap: Duration::ZERO, ..Settings::default() };
        Self {
            settings,
            gate: local::Settings::default(),
            redis: None,
            guests: true,
            origins: vec![],
        }
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null where the body is empty.
    pub(crate) body: Value,
}

impl Answer {
    /// The last segment of a problem's type; empty where it is none.
    pub(crate) fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("/problems/").unwrap_or_default()
    }

    pub(crate) fn is(&self, status: u16, problem: &str) -> bool {
        self.status == status && self.problem() == problem && self.body["status"] == status
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::laid_out(Layout::default()).await
    }

    pub(crate) async fn laid_out(layout: Layout) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
        let ledger = Ledger::Sqlite(ledger);
        let install = ledger.install();
        let gate = match layout.redis {
            Some(address) => {
                store::gate::redis::migrate(&address, None, install).await.unwrap();
                let gate = RedisGate::open(&address, None, install, layout.gate.bounds).await;
                Gate::Redis(gate.unwrap())
            }
            None => {
                let file = folder.path().join("gate.db");
                Gate::Local(LocalGate::open(&file, install, layout.gate).await.unwrap())
            }
        };
        let seams = Seams { gate, log: Log::Local(LocalLog::new()), ledger };
        let secrets = Secrets::parse(SECRET).unwrap();
        let tokens = Arc::new(TokenKeys::new(install, secrets.sealing(), secrets.retired()));
        let buyers = BuyerKeys::new(KeySource::None, None, None, Some(&secrets)).unwrap();
        let guests = Arc::new(GuestKeys::new(&secrets));
        let keys = Keys {
            tokens: tokens.clone(),
            buyers: Arc::new(buyers),
            guests: layout.guests.then(|| guests.clone()),
            admin: AdminKey::new(ADMIN).unwrap(),
            origins: Arc::new(Origins::new(layout.origins)),
        };
        let stop = CancellationToken::new();
        let api = Api::start(seams.clone(), keys.clone(), layout.settings, stop).await.unwrap();
        let router = api.router();
        Self { api, seams, tokens, guests, keys, router, folder: Arc::new(folder) }
    }

    /// Another server of the same shop.
    pub(crate) async fn beside(&self, settings: Settings) -> Self {
        let Self { seams, tokens, guests, keys, folder, .. } = self;
        let stop = CancellationToken::new();
        let api = Api::start(seams.clone(), keys.clone(), settings, stop).await.unwrap();
        Self {
            router: api.router(),
            api,
            seams: seams.clone(),
            tokens: tokens.clone(),
            guests: guests.clone(),
            keys: keys.clone(),
            folder: folder.clone(),
        }
    }

    /// The JWT of a buyer nobody has seen.
    pub(crate) fn buyer(&self) -> String {
        self.guests.issue(clock::now()).1
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A call of the operator. An empty key sends no Idempotency-Key.
    pub(crate) async fn admin(&self, method: Method, path: &str, key: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/admin/{path}"))
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("idempotency-key", key);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.header("content-type", "application/json").body(body).unwrap()).await
    }

    /// Creates a sale that is open.
    pub(crate) async fn sale(&self, id: &str, stock: u32, limit: u8) -> Answer {
        self.admin(Method::POST, "sales", "", open_sale(id, stock, limit)).await
    }

    pub(crate) async fn patch(&self, id: &str, key: &str, body: Value) -> Answer {
        self.admin(Method::PATCH, &format!("sales/{id}"), key, body).await
    }

    /// What the operator reads of a sale.
    pub(crate) async fn report(&self, id: &str) -> Value {
        self.admin(Method::GET, &format!("sales/{id}"), "", Value::Null).await.body
    }

    /// A claim. An empty key sends no Idempotency-Key.
    pub(crate) async fn claim(&self, sale: &str, jwt: &str, key: &str, body: Value) -> Answer {
        self.send(claim(sale, jwt, key, body.to_string())).await
    }

    /// The same, to be awaited elsewhere.
    pub(crate) fn claiming(
        &self,
        sale: &str,
        jwt: &str,
        key: &str,
        body: Value,
    ) -> impl Future<Output = Answer> + use<> {
        send(self.router.clone(), claim(sale, jwt, key, body.to_string()))
    }

    /// The next batches that the log carries.
    pub(crate) async fn batches(&self) -> Vec<Arc<Batch>> {
        let mut orders = self.seams.log.orders().await.unwrap();
        let deliveries = tokio::time::timeout(SOON, orders.next(500)).await.unwrap().unwrap();
        deliveries.iter().map(|delivery| delivery.batch().unwrap().clone()).collect()
    }

    /// The next orders that the log carries.
    pub(crate) async fn orders(&self) -> Vec<OrderV1> {
        let batches = self.batches().await;
        batches.iter().flat_map(|batch| batch.orders().to_vec()).collect()
    }

    /// Does the worker's part for the next orders: decide, and settle.
    pub(crate) async fn decide(&self) {
        let batches = self.batches().await;
        for decision in self.decide_untold(&batches).await {
            self.settle(decision).await;
        }
        self.remove(&batches).await;
    }

    /// Has the ledger decide, and the gate hear nothing of it.
    pub(crate) async fn decide_untold(&self, batches: &[Arc<Batch>]) -> Vec<Decision> {
        let orders: Vec<_> = batches.iter().flat_map(|batch| batch.orders().to_vec()).collect();
        let now = clock::now();
        let deadline = DeadlineFrom { reachable_since: now };
        let reached = Reached::of(batches);
        self.seams.ledger.decide(&orders, &reached, &deadline, now).await.unwrap()
    }

    /// Takes batches out of the outbox, as each of their orders is decided or set aside.
    pub(crate) async fn remove(&self, batches: &[Arc<Batch>]) {
        for batch in batches {
            let slot = Slot::first(batch.round());
            self.seams.gate.settle(slot, &[], &[Decided::from(&**batch)]).await.unwrap();
        }
    }

    /// The same for orders that the worker rejects.
    pub(crate) async fn reject(&self, reason: Reason) {
        for order in self.orders().await {
            let decision = self.seams.ledger.reject(&order, reason, clock::now()).await.unwrap();
            self.settle(decision).await;
        }
    }

    async fn settle(&self, decision: Decision) {
        let Decision::Stands { buyer, ticket } = decision else { panic!("{decision:?}") };
        let settled = Settlement { ticket: ticket.id, buyer, state: ticket.state };
        self.seams.gate.settle(Slot::of(ticket.id), &[settled], &[]).await.unwrap();
    }

    /// Does the worker's part for a sale that is over.
    pub(crate) async fn retire(&self, id: &str) {
        let report = self.report(id).await;
        let round = RoundId::parse(report["round"].as_str().unwrap()).unwrap();
        self.seams.ledger.retire(round).await.unwrap();
        self.seams.gate.retire(round).await.unwrap();
        // A change through this server has it read the sales again.
        assert_eq!(self.patch(id, "", json!({"name": "over"})).await.status, 200);
    }
}

pub(crate) fn open_sale(id: &str, stock: u32, limit: u8) -> Value {
    json!({
        "id": id, "name": "A sale", "stock": stock, "limit": limit,
        "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z",
    })
}

pub(crate) fn claim(sale: &str, jwt: &str, key: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post(format!("/v1/sales/{sale}/tickets"))
        .header("host", "shop.example:8080")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {jwt}"));
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    request.body(body.into()).unwrap()
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Answer { status: head.status, headers: head.headers, text, body }
}
