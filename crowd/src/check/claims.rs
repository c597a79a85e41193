//! Second grant: a claim has one ticket, however often and on whatever way it is sent; lost, as far
//! as a retry tells it; and no answer, where none of its attempts had one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sale::id::TicketId;

use super::index::Index;
use super::shown::Reading;
use super::verdict::{Findings, Kind, Violation};

/// The refusals of a gate that found no ticket of the claim.
const DECIDED: [&str; 5] = [
    "/problems/not-open",
    "/problems/closed",
    "/problems/sold-out",
    "/problems/too-few-left",
    "/problems/limit-reached",
];

/// Names a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub(super) buyer: Arc<str>,
    pub(super) sale: &'a str,
    pub(super) request: String,
}

/// Names what a buyer wanted: the claims of one intent are to bring one ticket.
type Intent<'a> = (Arc<str>, &'a str, u32);

/// What is known of one claim.
#[derive(Debug, Default)]
struct Claim {
    intent: u32,
    units: Option<u32>,
    attempts: u32,
    /// Attempts that the gate refused.
    refused: u32,
    /// Whether an attempt was refused by whomsoever.
    answered: bool,
    /// The event in which its buyer gave up.
    unanswered: Option<u64>,
    grant: Option<Grant>,
}

#[derive(Debug)]
struct Grant {
    ticket: TicketId,
    /// When it was told first, and the number of that event.
    at: u64,
    event: u64,
    /// Attempts that were sent before that, its own one among them.
    attempts: u32,
}

/// Every claim of the history.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    claims: HashMap<Key<'a>, Claim>,
    intents: HashMap<Intent<'a>, (TicketId, u64)>,
}

impl<'a> Claims<'a> {
    /// An attempt was sent.
    pub(super) fn sent(&mut self, key: Key<'a>, intent: u32, units: u32, at: u64) {
        let claim = self.claims.entry(key).or_default();
        claim.intent = intent;
        claim.units.get_or_insert(units);
        claim.attempts += 1;
        if let Some(grant) = claim.grant.as_mut().filter(|grant| at <= grant.at) {
            grant.attempts += 1;
        }
    }

    /// An attempt was refused. For the retries only what the gate decides counts: it grants nothing
    /// then, and a buyer who has his ticket is never told so.
    pub(super) fn refused(&mut self, key: Key<'a>, problem: &str) {
        let claim = self.claims.entry(key).or_default();
        claim.answered = true;
        claim.refused += u32::from(DECIDED.contains(&problem));
    }

    /// A buyer asks no more for an answer.
    pub(super) fn unanswered(&mut self, key: Key<'a>, event: u64) {
        self.claims.entry(key).or_default().unanswered.get_or_insert(event);
    }

