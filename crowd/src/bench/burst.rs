//! Many who wait, each on a WebSocket of his own, and all are told at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::time::timeout;

use super::Bench;
use super::generator::tokens;
use super::shop::Shop;
use super::table::Row;
use super::watchers::Watchers;

/// How many wait.
const WAITING: usize = 10_000;

/// The longest wait that is told apart, in ms.
const LONGEST_WAIT: u64 = 60_000;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let shop = Shop::embedded(bench, &[]).await?;
    shop.sale("burst", 1_000_000).await?;
    let buyers = shop.buyers(WAITING).await?;
    let ledger = Held::take(&shop).await?;
    let tokens = tokens(shop.api, "burst", &buyers).await?;
    let mut watchers = Watchers::none();
    watchers.watch(&shop.client, &tokens).await?;
    let clock = shop.client.clock().await?;
    let released = ledger.release().await?;
    let told = timeout(PATIENCE, all_told(&mut watchers)).await.context("not all were told")??;

    let (anchor, now) = (Instant::now(), clock.now().millis());
    let mut since_commit = Histogram::<u64>::new_with_max(LONGEST_WAIT, 3)?;
    let (mut committed, mut heard) = (i64::MIN, i64::MIN);
    for (at, decided) in told {
        let at = now - i64::try_from((anchor - at).as_millis())?;
        (committed, heard) = (committed.max(decided), heard.max(at));
        // What was begun while the ledger was held has waited for it.
        if decided >= now - i64::try_from((anchor - released).as_millis())? {
            since_commit.saturating_record((at - decided).try_into().unwrap_or(0));
        }
    }
    ensure!(!since_commit.is_empty(), "every verdict was begun before the ledger was let go");
    let percentile = |percent: f64| since_commit.value_at_quantile(percent / 100.0);
    let last = heard - committed;
    let words = format!(
        "**{last} ms** from the last verdict to the last one told; each since his own: p50 {} ms, p99 {} ms, most {} ms",
        percentile(50.0),
        percentile(99.0),
        since_commit.max(),
    );
    let values = json!({
        "last_ms": last, "p50_ms": percentile(50.0), "p99_ms": percentile(99.0),
        "most_ms": since_commit.max(), "counted": since_commit.len(),
    });
    Ok(vec![Row::new("10,000 waiting WebSockets, told in one burst", words, values)])
}

/// When each was told his final result, and when that was decided, in ms since 1970.
async fn all_told(watchers: &mut Watchers) -> anyhow::Result<Vec<(Instant, i64)>> {
    let mut told = Vec::with_capacity(WAITING);
    while told.len() < WAITING {
        let (at, seen) = watchers.told().await?;
        if let Some(decided) = seen.ticket.decided_at.filter(|_| seen.ticket.is_final) {
            told.push((at, decided.millis()));
        }
    }
    Ok(told)
}

/// A local ledger in which nothing can be committed.
struct Held(SqliteConnection);

impl Held {
    async fn take(shop: &Shop) -> anyhow::Result<Self> {
        let url = format!("sqlite://{}", shop.ledger().display());
        let mut connection = SqliteConnection::connect(&url).await?;
        connection.execute("BEGIN IMMEDIATE").await.context("cannot hold the ledger")?;
        Ok(Self(connection))
    }

    /// From then on it can.
    async fn release(mut self) -> anyhow::Result<Instant> {
        let at = Instant::now();
        self.0.execute("ROLLBACK").await?;
        self.0.close().await?;
        Ok(at)
    }
}
