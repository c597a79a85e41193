//! What the checker finds: which invariants were violated, with examples, and how much it looked at.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use clap::ValueEnum;
use sale::id::TicketId;
use serde::{Deserialize, Serialize};

/// An invariant that can be violated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// More units were confirmed, or granted by a gate that lost nothing, than there are.
    Oversold,
    /// A granted ticket is in no book, or its buyer's retry is refused.
    Lost,
    /// A ticket was shown with two different final results.
    TwoFinals,
    /// A final result did not stay.
    ChangedFinal,
    /// The units do not add up.
    NotConserved,
    /// A buyer has more units than the sale allows.
    LimitPassed,
    /// An older version was shown after a newer one.
    VersionWentBack,
    /// One version of a ticket was shown with different bytes.
    OtherBytes,
    /// A buyer was told that he has it, and the ledger did not have it.
    YoursBeforeCommit,
    /// A buyer was shown a ticket of somebody else, or of another claim.
    ForeignAnswer,
    /// A claim has more than one ticket.
    SecondGrant,
    /// A ticket was granted before the sale opened or after it closed.
    OutsideWindow,
    /// A claim has no answer, or a ticket no final result, or it was rejected before its time was
    /// over.
    NoAnswer,
    /// A good token was said to open nothing.
    NotFound,
    /// Gate and ledger differ, or the gate was rebuilt for no reason.
    Disagree,
    /// Something is left where nothing should be.
    Leak,
}

impl Kind {
    /// What is promised.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Oversold => "units confirmed never exceed the stock",
            Self::Lost => "a granted ticket stays, and a retry finds it",
            Self::TwoFinals => "a ticket has one final result",
            Self::ChangedFinal => "a final result stays as it was told",
            Self::NotConserved => "stock = available + held + sold",
            Self::LimitPassed => "no buyer has more units than the limit",
            Self::VersionWentBack => "no version is shown after a newer one",
            Self::OtherBytes => "a version has the same bytes on every way",
            Self::YoursBeforeCommit => "\"yours\" is told after the commit",
            Self::ForeignAnswer => "nobody is shown a ticket that is not his",
            Self::SecondGrant => "a claim has one ticket, however often it is sent",
            Self::OutsideWindow => "tickets are granted within the sale's window",
            Self::NoAnswer => "every claim is answered, every ticket decided in time",
            Self::NotFound => "a good token opens its ticket",
            Self::Disagree => "gate and ledger agree to the unit",
            Self::Leak => "nothing is left behind",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no kind is hidden");
        f.pad(value.get_name())
    }
}

/// One case of a violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which invariant.
    pub kind: Kind,
    /// What is wrong.
    pub says: String,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<String>,
    /// Which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
    /// Which event of the history, from 1: its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
}

/// How much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Events of the history.
    pub events: u64,
    /// The history breaks off in its last line: what came after it is not known.
    pub cut_off: bool,
    /// Buyers in it.
    pub buyers: u64,
    /// Claims: a buyer, a sale and a request id each.
    pub claims: u64,
    /// Attempts at them.
    pub attempts: u64,
    /// Answers that were a ticket.
    pub granted: u64,
    /// Answers that refused for good.
    pub refused: u64,
    /// Attempts without a known result.
    pub unsure: u64,
    /// Tickets that buyers were shown.
    pub tickets: u64,
    /// Times that they were shown one, on every way.
    pub readings: u64,
    /// Tickets that they were shown a final result of.
    pub finals: u64,
    /// Looks into the ledger after "yours".
    pub looks: u64,
    /// Questions for a ticket of somebody else.
    pub foreign: u64,
    /// Sales in the books.
    pub sales: u64,
    /// Tickets in the books.
    pub booked: u64,
    /// Those of them that were rejected, by the reason.
    #[serde(default)]
    pub rejected: BTreeMap<String, u64>,
    /// Those of them that no event mentions and a claim without a known result accounts for.
    pub of_unsure: u64,
    /// Those of buyers that the history does not have.
    pub of_others: u64,
    /// Tickets whose grant the gate has lost and whose buyer did not ask for them again.
    pub forgotten: u64,
}

/// What the checker decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How many violations there are of each kind that was violated.
    pub found: BTreeMap<Kind, u64>,
    /// Examples: the first ones, at most [`Verdict::EXAMPLES`] of a kind.
    pub violations: Vec<Violation>,
    /// How much it looked at.
    pub checked: Checked,
}

impl Verdict {
    /// The most examples of one kind.
    pub const EXAMPLES: usize = 10;

    /// Whether every invariant held.
    pub fn holds(&self) -> bool {
        self.found.is_empty()
    }
}

/// Gathers violations: one of a kind for a ticket.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Violation>,
    accused: HashSet<(Kind, TicketId)>,
}

impl Findings {
    pub(super) fn add(&mut self, violation: Violation) {
        let known = violation.ticket.map(|ticket| (violation.kind, ticket));
        if known.is_none_or(|known| self.accused.insert(known)) {
            self.all.push(violation);
        }
    }

    pub(super) fn extend(&mut self, violations: impl IntoIterator<Item = Violation>) {
        violations.into_iter().for_each(|violation| self.add(violation));
    }

    /// A violation that is no buyer's.
    pub(super) fn add_of_sale(&mut self, kind: Kind, says: String) {
        self.add(Violation { kind, says, buyer: None, ticket: None, event: None });
    }

    pub(super) fn verdict(mut self, checked: Checked) -> Verdict {
        self.all.sort_by(|a, b| (a.kind, a.event, &a.says).cmp(&(b.kind, b.event, &b.says)));
        let mut verdict = Verdict { checked, ..Verdict::default() };
        for violation in self.all {
            let count = verdict.found.entry(violation.kind).or_default();
            *count += 1;
            if *count <= Verdict::EXAMPLES as u64 {
                verdict.violations.push(violation);
            }
        }
        verdict
    }
}
