//! A whole shop in this process on fresh local engines: what a request meets, without the network.

#![allow(dead_code, reason = "each target uses its part of it")]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use api::Api;
use axum::Router;
use edge::buyer::{BuyerKeys, KeySource};
use edge::guest::GuestKeys;
use edge::origins::Origins;
use edge::secrets::{AdminKey, Secrets};
use push::Push;
use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, SaleId, Shard, TicketId};
use sale::order::OrderV1;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::token::TokenKeys;
use sale::units::Units;
use store::Seams;
use store::clock;
use store::gate::local::LocalGate;
use store::gate::{Gate, Slot};
use store::ledger::sqlite::SqliteLedger;
use store::ledger::{Creation, Ledger, Sale};
use store::log::Log;
use store::log::local::LocalLog;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// The operator's key.
pub(crate) const ADMIN: &str = "the-key-of-the-operator";
const SECRET: &str = "a secret of at least thirty-two bytes";

/// Inputs after which a new shop is opened: an input may leave a sale or a ticket behind.
const INPUTS: u32 = 2000;

pub(crate) struct Shop {
    pub(crate) router: Router,
    /// The JWT of a guest.
    pub(crate) jwt: String,
    /// Opens the one ticket of the sale `cups`, which nobody decides.
    pub(crate) token: String,
    stop: CancellationToken,
    _api: Api,
    _push: Push,
    _folder: TempDir,
}

thread_local! {
    static SHOP: RefCell<Option<(Runtime, Shop, u32)>> = const { RefCell::new(None) };
}

/// Does something to the shop, and waits for its end.
pub(crate) fn visit<T>(what: impl AsyncFnOnce(&Shop) -> T) -> T {
    SHOP.with_borrow_mut(|place| {
        if let Some((runtime, shop, _)) = place.take_if(|(.., inputs)| *inputs == INPUTS) {
            shop.stop.cancel();
            drop(shop);
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        let (runtime, shop, inputs) = place.get_or_insert_with(|| {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let shop = runtime.block_on(Shop::open());
            (runtime, shop, 0)
        });
        *inputs += 1;
        runtime.block_on(what(shop))
    })
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.expect("a ledger");
        let ledger = Ledger::Sqlite(ledger);
        let install = ledger.install();
        let file = folder.path().join("gate.db");
        let gate = LocalGate::open(&file, install, Default::default()).await.expect("a gate");
        let gate = Gate::Local(gate);
        let secrets = Secrets::parse(SECRET).expect("a secret");
        let tokens = Arc::new(TokenKeys::new(install, secrets.sealing(), secrets.retired()));
        let buyers = BuyerKeys::new(KeySource::None, None, None, Some(&secrets)).expect("keys");
        let (buyers, origins) = (Arc::new(buyers), Arc::new(Origins::new(Vec::new())));
        let guests = Arc::new(GuestKeys::new(&secrets));
        let jwt = guests.issue(clock::now()).1;
        let token = tokens.seal(&granted(&gate, &ledger, &sale(&ledger).await).await);

        let seams = Seams { gate, log: Log::Local(LocalLog::new()), ledger };
        let stop = CancellationToken::new();
        // No read is held for long, as inputs come one after the other.
        let settings =
            push::Settings { hold_most: Duration::from_millis(2), ..push::Settings::default() };
        let keys =
            push::Keys { tokens: tokens.clone(), buyers: buyers.clone(), origins: origins.clone() };
        let push = Push::start(seams.clone(), keys, settings, &stop);
        let admin = AdminKey::new(ADMIN).expect("a key");
        let keys = api::Keys { tokens, buyers, guests: Some(guests), admin, origins };
        let api = Api::start(seams, keys, api::Settings::default(), stop.clone()).await;
        let api = api.expect("an api");
        let router = api.router().merge(push.router());
        Self { router, jwt, token, stop, _api: api, _push: push, _folder: folder }
    }
}

/// The sale `cups`, open for a day.
async fn sale(ledger: &Ledger) -> Sale {
    let now = clock::now();
    let new = NewSale {
        id: SaleId::new("cups").expect("an id"),
        name: SaleName::new("Cups".into()).expect("a name"),
        stock: Stock::new(1_000).expect("a stock"),
        limit: Units::new(2).expect("a limit"),
        window: Window::new(now, now.plus(Duration::from_secs(86_400))).expect("a window"),
        answer_within: Duration::from_secs(300),
    };
    match ledger.create(&new).await.expect("an answer of the ledger") {
        Creation::Created(sale) | Creation::Same(sale) => sale,
        Creation::Differs => panic!("the ledger is new"),
    }
}

/// One unit of it, granted to `ada`.
async fn granted(gate: &Gate, ledger: &Ledger, sale: &Sale) -> OrderV1 {
    let snapshot = ledger.snapshot(sale.round).await.expect("an answer of the ledger");
    gate.warm(snapshot.expect("the sale stands"), None).await.expect("an answer of the gate");
    let buyer = BuyerId::new("ada").expect("an id");
    let ticket = TicketId::derive(sale.round, Shard::FIRST, &sale.salt, &buyer, &RequestId::none());
    let claim = Claim { ticket, buyer: buyer.clone(), units: Units::ONE };
    let batch = BatchId([1; 16]);
    let grants = gate.grant(Slot::of(ticket), batch, &[claim]).await.expect("a grant");
    let Answer::Granted(state) = grants.answers[0] else { panic!("the sale is open") };
    OrderV1 { ticket, buyer, units: Units::ONE, granted_at: state.granted_at, incarnation: 0 }
}
