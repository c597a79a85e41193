//! Other bytes: a version of a ticket has the same bytes wherever it is shown.

use sale::status::Status;

use super::index::Index;
use super::shown::Reading;
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};

/// Compares a reading with where its version was shown first.
pub(super) fn judge(
    reading: Reading<'_>,
    told: &Told<'_>,
    may_have_lost: bool,
    findings: &mut Findings,
) {
    let Reading { event, buyer, text, shown, .. } = reading;
    let Some(first) = told.states.iter().find(|state| state.version == shown.version) else {
        return;
    };
    let pending = first.status == Status::Pending && shown.status == Status::Pending;
    if !same(&first.text, text, pending && may_have_lost) {
        findings.add(Violation {
            kind: Kind::OtherBytes,
            says: format!("{text} is not {} (event {})", first.text, first.event),
            buyer: Some(buyer.to_string()),
            ticket: Some(shown.id),
            event: Some(event),
        });
    }
}

/// Compares what was shown with the ledger.
pub(super) fn judge_books(told: &Told<'_>, index: &Index<'_>, findings: &mut Findings) {
    let Some(booked) = index.find(told.id) else { return };
    let version = booked.shown.version;
    let Some(state) = told.states.iter().find(|state| state.version == version) else { return };
    let pending = state.status == Status::Pending && booked.shown.status == Status::Pending;
    if !same(&state.text, booked.text, pending && index.books.may_have_lost(told.sale)) {
        findings.add(Violation {
            kind: Kind::OtherBytes,
            says: format!("{} was shown, the ledger has {}", state.text, booked.text),
            buyer: Some(told.buyer.to_string()),
            ticket: Some(told.id),
            event: Some(state.event),
        });
    }
}

/// A gate that has lost acknowledged writes grants the same ticket again, at another time.
fn same(one: &str, other: &str, granted_again: bool) -> bool {
    let around = |text| around_granted_at(text);
    one == other || (granted_again && around(one).is_some() && around(one) == around(other))
}

/// A ticket's text before and after its `granted_at`.
fn around_granted_at(text: &str) -> Option<(&str, &str)> {
    let (before, from_it) = text.split_once(r#""granted_at":""#)?;
    let (_, after) = from_it.split_once('"')?;
    Some((before, after))
}
