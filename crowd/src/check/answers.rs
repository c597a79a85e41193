//! Lost, no answer: a granted ticket is in the ledger in the end, with a final result.

use super::index::{Booked, Index};
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};

/// What became of a ticket that buyers were told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The ledger has a final result.
    Decided,
    /// The ledger has it set aside, or it is still on its way.
    Undecided,
    /// It will not come.
    Lost,
    /// The gate has lost its grant, and its buyer did not come back with his token.
    Forgotten,
}

impl Fate {
    fn of(told: &Told<'_>, index: &Index<'_>) -> Self {
        match index.find(told.id) {
            Some(booked) if booked.shown.status.is_final() => Self::Decided,
            Some(_) => Self::Undecided,
            None if told.finals().next().is_some() => Self::Lost,
            None if !told.sale.is_settled() => Self::Undecided,
            None if index.books.may_have_lost(told.sale) => Self::Forgotten,
            None => Self::Lost,
        }
    }
}

/// Looks for a ticket in the books.
pub(super) fn judge(told: &Told<'_>, index: &Index<'_>, findings: &mut Findings) -> Fate {
    let fate = Fate::of(told, index);
    let (kind, says) = match fate {
        Fate::Undecided => (Kind::NoAnswer, "the ledger has no final result for it"),
        Fate::Lost => (Kind::Lost, "it was granted, and the ledger does not have it"),
        Fate::Decided | Fate::Forgotten => return fate,
    };
    findings.add(Violation {
        kind,
        says: says.to_owned(),
        buyer: Some(told.buyer.to_string()),
        ticket: Some(told.id),
        event: Some(told.event),
    });
    fate
}

/// A ticket of a buyer outside the history has to have its result too.
pub(super) fn judge_booked(booked: &Booked<'_>, findings: &mut Findings) {
    if !booked.shown.status.is_final() {
        findings.add(Violation {
            kind: Kind::NoAnswer,
            says: "the ledger has it set aside".to_owned(),
            buyer: Some(booked.buyer.to_owned()),
            ticket: Some(booked.shown.id),
            event: None,
        });
    }
}
