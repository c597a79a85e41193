//! What a rebuild waits for: the fences, the outbox of the older gate, and the verdicts that other
//! workers may be at.

use std::time::Duration;

use store::Seams;
use store::gate::Figures;
use store::ledger::{Counts, LedgerError, Sale};
use tokio::time::{Instant, timeout};

use super::Trouble;

/// How long sending the fences of a round may take: the other rounds wait meanwhile. Those that
/// were not sent by then do not come back, and are sent again.
const SEND: Duration = Duration::from_secs(2);

/// The longest between two sendings of fences that do not come back.
const FENCE_MOST: Duration = Duration::from_secs(60);

/// How long to wait.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    fence_again: Duration,
    still_for: Duration,
    still_without_gate: Duration,
}

impl Patience {
    pub(super) fn new(settings: &crate::Settings) -> Self {
        let crate::Settings { fence_again, still_for, still_without_gate, .. } = *settings;
        Self { fence_again, still_for, still_without_gate }
    }
}

/// How far a worker is with waiting for a round.
#[derive(Default)]
pub(super) struct Wait {
    /// When the fences were last sent, and how long to wait for them.
    fences_sent: Option<(Instant, Duration)>,
    still: Still,
    /// What it waits for, in words: logged when it changes.
    told: &'static str,
}

impl Wait {
    /// What may still be undecided of older incarnations, in words. Before the first there was
    /// none. That nothing is found is no proof: what another worker has had in hand for longer,
    /// or a token brings back, comes after the rebuild.
    pub(super) async fn undecided(
        &mut self,
        seams: &Seams,
        patience: Patience,
        sale: &Sale,
        old: Option<&Figures>,
    ) -> Result<Option<&'static str>, LedgerError> {
        Ok(if sale.is_new() {
            None
        } else if !fences_are_back(seams, sale) {
            Some("orders in the log")
        } else if old.is_some_and(|gate| gate.undecided > 0) {
            Some("orders in the outbox of the older gate")
        } else if !self.is_still(seams, patience, sale, old.is_some()).await? {
            Some("verdicts that other workers may be at")
        } else {
            None
        })
    }

    /// Whether the ledger's counts of the round have stood for long enough. The outbox of an old
    /// gate has told all of its orders but those that it lost; without one, what was given back
    /// must have had the time to come again.
    async fn is_still(
        &mut self,
        seams: &Seams,
        patience: Patience,
        sale: &Sale,
        has_gate: bool,
    ) -> Result<bool, LedgerError> {
        let Some(counts) = seams.ledger.counts(sale.round).await? else { return Ok(false) };
        let since = self.still.since(counts, Instant::now());
        let enough = if has_gate { patience.still_for } else { patience.still_without_gate };
        Ok(since.elapsed() >= enough)
    }

    /// Says what it waits for, and sends the fences as long as they are not back: again after a
    /// while, ever more seldom, as the log may lose them.
    pub(super) async fn go_on(
        &mut self,
        seams: &Seams,
        patience: Patience,
        sale: &Sale,
        waits_for: &'static str,
    ) -> Result<(), Trouble> {
        let Sale { round, incarnation, .. } = *sale;
        if self.told != waits_for {
            self.told = waits_for;
            tracing::info!(round = round.0, incarnation, waits_for, "a rebuild waits");
        }
        if sale.is_new() || fences_are_back(seams, sale) {
            return Ok(());
        }
        let wait = match self.fences_sent {
            Some((sent, wait)) if sent.elapsed() < wait => return Ok(()),
            Some((_, wait)) => (wait * 2).min(FENCE_MOST),
            None => patience.fence_again,
        };
        self.fences_sent = Some((Instant::now(), wait));
        let sending = seams.log.publish_fence(seams.ledger.install(), round, incarnation);
        match timeout(SEND, sending).await {
            Ok(sent) => sent?,
            Err(_) => tracing::debug!(round = round.0, "the log did not take the fences in time"),
        }
        Ok(())
    }
}

fn fences_are_back(seams: &Seams, sale: &Sale) -> bool {
    let back = |partition: u8| sale.fences >> partition & 1 == 1;
    (0..seams.log.partitions()).all(back)
}

/// Since when the ledger's counts of a round stand as they are.
#[derive(Debug, Default)]
struct Still(Option<(Counts, Instant)>);

impl Still {
    fn since(&mut self, counts: Counts, now: Instant) -> Instant {
        match self.0 {
            Some((stood, since)) if stood == counts => since,
            Some(_) | None => {
                self.0 = Some((counts, now));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_move_begin_to_stand_anew() {
        let counts = |available| Counts { stock: 10, available, rejected: 0 };
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut still = Still::default();
        let asked = [(9, 0), (9, 1), (8, 2), (8, 3), (9, 4)]
            .map(|(available, at)| still.since(counts(available), later(at)));
        assert_eq!(asked, [0, 0, 2, 2, 4].map(later));
    }
}
