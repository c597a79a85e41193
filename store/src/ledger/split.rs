//! Splitting: a batch that fails is halved until the bad order is alone, so that one bad order
//! delays nobody.

use std::collections::HashSet;

use sale::order::OrderV1;
use sale::time::Timestamp;

use super::sqlite::SqliteLedger;
use super::{DeadlineFrom, Decision, LedgerError};

/// Decides all orders, each batch that the engine refuses in halves. Doubles are dropped
/// first, since halves would answer each of them.
pub(super) async fn decide(
    ledger: &SqliteLedger,
    orders: &[OrderV1],
    deadline: &DeadlineFrom,
    now: Timestamp,
) -> Result<Vec<Decision>, LedgerError> {
    let mut seen = HashSet::new();
    let orders: Vec<OrderV1> =
        orders.iter().filter(|order| seen.insert((order.ticket, &order.buyer))).cloned().collect();
    let mut decisions = Vec::with_capacity(orders.len());
    let mut parts = vec![orders.as_slice()];
    while let Some(part) = parts.pop() {
        let error = match ledger.decide(part, deadline, now).await.map_err(LedgerError::from) {
            Ok(decided) => {
                decisions.extend(decided);
                continue;
            }
            Err(unavailable @ LedgerError::Unavailable(_)) => return Err(unavailable),
            Err(LedgerError::Refused(error)) => error,
        };
        match part {
            [] => {}
            [order] => decisions.push(Decision::Failed(order.clone(), error)),
            [_, _, ..] => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push(second);
                parts.push(first);
            }
        }
    }
    Ok(decisions)
}
