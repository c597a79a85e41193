//! Not conserved, disagree, leak: the figures of gate and ledger, and what is left.

use std::collections::HashMap;

use sale::status::Status;

use super::index::{Booked, Index};
use super::verdict::{Findings, Kind};
use crate::books::{Ledger, Sale, State};

/// Units and tickets of a sale, added up from its tickets in the books.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    confirmed: i64,
    pending: i64,
    rejected: u64,
}

/// Judges each sale's figures.
pub(super) fn judge(index: &Index<'_>, findings: &mut Findings) {
    let mut sums: HashMap<&str, Sums> = HashMap::new();
    for booked in index.entries() {
        sums.entry(&booked.sale.id).or_default().add(booked);
    }
    for sale in &index.books.sales {
        let sums = sums.remove(sale.id.as_str()).unwrap_or_default();
        conserved(sale, &sums, findings);
        agree(sale, &sums, index.books.gate_lost, findings);
        if let Some(undecided) = sale.gate.map(|gate| gate.undecided).filter(|left| *left > 0) {
            let says = format!("{undecided} orders in the outbox of sale {}", sale.id);
            findings.add_of_sale(Kind::Leak, says);
        }
    }
    for left in &index.books.left {
        findings.add_of_sale(Kind::Leak, left.clone());
    }
}

impl Sums {
    fn add(&mut self, booked: &Booked<'_>) {
        let units = i64::try_from(booked.shown.units).unwrap_or(i64::MAX);
        match booked.shown.status {
            Status::Pending => self.pending += units,
            Status::Confirmed => self.confirmed += units,
            Status::Rejected(_) => self.rejected += 1,
        }
    }
}

/// stock = available + held + sold in the gate, also while orders are on their way; and the
/// ledger's figures are those of its tickets.
fn conserved(sale: &Sale, sums: &Sums, findings: &mut Findings) {
    let Ledger { stock, available, sold, rejected } = sale.ledger;
    let id = &sale.id;
    let mut wrong = |says| findings.add_of_sale(Kind::NotConserved, says);
    if available < 0 || available + sold != stock {
        wrong(format!("ledger of sale {id}: {available} available + {sold} sold, of {stock}"));
    }
    if sale.is_settled() && (sums.confirmed, sums.rejected) != (sold, rejected) {
        wrong(format!(
            "ledger of sale {id}: its tickets make {} units sold and {} tickets rejected, it counts \
             {sold} and {rejected}",
            sums.confirmed, sums.rejected
        ));
    }
    if let (State::Live, Some(gate)) = (sale.state, sale.gate)
        && gate.available + gate.held + gate.sold != stock
    {
        let (available, held, sold) = (gate.available, gate.held, gate.sold);
        wrong(format!(
            "gate of sale {id}: {available} available + {held} held + {sold} sold, of {stock}"
        ));
    }
}

/// The gate is live, has the ledger's figures, and was rebuilt only where writes were taken from it.
fn agree(sale: &Sale, sums: &Sums, gate_lost: Option<bool>, findings: &mut Findings) {
    let id = &sale.id;
    let mut differs = |says| findings.add_of_sale(Kind::Disagree, says);
    match (sale.state, sale.gate) {
        (State::Live, Some(gate)) => {
            let is = (gate.available, gate.held, gate.sold);
            let due = (sale.ledger.available - sums.pending, sums.pending, sale.ledger.sold);
            if gate.undecided == 0 && is != due {
                differs(format!(
                    "sale {id}: available, held and sold are {is:?} in the gate, {due:?} by the ledger"
                ));
            }
        }
        (State::Live, None) => differs(format!("sale {id}: the gate gives no answer")),
        (State::Recovering, _) => differs(format!("sale {id}: still recovering")),
        (State::NotLoaded, _) => differs(format!("sale {id}: not in the gate")),
        (State::Retired, _) => {}
    }
    if let (Some(false), Some(incarnation @ 2..)) = (gate_lost, sale.incarnation) {
        differs(format!("sale {id}: rebuilt (incarnation {incarnation}), and nothing was lost"));
    }
}
