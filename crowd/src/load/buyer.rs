//! The life of one buyer: he opens the page, waits for his moment, and buys, with one device or two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use client::{Client, Error, Sale, pause_after};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{sleep, sleep_until, timeout_at};

use super::device::Device;
use super::identity::{Identity, Vouched};
use super::market::{Market, PAGE};
use super::tally::Life;

/// How long before the opening the early ones tap.
const EARLY: std::ops::Range<Duration> = Duration::from_millis(20)..Duration::from_millis(500);

/// A buyer, as his devices share him.
pub(super) struct Buyer {
    pub(super) market: Arc<Market>,
    pub(super) sale: Sale,
    pub(super) who: Vouched,
    /// Counts what he wanted.
    intents: AtomicU32,
}

impl Buyer {
    /// The number of a further thing that he wants.
    pub(super) fn intent(&self) -> u32 {
        self.intents.fetch_add(1, Relaxed)
    }

    /// Records what he did.
    pub(super) async fn did(&self, did: crate::history::Did) {
        self.market.recorder.record(&self.who.buyer, did).await;
    }
}

/// Lives the n-th buyer's life.
pub(super) async fn live(market: Arc<Market>, n: usize) -> Life {
    let sent = Instant::now();
    let mut dice = dice(market.plan.seed, n);
    let mut life = Life::default();
    let behaviour = market.plan.behaviour;
    let early = behaviour.early.has(&mut dice) && market.opens;
    let tap = tap(market.begin, market.due(n), early, &mut dice);
    let client = market.client(n).clone();
    // So that every sale is gone to through every door.
    let sale = market.sales[n / market.clients.len() % market.sales.len()].clone();

    let opened = sent + PAGE.mul_f64(dice.random_range(0.0..0.8));
    sleep_until(opened.min(tap).into()).await;
    if behaviour.page.has(&mut dice) {
        load_page(&market, &client, &sale, tap, &mut life).await;
    }
    let asked = Instant::now();
    let Some(who) = vouched(&market, &client, n, tap, &mut life).await else {
        market.progress.due();
        life.nameless = true;
        return life;
    };
    // A server that was slow to make a guest of him does not make the generator late.
    let kept_waiting = match market.plan.identity {
        Identity::Signed(_) => Duration::ZERO,
        Identity::Guests => Instant::now().saturating_duration_since(asked.max(tap)),
    };
    sleep_until(tap.into()).await;
    market.progress.due();
    life.lateness = tap.elapsed().saturating_sub(kept_waiting);

    let buyer = Arc::new(Buyer { market, sale, who, intents: AtomicU32::new(0) });
    let device = Device::new(&buyer, n, &mut dice);
    if behaviour.second_device.has(&mut dice) {
        let second = Device::new(&buyer, n + 1, &mut dice);
        let (one, other) = tokio::join!(device.buy(tap), second.buy(tap));
        life.take(one);
        life.take(other);
    } else {
        life.take(device.buy(tap).await);
    }
    life
}

/// One seed, one crowd: who does what depends on nothing else.
fn dice(seed: u64, n: usize) -> StdRng {
    // Spreads neighbouring numbers over the seeds.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    StdRng::seed_from_u64(seed ^ (n as u64 + 1).wrapping_mul(SPREAD))
}

/// When he taps: at his moment, or shortly before the opening, if he has his page open by then.
fn tap(opening: Instant, due: Instant, early: bool, dice: &mut StdRng) -> Instant {
    if early && due < opening + PAGE / 2 {
        let ahead = dice.random_range(EARLY);
        opening.checked_sub(ahead).unwrap_or(opening)
    } else {
        due
    }
}

/// What the page asks for when it is opened. Whether it got it or not: he taps at his moment.
async fn load_page(market: &Market, client: &Client, sale: &Sale, until: Instant, life: &mut Life) {
    let both = async { tokio::join!(client.clock(), client.sale(&sale.id)) };
    let Ok((clock, sale)) = timeout_at(until.into(), both).await else { return };
    for error in [clock.err(), sale.err()].into_iter().flatten() {
        life.note(market, &error);
    }
}

/// Has somebody vouch for him, for as long as he has patience.
async fn vouched(
    market: &Market,
    client: &Client,
    n: usize,
    tap: Instant,
    life: &mut Life,
) -> Option<Vouched> {
    match &market.plan.identity {
        Identity::Signed(signer) => {
            let buyer = format!("crowd-{:016x}-{n}", market.plan.seed);
            Some(signer.vouch(buyer, market.clock.now()))
        }
        Identity::Guests => {
            let until = tap + market.plan.patience;
            for tries in 0.. {
                let error = match client.guest().await {
                    Ok(guest) => {
                        let buyer = guest.buyer.as_str().to_owned();
                        return Some(Vouched { buyer, jwt: guest.jwt });
                    }
                    Err(error) => error,
                };
                life.note(market, &error);
                let pause = pause_after(&error, tries);
                if !error.is_worth_another_try() || Instant::now() + pause >= until {
                    break;
                }
                sleep(pause).await;
            }
            None
        }
    }
}

impl Life {
    /// Notes what failed.
    pub(super) fn note(&mut self, market: &Market, error: &Error) {
        market.progress.error();
        self.errors.push((kind(error), Instant::now()));
    }
}

/// An error in words that can be counted.
fn kind(error: &Error) -> String {
    match error {
        Error::NotKnown { why, .. } => (*why).to_owned(),
        Error::Busy { problem, .. } => problem.clone(),
        Error::Unauthorized(_) => "credentials refused".to_owned(),
        Error::NotFound(_) => "not found".to_owned(),
        Error::Refused(refusal) => refusal.problem.clone(),
        Error::Protocol(_) => "an answer that cannot be read".to_owned(),
        Error::Setup(_) => "the request cannot be sent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_early_ones_tap_before_the_opening_and_the_others_at_their_moment() {
        let opening = Instant::now() + PAGE;
        let due = opening + PAGE / 4;
        for n in 0..100 {
            let early = tap(opening, due, true, &mut dice(7, n));
            assert!(EARLY.contains(&opening.duration_since(early)));
            assert_eq!(tap(opening, due, false, &mut dice(7, n)), due);
        }
    }

    #[test]
    fn who_comes_when_the_sale_is_long_open_cannot_be_early() {
        let opening = Instant::now();
        let due = opening + PAGE;
        assert_eq!(tap(opening, due, true, &mut dice(7, 0)), due);
    }
}
