//! What a winner costs the gate once his order has left the outbox: all keys together.

use redis::{InfoDict, cmd};
use sale::grant::Claim;
use sale::id::BatchId;
use sale::status::Move;
use store::gate::{Decided, Settlement, Slot};

use crate::gate::{Bench, claims};
use crate::table::row;

const WINNERS: usize = 200_000;

/// Claims of one call.
const A_CALL: usize = 256;

/// Has so many buyers win and their orders decided, and prints what is left of it.
pub(crate) async fn measure(redis: &str) -> anyhow::Result<()> {
    let bench = Bench::open(redis).await?;
    let slot = bench.round(WINNERS).await?;
    let winners = claims(slot.round, WINNERS)?;
    let (used, keys) = (used(&bench).await?, usage(&bench).await?);
    for some in winners.chunks(A_CALL) {
        win(&bench, slot, some).await?;
    }
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / WINNERS as f64;
    let used = each(self::used(&bench).await?, used);
    let keys = each(usage(&bench).await?, keys);
    bench.end().await?;
    let figure = format!("**{used:.0} bytes** (used_memory), {keys:.0} (MEMORY USAGE of all keys)");
    row("gate memory a winner, 16-byte buyer ids, after settling", &figure, "≤ 150")
}

async fn win(bench: &Bench, slot: Slot, some: &[Claim]) -> anyhow::Result<()> {
    let grants = bench.gate.grant(slot, BatchId(rand::random()), some).await?;
    let batch = grants.batch.filter(|batch| batch.orders().len() == some.len());
    let batch = batch.ok_or_else(|| anyhow::anyhow!("not all of them were granted"))?;
    let settlements = batch.orders().iter().map(|order| {
        let state = order.pending().after(Move::Confirm, grants.now)?;
        Ok(Settlement { ticket: order.ticket, buyer: order.buyer.clone(), state })
    });
    let settlements: Vec<_> = settlements.collect::<anyhow::Result<_>>()?;
    Ok(bench.gate.settle(slot, &settlements, &[Decided::from(&*batch)]).await?)
}

/// What Redis has taken from its allocator, without what its clients' buffers and its
/// append-only file hold for a moment.
async fn used(bench: &Bench) -> anyhow::Result<u64> {
    let info: InfoDict = cmd("INFO").arg("memory").query_async(&mut bench.redis.clone()).await?;
    let number = |name: &str| info.get::<u64>(name).unwrap_or(0);
    Ok(number("used_memory") - number("mem_clients_normal") - number("mem_aof_buffer"))
}

/// What Redis says of each key.
async fn usage(bench: &Bench) -> anyhow::Result<u64> {
    let mut sum = 0;
    for key in bench.keys().await? {
        let mut usage = cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        sum += usage.query_async::<Option<u64>>(&mut bench.redis.clone()).await?.unwrap_or(0);
    }
    Ok(sum)
}
