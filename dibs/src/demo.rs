//! The demo sale: what a newcomer sees first.

use std::time::Duration;

use anyhow::Context as _;
use sale::id::SaleId;
use sale::terms::{NewSale, Phase, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use store::Seams;
use store::clock;
use store::ledger::{Creation, Sale};

use crate::config::Config;

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

/// The demo sale of an earlier start, or a new one where there is no sale at all; `None` where
/// the configuration wants none, the merchant has sales of his own, or the demo is over.
pub(crate) async fn find_or_create(config: &Config, seams: &Seams) -> anyhow::Result<Option<Demo>> {
    let id = SaleId::new(ID).expect("it keeps to the alphabet");
    if !config.storage.demo {
        return Ok(None);
    }
    let sale = match seams.ledger.sale(&id).await? {
        Some(sale) if sale.name.get() == NAME => sale,
        Some(_) => return Ok(None),
        None if !seams.ledger.sales(1).await?.is_empty() => return Ok(None),
        None => create(id, config.claims.answer_within, seams).await?,
    };
    let over = sale.terms().phase(clock::now()) == Phase::Closed;
    Ok((!over).then(|| Demo { id: sale.id, opens_at: sale.window.opens_at() }))
}

async fn create(id: SaleId, answer_within: Duration, seams: &Seams) -> anyhow::Result<Sale> {
    let opens_at = clock::now().plus(OPENS_AFTER);
    let new = NewSale {
        id,
        name: SaleName::new(NAME.to_owned())?,
        stock: Stock::new(STOCK)?,
        limit: Units::ONE,
        window: Window::new(opens_at, opens_at.plus(OPEN_FOR))?,
        answer_within,
    };
    match seams.ledger.create(&new).await.context("cannot create the demo sale")? {
        Creation::Created(sale) | Creation::Same(sale) => {
            let snapshot = seams.ledger.snapshot(sale.round).await?;
            let snapshot = snapshot.context("the demo sale's round is not in the ledger")?;
            seams.gate.warm(snapshot).await.context("cannot load the demo sale into the gate")?;
            Ok(sale)
        }
        Creation::Differs => anyhow::bail!("a sale named {ID} was created meanwhile"),
    }
}
