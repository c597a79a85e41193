//! Claims that show when a deployment serves buyers again.

use std::time::{Duration, Instant};

use client::{Answer, Claim, Client, Options};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{interval, timeout};
use url::Url;

/// How often one is sent, whatever became of those before, and how long each may take.
const EVERY: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(2);

/// How long it takes from here until the claim was granted at each of these doors; none if that
/// takes longer than `patience`.
///
/// # Errors
/// A door has no address.
pub(super) async fn until_granted(
    doors: &[Url],
    claim: &Claim,
    patience: Duration,
) -> anyhow::Result<Option<Duration>> {
    let begun = Instant::now();
    let asking = doors.iter().map(|door| async move {
        let options =
            Options { connect_within: MOST, answer_within: MOST, ..Options::new(door.clone()) };
        ask(&Client::new(options)?, claim).await;
        anyhow::Ok(())
    });
    let granted = timeout(patience, try_join_all(asking)).await;
    granted.ok().map(|all| all.map(|_| begun.elapsed())).transpose()
}

async fn ask(client: &Client, claim: &Claim) {
    let mut due = interval(EVERY);
    // At most as many as are sent while one may take its time.
    let mut sent = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = due.tick() => sent.push(client.claim_once(claim)),
            Some(answer) = sent.next() => {
                if matches!(answer, Ok(Answer::Ticket(_))) {
                    return;
                }
            }
        }
    }
}
