//! What an idle WebSocket costs: the slope of the server's memory over how many there are.

use std::time::Duration;

use serde_json::json;

use super::Bench;
use super::generator::tokens;
use super::shop::Shop;
use super::table::{Row, note};
use super::watchers::Watchers;

/// How many there are at each reading.
const COUNTS: [usize; 3] = [5_000, 10_000, 15_000];

/// How long memory that was used for handshakes may take to be given back.
const SETTLES: Duration = Duration::from_secs(3);

/// What one may cost, in KiB.
const MOST: f64 = 6.0;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    // Seven of eight connections may be WebSockets.
    let shop = Shop::embedded(bench, &[("connections", "18000")]).await?;
    shop.sale("idle", 1_000_000).await?;
    let buyers = shop.buyers(COUNTS[2]).await?;
    let tokens = tokens(shop.api, "idle", &buyers).await?;
    shop.decided("idle").await?;
    let mut watchers = Watchers::none();
    let (mut begin, mut readings) = (0, Vec::new());
    for count in COUNTS {
        watchers.watch(&shop.client, &tokens[begin..count]).await?;
        begin = count;
        tokio::time::sleep(SETTLES).await;
        watchers.all_stand()?;
        let resident = shop.resident()?;
        note(&format!("{count} WebSockets: {resident} KiB"));
        readings.push((count as f64, resident));
    }
    let slope = slope(&readings);
    let words = format!("**{slope:.2} KiB** resident");
    let values = json!({ "kib": slope, "readings": readings });
    let what = "an idle WebSocket with one ticket: slope over 5,000, 10,000 and 15,000";
    Ok(vec![Row::new(what, words, values).at_most(slope, MOST, " KiB")])
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line_through_the_points() {
        assert_eq!(slope(&[(5.0, 31.0), (10.0, 41.0), (15.0, 51.0)]), 2.0);
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 0.0), (2.0, 2.0)]), 0.5);
    }
}
