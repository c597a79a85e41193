//! Claims at shares of capacity and beyond it: overload is to be shed, not to bring all down.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Bench;
use super::generator::{Aim, Pace, Tally, claims, connect};
use super::shop::Shop;
use super::table::{Row, note};

/// Of so many claims one is for a sale that grants, the others for one that is sold out.
const ONE_IN: u64 = 10;

/// Connections of the crowd: more than there is room for in a sale's queue.
const CONNECTIONS: usize = 15_000;

/// Connections on which capacity is found.
const EAGER: usize = 512;

/// Buyers: more than claims are granted in one step.
const BUYERS: usize = 100_000;

/// How long a step takes.
const STEP: Duration = Duration::from_secs(10);

/// Shares of capacity.
const SHARES: [f64; 4] = [0.5, 0.8, 1.0, 1.2];

/// Units of a sale that is not to be sold out.
const PLENTY: u32 = 1_000_000_000;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let shop = Shop::embedded(bench, &[]).await?;
    shop.sale("gone", 1).await?;
    let buyers = shop.buyers(BUYERS).await?;
    super::generator::tokens(shop.api, "gone", &buyers[..1]).await?;
    let aim = |open: &str| Aim {
        open: Arc::from(open),
        sold_out: Some((Arc::from("gone"), ONE_IN)),
        buyers: buyers.clone(),
    };
    let mut wires = connect(shop.api, EAGER, &aim("gone")).await?;
    let mut capacity: f64 = 0.0;
    for turn in 0..3 {
        let sale = format!("eager-{turn}");
        shop.sale(&sale, PLENTY).await?;
        let aim = aim(&sale);
        let (back, tally) = claims(shop.api, wires, &aim, Pace::Eager, STEP / 2).await?;
        wires = back;
        note(&told(&format!("{EAGER} eager connections"), &tally));
        // The first one warms all of it up.
        if turn > 0 {
            capacity = capacity.max(tally.goodput());
        }
    }
    drop(wires);

    let mut wires = connect(shop.api, CONNECTIONS, &aim("gone")).await?;
    let (mut rows, mut peak) = (Vec::new(), capacity);
    for share in SHARES {
        let sale = format!("step-{:.0}", share * 100.0);
        shop.sale(&sale, PLENTY).await?;
        let pace = Pace::Scheduled(capacity * share);
        let (back, tally) = claims(shop.api, wires, &aim(&sale), pace, STEP).await?;
        wires = back;
        let name = format!("claims at {:.0} % of capacity", share * 100.0);
        note(&told(&name, &tally));
        peak = peak.max(tally.goodput());
        let mut row = Row::new(name, figure(&tally), values(&tally));
        if share > 1.0 {
            rows.push(row);
            let ratio = tally.goodput() / peak;
            let words = format!(
                "**{ratio:.2}** ({:.1} k/s / {:.1} k/s)",
                tally.goodput() / 1e3,
                peak / 1e3
            );
            let values = json!({ "ratio": ratio, "goodput": tally.goodput(), "peak": peak });
            row = Row::new("… its good answers / the most at any load", words, values);
            row = row.at_least(ratio, 0.9);
        }
        rows.push(row);
    }
    Ok(rows)
}

fn figure(tally: &Tally) -> String {
    let of_due = |count: u64| 100.0 * count as f64 / tally.due.max(1) as f64;
    format!(
        "{:.1} k/s due, **{:.1} k/s** good; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms; {:.1} % shed, {:.1} % late or unanswered",
        tally.due as f64 / tally.lasted.as_secs_f64() / 1e3,
        tally.goodput() / 1e3,
        tally.percentile(50.0),
        tally.percentile(99.0),
        tally.percentile(99.9),
        of_due(tally.shed),
        of_due(tally.late + tally.failed),
    )
}

fn values(tally: &Tally) -> serde_json::Value {
    json!({
        "due": tally.due, "good": tally.good, "granted": tally.granted, "shed": tally.shed,
        "late": tally.late, "failed": tally.failed, "seconds": tally.lasted.as_secs_f64(),
        "p50_ms": tally.percentile(50.0), "p99_ms": tally.percentile(99.0),
        "p999_ms": tally.percentile(99.9),
    })
}

fn told(name: &str, tally: &Tally) -> String {
    format!("{name}: {}", values(tally))
}
