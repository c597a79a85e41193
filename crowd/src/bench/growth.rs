//! What a claim costs the server, as stock, buyers and watchers grow tenfold and tenfold again.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::Bench;
use super::drawing::{self, Line};
use super::generator::tokens;
use super::shop::Shop;
use super::table::{Row, median, note};
use super::watchers::Watchers;

/// Claims of one measurement: few beside what grows.
const CLAIMS: usize = 5_000;

/// What grows has this size, ten times of it, and a hundred times.
const STEPS: [usize; 3] = [1, 10, 100];

/// Units in the smallest sale, buyers who have won before, and sockets: at step 1.
const STOCK: usize = 10_000;
const WINNERS: usize = 1_000;
const WATCHERS: usize = 100;

/// Measurements of each size, of which the middle one counts.
const TURNS: usize = 3;

/// How much more a claim may cost at a hundred times the size.
const MOST: f64 = 1.5;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let shop = Shop::embedded(bench, &[]).await?;
    let buyers = shop.buyers(WINNERS * STEPS[2] + CLAIMS).await?;
    let growth = Growth { shop, buyers };
    // It warms all of it up.
    growth.of_a_claim("warm", STOCK).await?;
    let lines = [
        ("units in stock", STOCK, growth.with_stock().await?),
        ("buyers who have won", WINNERS, growth.with_winners().await?),
        ("open WebSockets", WATCHERS, growth.with_watchers().await?),
    ];
    let mut rows = Vec::new();
    for (what, least, costs) in &lines {
        let ratio = costs[2] / costs[0];
        let most = least * STEPS[2];
        let all: Vec<String> = costs.iter().map(|cost| format!("{cost:.1}")).collect();
        let words = format!("**{ratio:.2}** ({} µs of processor time)", all.join(", "));
        let values = json!({ "least": least, "steps": STEPS, "microseconds": costs });
        let row = Row::new(
            format!("a claim and its verdict, with {least} to {most} {what}"),
            words,
            values,
        );
        rows.push(row.at_most(ratio, MOST, ""));
    }
    if let Some(path) = &bench.drawing {
        let lines = lines.map(|(name, _, costs)| Line {
            name,
            points: STEPS
                .iter()
                .zip(&costs)
                .map(|(step, cost)| (*step as f64, cost / costs[0]))
                .collect(),
        });
        let svg = drawing::growth(&lines);
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(rows)
}

struct Growth {
    shop: Shop,
    buyers: Arc<[String]>,
}

impl Growth {
    /// What each size costs, in µs.
    async fn with_stock(&self) -> anyhow::Result<Vec<f64>> {
        let mut costs = Vec::new();
        for step in STEPS {
            let mut turns = Vec::new();
            for turn in 0..TURNS {
                turns.push(self.of_a_claim(&format!("stock-{step}-{turn}"), STOCK * step).await?);
            }
            costs.push(median(turns));
        }
        Ok(costs)
    }

    async fn with_winners(&self) -> anyhow::Result<Vec<f64>> {
        let mut costs = Vec::new();
        for step in STEPS {
            let mut turns = Vec::new();
            for turn in 0..TURNS {
                let sale = format!("winners-{step}-{turn}");
                self.shop.sale(&sale, u32::try_from(self.buyers.len())?).await?;
                let (first, rest) = self.buyers.split_at(WINNERS * step);
                self.claim(&sale, first).await?;
                turns.push(self.claim(&sale, &rest[..CLAIMS]).await?);
            }
            costs.push(median(turns));
        }
        Ok(costs)
    }

    async fn with_watchers(&self) -> anyhow::Result<Vec<f64>> {
        let most = WATCHERS * STEPS[2];
        self.shop.sale("watched", u32::try_from(most)?).await?;
        let tokens = tokens(self.shop.api, "watched", &self.buyers[..most]).await?;
        self.shop.decided("watched").await?;
        let (mut watchers, mut open, mut costs) = (Watchers::none(), 0, Vec::new());
        for step in STEPS {
            watchers.watch(&self.shop.client, &tokens[open..WATCHERS * step]).await?;
            open = WATCHERS * step;
            let mut turns = Vec::new();
            for turn in 0..TURNS {
                turns.push(self.of_a_claim(&format!("watchers-{step}-{turn}"), STOCK).await?);
            }
            watchers.all_stand()?;
            costs.push(median(turns));
        }
        Ok(costs)
    }

    /// In a sale of its own.
    async fn of_a_claim(&self, sale: &str, stock: usize) -> anyhow::Result<f64> {
        self.shop.sale(sale, u32::try_from(stock)?).await?;
        self.claim(sale, &self.buyers[..CLAIMS]).await
    }

    /// Until the last verdict.
    async fn claim(&self, sale: &str, buyers: &[String]) -> anyhow::Result<f64> {
        let before = self.shop.used()?;
        tokens(self.shop.api, sale, buyers).await?;
        self.shop.decided(sale).await?;
        let cost = (self.shop.used()? - before) * 1e6 / buyers.len() as f64;
        note(&format!("{sale}, {} claims: {cost:.1} µs each", buyers.len()));
        Ok(cost)
    }
}
