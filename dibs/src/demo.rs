//! The demo sale: what a newcomer sees first.

use std::time::Duration;

use anyhow::Context as _;
use sale::id::SaleId;
use sale::terms::{NewSale, Phase, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use store::clock;
use store::gate::Gate;
use store::ledger::{Creation, Ledger, Sale};

/// A demo sale that is there.
#[derive(Debug, Clone)]
pub struct Demo {
    /// Its id.
    pub id: SaleId,
    /// When it opens or opened.
    pub opens_at: Timestamp,
}

const ID: &str = "demo";
const NAME: &str = "Demo: 100 espresso cups";
const STOCK: u32 = 100;
const OPENS_AFTER: Duration = Duration::from_secs(20);
const OPEN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The demo sale, unless it is over or was never made.
pub(crate) async fn find(ledger: &Ledger) -> anyhow::Result<Option<Demo>> {
    let found = ledger.sale(&id()).await?.filter(|sale| sale.name.get() == NAME);
    let going_on = found.filter(|sale| sale.terms().phase(clock::now()) != Phase::Closed);
    Ok(going_on.map(|sale| Demo { id: sale.id, opens_at: sale.window.opens_at() }))
}

/// The same, made where there is no sale at all.
pub(crate) async fn find_or_create(
    answer_within: Duration,
    gate: &Gate,
    ledger: &Ledger,
) -> anyhow::Result<Option<Demo>> {
    if ledger.sales(1).await?.is_empty() {
        create(answer_within, gate, ledger).await?;
    }
    find(ledger).await
}

async fn create(answer_within: Duration, gate: &Gate, ledger: &Ledger) -> anyhow::Result<()> {
    let opens_at = clock::now().plus(OPENS_AFTER);
    let new = NewSale {
        id: id(),
        name: SaleName::new(NAME.to_owned())?,
        stock: Stock::new(STOCK)?,
        limit: Units::ONE,
        window: Window::new(opens_at, opens_at.plus(OPEN_FOR))?,
        answer_within,
    };
    match ledger.create(&new).await.context("cannot create the demo sale")? {
        Creation::Created(sale) | Creation::Same(sale) if sale.is_new() => {
            load(&sale, gate, ledger).await
        }
        // Somebody else has made it in this moment, and loads it.
        Creation::Created(_) | Creation::Same(_) | Creation::Differs => Ok(()),
    }
}

async fn load(sale: &Sale, gate: &Gate, ledger: &Ledger) -> anyhow::Result<()> {
    let snapshot = ledger.snapshot(sale.round).await?;
    let snapshot = snapshot.context("the demo sale's round is not in the ledger")?;
    gate.warm(snapshot, None).await.context("cannot load the demo sale into the gate")?;
    Ok(())
}

fn id() -> SaleId {
    SaleId::new(ID).expect("it keeps to the alphabet")
}
