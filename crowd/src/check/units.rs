//! Oversold, limit passed: by the ledger, and by what buyers were told.

use std::collections::HashMap;

use sale::status::{Reason, Status};

use super::index::Index;
use super::shown::Shown;
use super::told::{Tickets, Told};
use super::verdict::{Findings, Kind, Violation};
use crate::books::Sale;

/// Confirmed units: of each sale, and of each buyer in it.
#[derive(Debug, Default)]
struct Confirmed<'a> {
    sales: HashMap<&'a str, i64>,
    buyers: HashMap<(&'a str, &'a str), u64>,
}

impl<'a> Confirmed<'a> {
    fn add(&mut self, sale: &'a Sale, buyer: &'a str, units: u64) {
        *self.sales.entry(&sale.id).or_default() += i64::try_from(units).unwrap_or(i64::MAX);
        *self.buyers.entry((&sale.id, buyer)).or_default() += units;
    }

    fn judge(&self, index: &Index<'_>, by: &str, findings: &mut Findings) {
        for sale in &index.books.sales {
            let units = self.sales.get(sale.id.as_str()).copied().unwrap_or(0);
            let stock = sale.ledger.stock;
            if units > stock {
                let says =
                    format!("{by}, {units} units of sale {} are confirmed, of {stock}", sale.id);
                findings.add_of_sale(Kind::Oversold, says);
            }
        }
        for ((id, buyer), units) in &self.buyers {
            let limit = index.sale(id).map_or(u64::MAX, |sale| sale.limit);
            if *units > limit {
                findings.add(Violation {
                    kind: Kind::LimitPassed,
                    says: format!("{by}, he has {units} units of sale {id}, the limit is {limit}"),
                    buyer: Some((*buyer).to_owned()),
                    ticket: None,
                    event: None,
                });
            }
        }
    }
}

/// Adds up what is confirmed.
pub(super) fn judge(tickets: &Tickets<'_>, index: &Index<'_>, findings: &mut Findings) {
    let mut booked = Confirmed::default();
    for entry in index.entries().filter(|entry| entry.shown.status == Status::Confirmed) {
        booked.add(entry.sale, entry.buyer, entry.shown.units);
    }
    booked.judge(index, "by the ledger", findings);
    let mut told = Confirmed::default();
    for ticket in tickets.all().filter(|ticket| ticket.confirmed().is_some()) {
        told.add(ticket.sale, &ticket.buyer, ticket.units);
    }
    told.judge(index, "by what buyers were told", findings);
}

/// A gate that has lost nothing grants what the ledger can confirm: a rejection for want of stock
/// or limit says that it granted too much.
pub(super) fn judge_rejections(tickets: &Tickets<'_>, index: &Index<'_>, findings: &mut Findings) {
    for Told { sale, states, buyer, id, .. } in tickets.all() {
        if !index.books.may_have_lost(sale) {
            for state in states {
                let kind = granted_too_much(state.status);
                findings.extend(kind.map(|(kind, says)| Violation {
                    kind,
                    says: says.to_owned(),
                    buyer: Some(buyer.to_string()),
                    ticket: Some(*id),
                    event: Some(state.event),
                }));
            }
        }
    }
    for entry in index.entries().filter(|entry| !index.books.may_have_lost(entry.sale)) {
        let Shown { id, status, .. } = entry.shown;
        findings.extend(granted_too_much(status).map(|(kind, says)| Violation {
            kind,
            says: says.to_owned(),
            buyer: Some(entry.buyer.to_owned()),
            ticket: Some(id),
            event: None,
        }));
    }
}

fn granted_too_much(status: Status) -> Option<(Kind, &'static str)> {
    match status {
        Status::Rejected(Reason::SoldOut) => Some((
            Kind::Oversold,
            "granted by a gate that lost nothing, rejected for want of stock",
        )),
        Status::Rejected(Reason::Limit) => {
            Some((Kind::LimitPassed, "granted by a gate that lost nothing, rejected at the limit"))
        }
        Status::Pending
        | Status::Confirmed
        | Status::Rejected(Reason::Unprocessable | Reason::Deadline) => None,
    }
}
