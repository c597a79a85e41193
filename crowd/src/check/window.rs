//! Outside the window: tickets are granted from `opens_at` on, before `closes_at`.

use super::shown::Shown;
use super::verdict::{Findings, Kind, Violation};
use crate::books::Sale;

/// Compares when a ticket was granted with its sale's window; both are of the gate's clock.
pub(super) fn judge(
    shown: &Shown<'_>,
    sale: &Sale,
    buyer: &str,
    event: Option<u64>,
    findings: &mut Findings,
) {
    let at = shown.granted_at;
    if at < sale.opens_at || at >= sale.closes_at {
        findings.add(Violation {
            kind: Kind::OutsideWindow,
            says: format!(
                "granted at {at}, sale {} is open from {} to {}",
                sale.id, sale.opens_at, sale.closes_at
            ),
            buyer: Some(buyer.to_owned()),
            ticket: Some(shown.id),
            event,
        });
    }
}
