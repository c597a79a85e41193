//! What may change in a sale, in its stock, in the run of contacts, and in the keys of tokens: the
//! rules that hold on every engine, on rows that the caller holds locked.

use std::time::Duration;

use sale::id::RoundId;
use sale::terms::{Phase, Restock, SaleName, Window};
use sale::time::Timestamp;
use sale::token::KeyId;

use super::{Amendment, LedgerError, RESTOCKS_A_ROUND, RestockRow, Sale};

/// What becomes of an [`Amendment`].
pub(super) enum Change<'a> {
    /// Other words.
    Name(&'a SaleName),
    /// Other terms, with the next version.
    Terms { window: Window, closed: bool },
    /// It stands already.
    Nothing,
    /// The window cannot be moved any more.
    NotUpcoming,
    /// The window would be empty.
    EmptyWindow,
}

/// What is to be written for an amendment of `sale`, or why nothing is.
pub(super) fn amending<'a>(sale: &Sale, amendment: &'a Amendment, now: Timestamp) -> Change<'a> {
    let (window, closed) = match amendment {
        Amendment::Name(name) => return Change::Name(name),
        Amendment::Close => (sale.window, true),
        Amendment::Window { opens_at, closes_at } => {
            let opens_at = opens_at.unwrap_or(sale.window.opens_at());
            let closes_at = closes_at.unwrap_or(sale.window.closes_at());
            let window = Window::new(opens_at, closes_at);
            if window != Ok(sale.window) && sale.terms().phase(now) != Phase::Upcoming {
                return Change::NotUpcoming;
            }
            let Ok(window) = window else { return Change::EmptyWindow };
            (window, sale.closed)
        }
    };
    let stands = (window, closed) == (sale.window, sale.closed);
    if stands { Change::Nothing } else { Change::Terms { window, closed } }
}

/// Whether keys are none of those that are known, where any are.
pub(super) fn are_foreign(keys: &[KeyId], known: &[Vec<u8>]) -> bool {
    let is_known = |key: &KeyId| known.iter().any(|known| known[..] == key.0);
    !known.is_empty() && !keys.iter().any(is_known)
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
