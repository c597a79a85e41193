//! The open loop: buyers are sent at their moments, whatever becomes of those before them.

use std::sync::Arc;
use std::time::Instant;

use client::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::buyer;
use super::market::{Market, PAGE};
use super::plan::Plan;
use super::progress::Progress;
use super::tally::{Life, Tally};
use crate::history::Recorder;

/// Sends the buyers of a plan and waits for the last of them. `cancel` cuts it off: who is not sent
/// yet is not sent, who is on his way is dropped.
///
/// # Errors
/// The plan names no door or no sale that there is, or nobody answers at the first door. Once buyers
/// are sent, nothing is an error: the tally tells what became of them.
pub async fn send(
    plan: &Plan,
    recorder: &Recorder,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Tally, Error> {
    let market = Arc::new(Market::open(plan, recorder, progress).await?);
    let scheduled = plan.arrivals.buyers();
    let mut tally = Tally::new(market.began(), scheduled);
    let mut open = JoinSet::new();
    let mut next = 0;
    loop {
        let more = next < scheduled && !cancel.is_cancelled();
        if !more && open.is_empty() {
            break;
        }
        let opened_at = market.due(next).checked_sub(PAGE).unwrap_or(market.begin);
        tokio::select! {
            biased;
            () = cancel.cancelled(), if more => {}
            () = sleep_until(opened_at.into()), if more => {
                // While the schedule is behind, this branch is always ready: who has ended is open
                // no more.
                while let Some(ended) = open.try_join_next() {
                    add(&mut tally, ended, market.begin);
                    progress.ended();
                }
                if open.len() < plan.most_open {
                    open.spawn(until_cut_off(market.clone(), next, cancel.clone()));
                } else {
                    tally.shed += 1;
                    progress.shed();
                }
                next += 1;
            }
            Some(ended) = open.join_next() => {
                add(&mut tally, ended, market.begin);
                progress.ended();
            }
        }
    }
    tally.cut_off += (scheduled - next) as u64;
    tally.took = market.begin.elapsed();
    Ok(tally)
}

async fn until_cut_off(market: Arc<Market>, n: usize, cancel: CancellationToken) -> Option<Life> {
    tokio::select! {
        life = buyer::live(market, n) => Some(life),
        () = cancel.cancelled() => None,
    }
}

fn add(tally: &mut Tally, ended: Result<Option<Life>, JoinError>, begin: Instant) {
    match ended {
        Ok(Some(life)) => tally.add(life, begin),
        Ok(None) => tally.cut_off += 1,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
