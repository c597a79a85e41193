//! Two finals, changed final: a ticket has one final result, and it stays.

use super::index::Index;
use super::shown::words;
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};

/// Buyers were told two different results.
pub(super) fn judge_two(told: &Told<'_>, findings: &mut Findings) {
    let mut finals = told.finals();
    let Some(first) = finals.next() else { return };
    if let Some(other) = finals.find(|other| other.status != first.status) {
        findings.add(Violation {
            kind: Kind::TwoFinals,
            says: format!(
                "shown as {} (event {}) and as {}",
                words(first.status),
                first.event,
                words(other.status)
            ),
            buyer: Some(told.buyer.to_string()),
            ticket: Some(told.id),
            event: Some(other.event),
        });
    }
}

/// After a final result the ticket was shown in a newer state that is none, or the ledger has
/// another result than the newest that was told.
pub(super) fn judge_changed(told: &Told<'_>, index: &Index<'_>, findings: &mut Findings) {
    let Some(last) = told.finals().max_by_key(|state| state.version) else { return };
    let mut changed = |says, event| {
        findings.add(Violation {
            kind: Kind::ChangedFinal,
            says,
            buyer: Some(told.buyer.to_string()),
            ticket: Some(told.id),
            event: Some(event),
        });
    };
    if let Some(newest) = told.newest().filter(|newest| newest.version > last.version) {
        let was = format!("it was {} at version {}", words(last.status), last.version);
        let is = format!("{} at version {}", words(newest.status), newest.version);
        changed(format!("{was}, then {is}"), newest.event);
    }
    let Some(booked) = index.find(told.id).map(|booked| booked.shown.status) else { return };
    let mut newest = told.finals().filter(|state| state.version == last.version);
    if !newest.any(|state| state.status == booked) {
        let (was, is) = (words(last.status), words(booked));
        changed(format!("told to be {was}, the ledger has {is}"), last.event);
    }
}
