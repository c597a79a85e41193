//! The batcher with many waiting claimants, beside the same script driven with full batches, the
//! same script called one claim at a time, and a simpler script called one claim at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Settings;
use api::batcher::{Answered, Batcher};
use api::publisher::Publisher;
use redis::aio::MultiplexedConnection;
use redis::{Script, cmd};
use sale::grant::{Answer, Claim};
use sale::id::BatchId;
use store::gate::{Gate, Slot};
use tokio::task::JoinSet;

use crate::gate::{Bench, claims};
use crate::table::{median, rate, ratio, row};

/// Claimants that wait at any time: each claims, hears the answer, and the next buyer comes.
const CLAIMANTS: usize = 512;

/// Claims of one measurement.
const CLAIMS: usize = CLAIMANTS * 200;

/// Measures all four, so many times, and prints the rows.
pub(crate) async fn measure(redis: &str, runs: usize) -> anyhow::Result<()> {
    let bench = Bench::open(redis).await?;
    let [mut batched, mut full, mut single, mut simple] = [const { Vec::new() }; 4];
    for run in 0..=runs {
        let rates = [
            by_batcher(&bench).await?,
            by_full_batches(&bench).await?,
            one_by_one(&bench).await?,
            by_simple_script(&bench).await?,
        ];
        // The first one warms all of it up.
        if run > 0 {
            eprintln!("batcher, full batches, one by one, simple script: {rates:.0?}");
            for (all, rate) in
                [&mut batched, &mut full, &mut single, &mut simple].into_iter().zip(rates)
            {
                all.push(rate);
            }
        }
    }
    bench.end().await?;
    let thousands = |all: &[f64]| format!("{:.0} k/s", median(all.iter().copied()) / 1000.0);
    row("batcher, 512 waiting claimants", &thousands(&batched), "")?;
    let beside = |baseline: &[f64]| {
        format!("**{:.2}** ({})", ratio(&batched, baseline), thousands(baseline))
    };
    row("… / same script, full batches", &beside(&full), "≥ 0.8")?;
    row("… / same script, one claim a call", &beside(&single), "≥ 3")?;
    row("… / seed's script, one claim a call", &beside(&simple), "≥ 1.2")
}

async fn by_batcher(bench: &Bench) -> anyhow::Result<f64> {
    let slot = bench.round(CLAIMS).await?;
    let (publisher, mut granted) = Publisher::new(Settings::default().batches_queued);
    let batcher = Arc::new(Batcher::new(bench.gate.clone(), publisher, &Settings::default()));
    let mut leaving = JoinSet::new();
    leaving.spawn(async move {
        let mut batches = 0;
        while granted.recv().await.is_some() {
            batches += 1;
        }
        batches
    });
    let asked = batcher.clone();
    let took = crowd(slot, move |claim| {
        let batcher = asked.clone();
        async move {
            let Answered { answer, .. } = batcher.claim(slot, claim).await?;
            Ok(matches!(answer, Answer::Granted(_)))
        }
    })
    .await?;
    batcher.end().await;
    drop(batcher);
    let batches: usize = leaving.join_all().await.into_iter().sum();
    eprintln!("the batcher made batches of {}", CLAIMS / batches.max(1));
    bench.clear().await?;
    Ok(rate(CLAIMS, took))
}

/// As many calls in flight as the batcher makes, each with as many claims as can wait for it.
async fn by_full_batches(bench: &Bench) -> anyhow::Result<f64> {
    let slot = bench.round(CLAIMS).await?;
    let calls = Settings::default().calls_in_flight;
    let mut batches: Vec<Vec<Claim>> = Vec::new();
    for batch in claims(slot.round, CLAIMS)?.chunks(CLAIMANTS / calls) {
        batches.push(batch.to_vec());
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for share in batches.chunks(batches.len() / calls) {
        let (gate, share) = (bench.gate.clone(), share.to_vec());
        tasks.spawn(async move {
            for batch in share {
                grant(&gate, slot, &batch).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = begun.elapsed();
    bench.clear().await?;
    Ok(rate(CLAIMS, took))
}

async fn one_by_one(bench: &Bench) -> anyhow::Result<f64> {
    let slot = bench.round(CLAIMS).await?;
    let gate = bench.gate.clone();
    let took = crowd(slot, move |claim| {
        let gate = gate.clone();
        async move { grant(&gate, slot, &[claim]).await.map(|()| true) }
    })
    .await?;
    bench.clear().await?;
    Ok(rate(CLAIMS, took))
}

async fn grant(gate: &Gate, slot: Slot, claims: &[Claim]) -> anyhow::Result<()> {
    let grants = gate.grant(slot, BatchId(rand::random()), claims).await?;
    let granted = grants.batch.map_or(0, |batch| batch.orders().len());
    anyhow::ensure!(granted == claims.len(), "{granted} of {} were granted", claims.len());
    Ok(())
}

async fn by_simple_script(bench: &Bench) -> anyhow::Result<f64> {
    let slot = bench.round(CLAIMS).await?;
    let script = Script::new(include_str!("seckill.lua"));
    let mut redis = bench.redis.clone();
    script.load_async(&mut redis).await?;
    let keys = ["stock", "buyers"].map(|name| format!("{}:seckill:{name}", bench.prefix));
    cmd("SET").arg(&keys[0]).arg(CLAIMS).exec_async(&mut redis).await?;
    let call = Arc::new((script.get_hash().to_owned(), keys));
    let took = crowd(slot, move |claim| {
        let (redis, call) = (redis.clone(), call.clone());
        async move { seckill(redis, &call.0, &call.1, &claim).await }
    })
    .await?;
    bench.clear().await?;
    Ok(rate(CLAIMS, took))
}

async fn seckill(
    mut redis: MultiplexedConnection,
    hash: &str,
    keys: &[String; 2],
    claim: &Claim,
) -> anyhow::Result<bool> {
    let mut call = cmd("EVALSHA");
    call.arg(hash).arg(2).arg(keys).arg(claim.buyer.as_str());
    let answer: i64 = call.query_async(&mut redis).await?;
    Ok(answer == 0)
}

/// Has all claims made, [`CLAIMANTS`] at a time. Each must be granted.
async fn crowd<F>(
    slot: Slot,
    claim: impl Fn(Claim) -> F + Clone + Send + 'static,
) -> anyhow::Result<Duration>
where
    F: Future<Output = anyhow::Result<bool>> + Send + 'static,
{
    let all = claims(slot.round, CLAIMS)?;
    let shares: Vec<Vec<Claim>> = all.chunks(CLAIMS / CLAIMANTS).map(<[Claim]>::to_vec).collect();
    let begun = Instant::now();
    let mut claimants = JoinSet::new();
    for share in shares {
        let claim = claim.clone();
        claimants.spawn(async move {
            for one in share {
                anyhow::ensure!(claim(one).await?, "a claim was not granted");
            }
            Ok(())
        });
    }
    while let Some(ended) = claimants.join_next().await {
        ended??;
    }
    Ok(begun.elapsed())
}