    /// An attempt was answered with a ticket.
    pub(super) fn granted(
        &mut self,
        key: Key<'a>,
        intent: u32,
        reading: Reading<'_>,
        findings: &mut Findings,
    ) {
        let Reading { event, at, shown, .. } = reading;
        let mut accuse = |kind, says| {
            findings.add(Violation {
                kind,
                says,
                buyer: Some(key.buyer.to_string()),
                ticket: Some(shown.id),
                event: Some(event),
            });
        };
        let mut two = |known: TicketId, at_event| {
            if known != shown.id {
                accuse(
                    Kind::SecondGrant,
                    format!("the same was answered with {known} (event {at_event})"),
                );
            }
        };
        match self.intents.entry((key.buyer.clone(), key.sale, intent)) {
            Entry::Occupied(known) => two(known.get().0, known.get().1),
            Entry::Vacant(new) => drop(new.insert((shown.id, event))),
        }
        let claim = self.claims.entry(key.clone()).or_default();
        claim.intent = intent;
        match &mut claim.grant {
            Some(grant) => {
                two(grant.ticket, grant.event);
                grant.at = grant.at.min(at);
            }
            None => {
                let (ticket, attempts) = (shown.id, claim.attempts);
                claim.grant = Some(Grant { ticket, at, event, attempts });
            }
        }
        if shown.sale != key.sale {
            accuse(Kind::ForeignAnswer, format!("he claimed in sale {}", key.sale));
        }
        if let Some(units) = claim.units.filter(|units| u64::from(*units) != shown.units) {
            accuse(
                Kind::ForeignAnswer,
                format!("he claimed {units} units, the ticket is for {}", shown.units),
            );
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.claims.len()
    }

    /// A retry that was sent after the grant was known has to find it. Attempts sent before may
    /// have been refused all but one. A gate that forgot the grant may refuse what it would grant.
    pub(super) fn judge_retries(&self, index: &Index<'_>, findings: &mut Findings) {
        for (key, claim) in &self.claims {
            let Some(grant) = &claim.grant else { continue };
            let kept = index.sale(key.sale).is_ok_and(|sale| !index.books.may_have_lost(sale));
            if kept && claim.refused >= grant.attempts.max(1) {
                findings.add(Violation {
                    kind: Kind::Lost,
                    says: format!("request {} was refused after its grant", key.request),
                    buyer: Some(key.buyer.to_string()),
                    ticket: Some(grant.ticket),
                    event: Some(grant.event),
                });
            }
        }
    }

    /// Whoever gave up had no answer to any attempt at his claim.
    pub(super) fn judge_unanswered(&self, findings: &mut Findings) {
        for (key, claim) in &self.claims {
            let Some(event) = claim.unanswered else { continue };
            if !claim.answered && claim.grant.is_none() {
                findings.add(Violation {
                    kind: Kind::NoAnswer,
                    says: format!("request {} had no answer within his patience", key.request),
                    buyer: Some(key.buyer.to_string()),
                    ticket: None,
                    event: Some(event),
                });
            }
        }
    }

    /// Every ticket in the books that no grant of the history names has to be of a claim whose
    /// result its buyer does not know, or of a buyer whom the history does not have.
    pub(super) fn judge_unnamed(
        &self,
        index: &Index<'_>,
        buyers: &HashSet<Arc<str>>,
        findings: &mut Findings,
    ) -> Unnamed {
        let named: HashSet<_> = self.intents.values().map(|(ticket, _)| *ticket).collect();
        let mut free = self.free();
        let mut unnamed = Unnamed::default();
        for booked in index.entries().filter(|booked| !named.contains(&booked.shown.id)) {
            let Some(buyer) = buyers.get(booked.buyer) else {
                unnamed.of_others += 1;
                continue;
            };
            let sale = booked.sale.id.as_str();
            match free.get_mut(&(buyer.clone(), sale)).filter(|free| **free > 0) {
                Some(free) => {
                    *free -= 1;
                    unnamed.of_unsure += 1;
                }
                None => findings.add(Violation {
                    kind: Kind::SecondGrant,
                    says: format!("no claim in sale {sale} of this buyer accounts for it"),
                    buyer: Some(booked.buyer.to_owned()),
                    ticket: Some(booked.shown.id),
                    event: None,
                }),
            }
        }
        unnamed
    }

    /// For each buyer and sale the intents that have no known ticket, and may have one.
    fn free(&self) -> HashMap<(Arc<str>, &'a str), usize> {
        let mut open = HashSet::new();
        for (key, claim) in &self.claims {
            let intent = (key.buyer.clone(), key.sale, claim.intent);
            if claim.attempts > claim.refused && !self.intents.contains_key(&intent) {
                open.insert(intent);
            }
        }
        let mut free = HashMap::new();
        for (buyer, sale, _) in open {
            *free.entry((buyer, sale)).or_default() += 1;
        }
        free
    }
}

/// The ledger has a ticket once.
pub(super) fn judge_repeated(index: &Index<'_>, findings: &mut Findings) {
    for again in index.repeated() {
        findings.add(Violation {
            kind: Kind::SecondGrant,
            says: "the ledger has it more than once".to_owned(),
            buyer: Some(again.buyer.to_owned()),
            ticket: Some(again.shown.id),
            event: None,
        });
    }
}

/// Tickets of the books that no grant of the history names.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// A claim whose result its buyer does not know accounts for it.
    pub(super) of_unsure: u64,
    /// The history does not have the buyer.
    pub(super) of_others: u64,
}
