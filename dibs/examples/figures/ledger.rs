//! How fast the ledger decides, beside the statements of a verdict driven back to back, and with
//! millions of orders in it beside an empty one.

use std::time::Instant;

use sale::id::{BuyerId, TicketId};
use sale::order::OrderV1;
use store::ledger::{DeadlineFrom, Decision, Ledger, Reached};

use crate::shop::Shop;
use crate::statements::Prepared;
use crate::table::{median, rate, ratio, row};

/// Orders of one transaction: the worker takes whole batches until it has 500, and a crowd's
/// batches have 256.
const TOGETHER: usize = 512;

/// Transactions of one measurement.
const TRANSACTIONS: usize = 40;

/// Measures all three, so many times, and prints the rows.
pub(crate) async fn measure(mysql: &str, runs: usize, standing: usize) -> anyhow::Result<()> {
    let mut shop = Shop::open(mysql).await?;
    let full = Shop::open(mysql).await?;
    full.fill(standing).await?;
    let [mut decided, mut driven, mut among] = [const { Vec::new() }; 3];
    for run in 0..=runs {
        let rates =
            [by_decide(&shop).await?, by_statements(&mut shop).await?, by_decide(&full).await?];
        // The first one warms all of it up.
        if run > 0 {
            eprintln!("decide, statements, decide among {standing}: {rates:.0?}");
            for (all, rate) in [&mut decided, &mut driven, &mut among].into_iter().zip(rates) {
                all.push(rate);
            }
        }
    }
    shop.end().await?;
    full.end().await?;
    let thousands = |all: &[f64]| format!("{:.1} k/s", median(all.iter().copied()) / 1000.0);
    let beside = |subject: &[f64], baseline: &[f64]| {
        format!(
            "**{:.2}** ({} / {})",
            ratio(subject, baseline),
            thousands(subject),
            thousands(baseline)
        )
    };
    let what = "orders decided / the same statements back to back";
    row(what, &beside(&decided, &driven), "≥ 0.7")?;
    let what = format!("orders decided with {standing} orders in the ledger / in an empty one");
    row(&what, &beside(&among, &decided), "≥ 0.6")
}

async fn by_decide(shop: &Shop) -> anyhow::Result<f64> {
    let takes: Vec<_> = (0..TRANSACTIONS).map(|_| orders(shop)).collect::<anyhow::Result<_>>()?;
    let begun = Instant::now();
    for take in &takes {
        decide(&shop.ledger, take).await?;
    }
    Ok(rate(TRANSACTIONS * TOGETHER, begun.elapsed()))
}

async fn decide(ledger: &Ledger, take: &[OrderV1]) -> anyhow::Result<()> {
    let now = store::clock::now();
    let deadline = DeadlineFrom { reachable_since: now };
    let decisions = ledger.decide(take, &Reached::default(), &deadline, now).await?;
    let stands = |decision: &&Decision| matches!(decision, Decision::Stands { .. });
    let decided = decisions.iter().filter(stands).count();
    anyhow::ensure!(decided == take.len(), "{decided} of {} were decided", take.len());
    Ok(())
}

async fn by_statements(shop: &mut Shop) -> anyhow::Result<f64> {
    let prepare = |_| Prepared::of(&orders(shop)?);
    let takes: Vec<_> = (0..TRANSACTIONS).map(prepare).collect::<anyhow::Result<_>>()?;
    let begun = Instant::now();
    for take in takes {
        take.drive(&mut shop.connection).await?;
    }
    Ok(rate(TRANSACTIONS * TOGETHER, begun.elapsed()))
}

/// Orders of buyers who have none yet, in random order, as they are.
fn orders(shop: &Shop) -> anyhow::Result<Vec<OrderV1>> {
    let order = |_| {
        let mut ticket = TicketId::first_of(shop.round);
        rand::fill(&mut ticket.0[5..]);
        let buyer = format!("{:016x}", rand::random::<u64>());
        Ok(OrderV1 {
            ticket,
            buyer: BuyerId::new(&buyer)?,
            units: sale::units::Units::ONE,
            granted_at: store::clock::now(),
            incarnation: 1,
        })
    };
    (0..TOGETHER).map(order).collect()
}
