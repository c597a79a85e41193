//! The local engines beside Redis, Pulsar and MySQL, in the same run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use client::{Answer, Claim, Frame, SaleId};
use serde_json::json;

use super::Bench;
use super::generator::{Aim, Pace, claims, connect, tokens};
use super::shop::Shop;
use super::table::{Row, median, note};

/// Connections that claim one after the other.
const EAGER: usize = 256;

/// How long they do.
const STEP: Duration = Duration::from_secs(4);

/// Turns of each; the first one warms all of it up.
const TURNS: usize = 4;

/// Claims of which each is followed to its result: a connection may send 256 frames between two
/// pings, and each of these takes two.
const FOLLOWED: usize = 100;

const BUYERS: usize = 200_000;
const PLENTY: u32 = 1_000_000_000;

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let local = Shop::embedded(bench, &[]).await?;
    let remote = Shop::on_engines(bench).await?;
    let shops = [&local, &remote];
    // One shop vouches for the buyers of both.
    let buyers = local.buyers(BUYERS).await?;
    for shop in shops {
        shop.sale("gone", 1).await?;
        tokens(shop.api, "gone", &buyers[..1]).await?;
    }
    let [mut rates, mut waits] = [const { [const { Vec::new() }; 2] }; 2];
    for turn in 0..TURNS {
        for (place, shop) in shops.into_iter().enumerate() {
            let sale = format!("turn-{turn}");
            shop.sale(&sale, PLENTY).await?;
            let rate = rate(shop, &sale, &buyers).await?;
            let wait = wait(shop, turn, &buyers[..FOLLOWED]).await?;
            note(&format!("{sale}, {place}: {rate:.0} a second, {wait:.2} ms"));
            if turn > 0 {
                rates[place].push(rate);
                waits[place].push(wait);
            }
        }
    }
    let [local_rate, remote_rate] = rates.map(median);
    let [local_wait, remote_wait] = waits.map(median);
    let rate = format!(
        "**{:.2}** ({:.1} k/s / {:.1} k/s)",
        local_rate / remote_rate,
        local_rate / 1e3,
        remote_rate / 1e3
    );
    let wait =
        format!("**{:.2}** ({local_wait:.2} ms / {remote_wait:.2} ms)", local_wait / remote_wait);
    Ok(vec![
        Row::new(
            "granted claims, worker deciding beside them: local engines / Redis, Pulsar and MySQL",
            rate,
            json!({ "local": local_rate, "remote": remote_rate }),
        ),
        Row::new(
            "claim to pushed result, idle: local engines / Redis, Pulsar and MySQL",
            wait,
            json!({ "local_ms": local_wait, "remote_ms": remote_wait }),
        ),
    ])
}

/// Granted claims a second.
async fn rate(shop: &Shop, sale: &str, buyers: &Arc<[String]>) -> anyhow::Result<f64> {
    let gone = Some((Arc::from("gone"), 1));
    let aim = Aim { open: Arc::from(sale), sold_out: gone, buyers: buyers.clone() };
    let wires = connect(shop.api, EAGER, &aim).await?;
    let (_, tally) = claims(shop.api, wires, &aim, Pace::Eager, STEP).await?;
    shop.decided(sale).await?;
    Ok(tally.granted as f64 / tally.lasted.as_secs_f64())
}

/// From a claim to its result over a WebSocket, one after the other, in ms.
async fn wait(shop: &Shop, turn: usize, buyers: &[String]) -> anyhow::Result<f64> {
    let sale = SaleId::new(&format!("idle-{turn}"))?;
    shop.sale(sale.as_str(), PLENTY).await?;
    let mut waited = Vec::with_capacity(buyers.len());
    let mut socket = shop.client.socket().await?;
    for jwt in buyers {
        let begun = Instant::now();
        let held = match shop.client.claim(&Claim::new(sale.clone(), jwt)).await? {
            Answer::Ticket(held) => held,
            Answer::Refused(refusal) => bail!("a claim was refused: {refusal:?}"),
        };
        socket.watch(&[&held.token]).await?;
        loop {
            match socket.next().await? {
                Frame::Ticket(seen) if seen.ticket.is_final => break,
                Frame::Ticket(_) => {}
                other @ (Frame::Fault { .. }
                | Frame::Drain { .. }
                | Frame::Closed { .. }
                | Frame::Unknown) => bail!("no ticket on a WebSocket: {other:?}"),
            }
        }
        waited.push(begun.elapsed().as_secs_f64() * 1e3);
        socket.unwatch(&[held.id()]).await?;
    }
    Ok(median(waited))
}
