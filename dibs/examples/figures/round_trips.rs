//! The round trips inside one purchase, each by itself: grant, publish the batch, transaction,
//! settle, publish the outcome.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use anyhow::anyhow;
use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, RequestId, SaleId, Shard, TicketId};
use sale::outcome::Outcome;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use store::Seams;
use store::gate::redis::{self, RedisGate};
use store::gate::{Bounds, Decided, Gate, Settlement, Slot};
use store::ledger::mysql::{self, MySqlLedger};
use store::ledger::{Creation, DeadlineFrom, Decision, Ledger, Reached, Sale};
use store::log::Log;
use store::log::pulsar::{self, PulsarLog};

/// What they are called, in their order.
pub(crate) const NAMES: [&str; 5] = [
    "grant (Redis)",
    "publish the batch, to its receipt (Pulsar)",
    "transaction (MySQL)",
    "settle (Redis)",
    "publish the outcome, to its receipt (Pulsar)",
];

/// Addresses, as Dibs' settings write them.
pub(crate) struct Engines<'a> {
    pub(crate) gate: &'a str,
    pub(crate) log: &'a str,
    pub(crate) log_admin: &'a str,
    pub(crate) ledger: &'a str,
}

/// Engines without any role, and a sale in them.
pub(crate) struct RoundTrips {
    seams: Seams,
    sale: Sale,
    buyers: u32,
}

impl RoundTrips {
    /// Brings an install of its own up to date, and makes an open sale with so much stock.
    pub(crate) async fn open(engines: &Engines<'_>, stock: usize) -> anyhow::Result<Self> {
        let wrong = |what: &str| format!("the address of {what} is wrong");
        let address = mysql::Address::parse(engines.ledger).map_err(|why| anyhow!(why));
        let address = address.with_context(|| wrong("MySQL"))?;
        mysql::migrate(&address, None).await?;
        let ledger = Ledger::MySql(MySqlLedger::open(&address, None).await?);
        let install = ledger.install();
        let address = redis::Address::parse(engines.gate).map_err(|why| anyhow!(why));
        let address = address.with_context(|| wrong("Redis"))?;
        redis::migrate(&address, None, install).await?;
        let gate = RedisGate::open(&address, None, install, Bounds::default()).await?;
        let address = pulsar::Address::parse(engines.log).map_err(|why| anyhow!(why));
        let (address, admin) =
            (address.with_context(|| wrong("Pulsar"))?, engines.log_admin.parse()?);
        pulsar::migrate(&address, &admin, None, install).await?;
        let log = PulsarLog::open(&address, &admin, None, install).await?;
        let seams = Seams { gate: Gate::Redis(gate), log: Log::Pulsar(log), ledger };
        let sale = open_sale(&seams, stock.try_into()?).await?;
        Ok(Self { seams, sale, buyers: 0 })
    }

    /// Makes each of them once, for the next buyer.
    pub(crate) async fn next(&mut self) -> anyhow::Result<[Duration; NAMES.len()]> {
        let Seams { gate, log, ledger } = &self.seams;
        self.buyers += 1;
        let buyer = BuyerId::new(&format!("buyer-{:010}", self.buyers))?;
        let Sale { round, salt, .. } = self.sale;
        let ticket = TicketId::derive(round, Shard::FIRST, &salt, &buyer, &RequestId::none());
        let (slot, claim) = (Slot::first(round), Claim { ticket, buyer, units: Units::ONE });

        let mut watch = Watch(Instant::now());
        let grants = gate.grant(slot, BatchId(rand::random()), &[claim]).await?;
        let granted = watch.lap();
        let batch = grants.batch.context("the claim was not granted")?;
        watch.lap();
        log.publish(batch.clone()).await?;
        let published = watch.lap();
        let now = gate.now();
        let deadline = DeadlineFrom { reachable_since: now };
        let reached = Reached::of(std::slice::from_ref(&batch));
        let decisions = ledger.decide(batch.orders(), &reached, &deadline, now).await?;
        let decided = watch.lap();
        let Some(Decision::Stands { buyer, ticket }) = decisions.into_iter().next() else {
            anyhow::bail!("the order was not decided");
        };
        let settlement = Settlement { ticket: ticket.id, buyer, state: ticket.state };
        watch.lap();
        gate.settle(slot, &[settlement], &[Decided::from(&*batch)]).await?;
        let settled = watch.lap();
        log.publish_outcomes(vec![Outcome { install: ledger.install(), ticket }]).await?;
        Ok([granted, published, decided, settled, watch.lap()])
    }
}

/// Takes the time of one step after the other.
struct Watch(Instant);

impl Watch {
    fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0 - before
    }
}

async fn open_sale(seams: &Seams, stock: u32) -> anyhow::Result<Sale> {
    let (opens_at, closes_at) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let sale = NewSale {
        id: SaleId::new("round-trips")?,
        name: SaleName::new("Round trips".to_owned())?,
        stock: Stock::new(stock)?,
        limit: Units::ONE,
        window: Window::new(Timestamp::parse(opens_at)?, Timestamp::parse(closes_at)?)?,
        answer_within: Duration::from_secs(300),
    };
    let (Creation::Created(sale) | Creation::Same(sale)) = seams.ledger.create(&sale).await? else {
        anyhow::bail!("another install uses these engines");
    };
    anyhow::ensure!(sale.is_new(), "another install uses these engines");
    let snapshot = seams.ledger.snapshot(sale.round).await?.context("the sale has no round")?;
    anyhow::ensure!(seams.gate.warm(snapshot, None).await?, "the round is in the gate already");
    Ok(sale)
}
