//! Splitting: a batch that fails is halved until the bad order is alone, so that one bad order
//! delays nobody.

use sale::order::OrderV1;

use super::{Decision, LedgerError};

/// Has all orders decided, each part that is refused in halves, until the bad order is alone: it
/// comes back as [`Decision::Failed`]. A part that finds the ledger away ends it.
pub async fn isolated<'a, F>(
    orders: &'a [OrderV1],
    decide: impl Fn(&'a [OrderV1]) -> F,
) -> Result<Vec<Decision>, LedgerError>
where
    F: Future<Output = Result<Vec<Decision>, LedgerError>>,
{
    let mut decisions = Vec::with_capacity(orders.len());
    let mut parts = vec![orders];
    while let Some(part) = parts.pop() {
        let error = match decide(part).await {
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
