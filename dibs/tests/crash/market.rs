//! What is sold, and the crowd that buys it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::buyer::Buyer;
use crate::eyes::Way;
use crate::harness::claimer::Claim;
use crate::harness::{PATIENCE, Server};
use crate::memory::Memory;

/// A sale of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stall {
    /// One unit a buyer, without request ids, and more units than anybody asks for.
    Plenty,
    /// Three units a buyer, in claims of several units under keys.
    Several,
    /// One unit a buyer, and soon sold out.
    Scarce,
    /// One unit a buyer, and a stock that moves.
    Moving,
    /// As [`Stall::Plenty`], and closed and retired while the others go on.
    Closing,
}

impl Stall {
    pub(crate) const ALL: [Self; 5] =
        [Self::Plenty, Self::Several, Self::Scarce, Self::Moving, Self::Closing];

    /// The id of the sale.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Plenty => "plenty",
            Self::Several => "several",
            Self::Scarce => "scarce",
            Self::Moving => "moving",
            Self::Closing => "closing",
        }
    }

    pub(crate) fn stock(self) -> u32 {
        match self {
            Self::Plenty | Self::Several | Self::Closing => 1_000_000,
            Self::Scarce => 40,
            Self::Moving => 100,
        }
    }

    fn limit(self) -> u8 {
        match self {
            Self::Several => 3,
            Self::Plenty | Self::Scarce | Self::Moving | Self::Closing => 1,
        }
    }

    /// The problem by which a claim may be refused for good.
    pub(crate) fn may_say(self) -> Option<&'static str> {
        match self {
            Self::Plenty => None,
            Self::Several => Some("/problems/limit-reached"),
            Self::Scarce | Self::Moving => Some("/problems/sold-out"),
            Self::Closing => Some("/problems/closed"),
        }
    }

    /// The claims of a new buyer, one after the other.
    pub(crate) fn claims(self, buyer: &str, dice: &mut StdRng) -> Vec<Claim> {
        let claim = Claim::of(self.id(), buyer);
        match self {
            Self::Plenty | Self::Scarce | Self::Moving | Self::Closing => vec![claim],
            Self::Several => {
                let splits: [&[u8]; 5] = [&[3, 1], &[1, 2, 1], &[2, 1, 1], &[1, 1, 1, 1], &[2]];
                let units = splits[dice.random_range(0..splits.len())].iter().enumerate();
                let numbered =
                    |(n, units): (usize, &u8)| claim.clone().under(&format!("{n}")).units(*units);
                units.map(numbered).collect()
            }
        }
    }
}

/// What buyers and merchants share.
pub(crate) struct Market {
    pub(crate) http: reqwest::Client,
    /// Where claims are answered, and where reads are.
    doors: (Vec<String>, Vec<String>),
    entered: AtomicUsize,
    pub(crate) stalls: Vec<Stall>,
    /// Buyers finish what they are at and go home.
    pub(crate) closing: CancellationToken,
    answers: watch::Sender<u64>,
    memory: Mutex<Memory>,
}

impl Market {
    /// Opens the sales.
    pub(crate) async fn open(server: &Server, stalls: &[Stall]) -> Arc<Self> {
        Self::open_at(&[server], &[server], stalls).await
    }

    /// The same, where several processes answer claims and others reads, each at an address
    /// that it keeps.
    pub(crate) async fn open_at(
        claims: &[&Server],
        reads: &[&Server],
        stalls: &[Stall],
    ) -> Arc<Self> {
        let bases =
            |servers: &[&Server]| servers.iter().map(|server| server.base.clone()).collect();
        Arc::new(Self::behind((bases(claims), bases(reads)), claims[0], stalls).await)
    }

    /// The same at these addresses, for claims and for reads. The sales are opened at `api`.
    pub(crate) async fn behind(
        doors: (Vec<String>, Vec<String>),
        api: &Server,
        stalls: &[Stall],
    ) -> Self {
        for stall in stalls {
            api.open_sale(stall.id(), stall.stock(), stall.limit()).await;
        }
        Self {
            http: api.http.clone(),
            doors,
            entered: AtomicUsize::new(0),
            stalls: stalls.to_vec(),
            closing: CancellationToken::new(),
            answers: watch::Sender::new(0),
            memory: Mutex::default(),
        }
    }

    /// Where the next claim goes.
    pub(crate) fn to_claim(&self) -> &str {
        self.next_of(&self.doors.0)
    }

    /// Where the next read goes.
    pub(crate) fn to_read(&self) -> &str {
        self.next_of(&self.doors.1)
    }

    fn next_of<'a>(&self, doors: &'a [String]) -> &'a str {
        &doors[self.entered.fetch_add(1, Ordering::Relaxed) % doors.len()]
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        // A buyer who panicked has said what is wrong; the others need not repeat it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has said something that can be relied on.
    pub(crate) fn count_answer(&self) {
        self.answers.send_modify(|count| *count += 1);
    }

    /// Waits for so many more answers.
    pub(crate) async fn further_answers(&self, count: u64) {
        let mut answers = self.answers.subscribe();
        let enough = *answers.borrow() + count;
        let waiting = answers.wait_for(|answers| *answers >= enough);
        tokio::time::timeout(PATIENCE, waiting).await.expect("answers should come").unwrap();
    }

    /// What a client does before it tries again.
    pub(crate) async fn back_off(&self, dice: &mut StdRng) {
        tokio::time::sleep(Duration::from_millis(dice.random_range(5..50))).await;
    }
}

/// Buyers who come again and again.
pub(crate) struct Crowd {
    market: Arc<Market>,
    buyers: JoinSet<()>,
}

impl Crowd {
    pub(crate) fn gather(market: &Arc<Market>, size: u64, seed: u64) -> Self {
        let ways = [Way::Socket, Way::Poll, Way::Events].into_iter().cycle();
        let mut buyers = JoinSet::new();
        for (number, way) in (0..size).zip(ways) {
            buyers.spawn(Buyer::new(number, market.clone(), way, seed).shop());
        }
        Self { market: market.clone(), buyers }
    }

    /// Closes the market and waits until everybody has what he came for.
    pub(crate) async fn leave(mut self) -> Memory {
        self.market.closing.cancel();
        while let Some(left) = self.buyers.join_next().await {
            left.unwrap();
        }
        std::mem::take(&mut *self.market.memory())
    }
}
