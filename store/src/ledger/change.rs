//! What may change in a sale, in its stock, and in the run of contacts: the rules that hold on
//! every engine, on rows that the caller holds locked.

use std::time::Duration;

use sale::id::RoundId;
use sale::terms::{Phase, Restock, SaleName, Window};
use sale::time::Timestamp;

use super::{Amended, Amendment, LedgerError, RESTOCKS_A_ROUND, RestockRow, Sale};

/// What an [`Amendment`] writes.
pub(super) enum Change<'a> {
    /// Other words.
    Name(&'a SaleName),
    /// Other terms, with the next version.
    Terms { window: Window, closed: bool },
    /// It stands already.
    Nothing,
}

/// What is to be written for an amendment of `sale`; else why not.
pub(super) fn amending<'a>(
    sale: &Sale,
    amendment: &'a Amendment,
    now: Timestamp,
) -> Result<Change<'a>, Amended> {
    let (window, closed) = match amendment {
        Amendment::Name(name) => return Ok(Change::Name(name)),
        Amendment::Close => (sale.window, true),
        Amendment::Window { opens_at, closes_at } => {
            let opens_at = opens_at.unwrap_or(sale.window.opens_at());
            let closes_at = closes_at.unwrap_or(sale.window.closes_at());
            let window = Window::new(opens_at, closes_at);
            if window != Ok(sale.window) && sale.terms().phase(now) != Phase::Upcoming {
                return Err(Amended::NotUpcoming);
            }
            (window.map_err(|_| Amended::EmptyWindow)?, sale.closed)
        }
    };
    let stands = (window, closed) == (sale.window, sale.closed);
    Ok(if stands { Change::Nothing } else { Change::Terms { window, closed } })
}

/// A round whose stock is to change, as its row says.
#[derive(sqlx::FromRow)]
pub(super) struct StockRow {
    stock: u32,
    retired: bool,
    /// Changes so far.
    changes: i64,
}

impl StockRow {
    /// Whether the change stays within the bounds of the round.
    pub(super) fn allows(self, round: RoundId, change: &Restock) -> Result<bool, LedgerError> {
        if self.retired {
            let why = format!("round {round} is retired: its stock stays");
            return Err(LedgerError::Refused(why));
        }
        let most = i64::from(i32::MAX);
        let full = usize::try_from(self.changes).is_ok_and(|changes| changes >= RESTOCKS_A_ROUND);
        Ok(!full && i64::from(self.stock) + i64::from(*change.get()) <= most)
    }
}

/// Whether a change is still to be finished with so many units. One that was finished with
/// others is refused.
pub(super) fn to_finish(row: &RestockRow, applied: i32) -> Result<bool, LedgerError> {
    match row.applied {
        None => Ok(true),
        Some(before) if before == applied => Ok(false),
        Some(before) => Err(LedgerError::Refused(format!(
            "restock {:?} of round {} was finished with {before}, not {applied}",
            row.key, row.round
        ))),
    }
}

/// The begin of the run of contacts that one at `now` belongs to, after one at `seen_at` of a
/// run since `since`.
pub(super) fn run_since(
    since: Timestamp,
    seen_at: Timestamp,
    now: Timestamp,
    gap: Duration,
) -> Timestamp {
    // A clock that was set back must not leave the run to begin in the future.
    if now.since(seen_at) > gap { now } else { since.min(now) }
}
