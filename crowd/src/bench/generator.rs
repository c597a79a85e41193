//! A lean crowd: claims over many connections, by a schedule or as fast as answers come.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::wire::Wire;

/// A claim's time limit: what is answered later counts for nothing.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// The longest wait that is told apart, in µs.
const LONGEST_WAIT: u64 = 60_000_000;

/// Connections that are made at one time.
const CONNECTING: usize = 64;

/// What the claims are for.
#[derive(Clone)]
pub(super) struct Aim {
    /// A sale that grants.
    pub(super) open: Arc<str>,
    /// A sale that is sold out, to which all go but one in so many.
    pub(super) sold_out: Option<(Arc<str>, u64)>,
    /// The buyers. The sale that grants sees each of them once.
    pub(super) buyers: Arc<[String]>,
}

/// When claims are made.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// So many a second, whether they are answered or not.
    Scheduled(f64),
    /// One after the other on each connection.
    Eager,
}

/// What came of it.
pub(super) struct Tally {
    /// Claims that were due.
    pub(super) due: u64,
    /// Answered by a ticket or a definite no within the time limit and before the end.
    pub(super) good: u64,
    /// Of these, tickets.
    pub(super) granted: u64,
    /// Answered by "come back later".
    pub(super) shed: u64,
    /// Good ones that came too late.
    pub(super) late: u64,
    /// Not answered, or by something else.
    pub(super) failed: u64,
    /// From when a good one was due until it was answered, in µs.
    pub(super) waited: Histogram<u64>,
    /// How long it went on.
    pub(super) lasted: Duration,
}

impl Tally {
    /// Good answers a second.
    pub(super) fn goodput(&self) -> f64 {
        self.good as f64 / self.lasted.as_secs_f64()
    }

    /// A percentile of what good ones waited, in ms.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        self.waited.value_at_quantile(percent / 100.0) as f64 / 1000.0
    }
}

impl Aim {
    fn of(&self, n: u64) -> (&str, &str) {
        let buyer = |n: u64| {
            let count = self.buyers.len() as u64;
            self.buyers[usize::try_from(n % count).expect("it is below the length")].as_str()
        };
        match &self.sold_out {
            Some((sale, one_in)) if !n.is_multiple_of(*one_in) => (sale, buyer(n)),
            Some((_, one_in)) => (&self.open, buyer(n / one_in)),
            None => (&self.open, buyer(n)),
        }
    }
}

/// Connections, each used once before it counts.
pub(super) async fn connect(
    server: SocketAddr,
    count: usize,
    aim: &Aim,
) -> anyhow::Result<Vec<Wire>> {
    let (sale, _) = aim.sold_out.as_ref().context("a sale that is sold out is needed")?;
    let connecting = (0..count).map(|n| async move {
        let mut wire = Wire::connect(server).await?;
        wire.claim(sale, &aim.buyers[n % aim.buyers.len()]).await?;
        anyhow::Ok(wire)
    });
    stream::iter(connecting).buffer_unordered(CONNECTING).try_collect().await
}

struct Run {
    server: SocketAddr,
    aim: Aim,
    pace: Pace,
    begun: Instant,
    ends: Instant,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

/// Claims for so long over these connections. An arrival that finds all of them busy waits for
/// one, and is charged for it.
pub(super) async fn claims(
    server: SocketAddr,
    wires: Vec<Wire>,
    aim: &Aim,
    pace: Pace,
    lasting: Duration,
) -> anyhow::Result<(Vec<Wire>, Tally)> {
    let begun = Instant::now();
    let tally = Tally {
        due: 0,
        good: 0,
        granted: 0,
        shed: 0,
        late: 0,
        failed: 0,
        waited: Histogram::new_with_max(LONGEST_WAIT, 3)?,
        lasted: lasting,
    };
    let run = Arc::new(Run {
        server,
        aim: aim.clone(),
        pace,
        begun,
        ends: begun + lasting,
        next: AtomicU64::new(0),
        tally: Mutex::new(tally),
    });
    let mut going: JoinSet<_> =
        wires.into_iter().map(|wire| run.clone().on_one_wire(wire)).collect();
    let mut wires = Vec::with_capacity(going.len());
    while let Some(ended) = going.join_next().await {
        wires.extend(ended?);
    }
    drop(going);
    let run = Arc::into_inner(run).context("every connection has ended")?;
    let tally = run.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(tally.good > 0, "not one claim was answered in time");
    Ok((wires, tally))
}

impl Run {
    /// Gives the connection back, if the last claim has left one.
    async fn on_one_wire(self: Arc<Self>, wire: Wire) -> Option<Wire> {
        let mut wire = Some(wire);
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let due = match self.pace {
                Pace::Scheduled(rate) => self.begun + Duration::from_secs_f64(n as f64 / rate),
                Pace::Eager => Instant::now(),
            };
            if due >= self.ends {
                return wire;
            }
            sleep_until(due).await;
            wire = self.claim(wire, n, due).await;
        }
    }

    async fn claim(&self, wire: Option<Wire>, n: u64, due: Instant) -> Option<Wire> {
        let (sale, jwt) = self.aim.of(n);
        let claiming = async {
            let mut wire = match wire {
                Some(wire) => wire,
                None => Wire::connect(self.server).await?,
            };
            let status = wire.claim(sale, jwt).await?.status;
            std::io::Result::Ok((wire, status))
        };
        let answered = claiming.await;
        let now = Instant::now();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.due += 1;
        let Ok((wire, status)) = answered else {
            tally.failed += 1;
            return None;
        };
        let waited = now - due;
        match status {
            200 | 202 | 409 if waited > LIMIT || now > self.ends => tally.late += 1,
            200 | 202 | 409 => {
                tally.good += 1;
                tally.granted += u64::from(status != 409);
                tally
                    .waited
                    .saturating_record(waited.as_micros().try_into().unwrap_or(LONGEST_WAIT));
            }
            503 => tally.shed += 1,
            _ => tally.failed += 1,
        }
        Some(wire)
    }
}

/// One ticket for each of these buyers; their tokens.
pub(super) async fn tokens(
    server: SocketAddr,
    sale: &str,
    buyers: &[String],
) -> anyhow::Result<Vec<String>> {
    let each = buyers.len().div_ceil(CONNECTING).max(1);
    let parts = buyers.chunks(each).map(|part| async move {
        let mut wire = Wire::connect(server).await?;
        let mut tokens = Vec::with_capacity(part.len());
        for jwt in part {
            let answer = wire.claim(sale, jwt).await?;
            let body: serde_json::Value = serde_json::from_slice(answer.body)?;
            let token = body["token"].as_str();
            tokens.push(token.with_context(|| format!("no token: {body}"))?.to_owned());
        }
        anyhow::Ok(tokens)
    });
    let all: Vec<_> = stream::iter(parts).buffered(CONNECTING).try_collect().await?;
    Ok(all.concat())
}
