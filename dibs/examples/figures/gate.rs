//! A gate of its own in a Redis, with rounds that are open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};
use sale::grant::Claim;
use sale::id::{BuyerId, InstallId, RequestId, RoundId, SaleId, Salt, Shard, TicketId};
use sale::terms::{Terms, Window};
use sale::time::Timestamp;
use sale::units::Units;
use store::gate::redis::{Address, RedisGate, migrate};
use store::gate::{Bounds, Gate, Slot, Snapshot};

/// The gate, and a connection of the same client beside it.
pub(crate) struct Bench {
    pub(crate) gate: Gate,
    pub(crate) redis: MultiplexedConnection,
    pub(crate) prefix: String,
    rounds: AtomicU32,
}

impl Bench {
    /// Opens a gate under keys that nobody else has.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let prefix = format!("bench-{:016x}", rand::random::<u64>());
        let address = Address::parse(&format!("{url}?prefix={prefix}"));
        let address = address.map_err(|why| anyhow!("the URL of Redis {why}"))?;
        let install = InstallId(rand::random());
        migrate(&address, None, install).await?;
        let bounds = Bounds { outbox_most: usize::MAX >> 11, ..Bounds::default() };
        let gate = Gate::Redis(RedisGate::open(&address, None, install, bounds).await?);
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(Duration::from_secs(60)))
            .set_pipeline_buffer_size(256);
        let client = Client::open(url)?;
        let redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { gate, redis, prefix, rounds: AtomicU32::new(1) })
    }

    /// An open round with so much stock.
    pub(crate) async fn round(&self, stock: usize) -> anyhow::Result<Slot> {
        let round = RoundId(self.rounds.fetch_add(1, Ordering::Relaxed));
        let (opens_at, closes_at) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
        let terms = Terms {
            sale: SaleId::new("bench")?,
            round,
            limit: Units::ONE,
            window: Window::new(Timestamp::parse(opens_at)?, Timestamp::parse(closes_at)?)?,
            closed: false,
            version: 1,
        };
        let available = stock.try_into()?;
        let snapshot =
            Snapshot { terms, incarnation: 1, available, tickets: vec![], restocks: vec![] };
        anyhow::ensure!(self.gate.warm(snapshot, None).await?, "the round is there already");
        Ok(Slot::first(round))
    }

    /// All keys of this gate.
    pub(crate) async fn keys(&self) -> anyhow::Result<Vec<String>> {
        let (mut cursor, mut keys) = (0_u64, Vec::new());
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{}:*", self.prefix)).arg("COUNT").arg(1000);
            let (next, found): (u64, Vec<String>) =
                scan.query_async(&mut self.redis.clone()).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    /// Removes all keys but the mark.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        let mark = format!("{}:install", self.prefix);
        let keys: Vec<_> = self.keys().await?.into_iter().filter(|key| *key != mark).collect();
        if !keys.is_empty() {
            cmd("UNLINK").arg(keys).exec_async(&mut self.redis.clone()).await?;
        }
        Ok(())
    }

    /// Removes everything.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        cmd("UNLINK").arg(self.keys().await?).exec_async(&mut self.redis.clone()).await?;
        Ok(())
    }
}

/// Claims of so many buyers, each with an id of 16 bytes, for one unit.
pub(crate) fn claims(round: RoundId, buyers: usize) -> anyhow::Result<Vec<Claim>> {
    let salt = Salt([7; 32]);
    let claim = |n: usize| {
        let buyer = BuyerId::new(&format!("buyer-{n:010}")).context("a buyer's id is short")?;
        let ticket = TicketId::derive(round, Shard::FIRST, &salt, &buyer, &RequestId::none());
        Ok(Claim { ticket, buyer, units: Units::ONE })
    };
    (0..buyers).map(claim).collect()
}
