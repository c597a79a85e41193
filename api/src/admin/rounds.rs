//! Gate beside ledger, round by round: whether they agree, and which rounds recover.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sale::id::{RoundId, SaleId};
use serde::Serialize;
use store::gate::{Figures, GateError, Slot};
use store::ledger::{Counts, Sale, SetAside};

use crate::App;
use crate::error::Refusal;

/// Rounds that are looked at at one time.
const LOOKS: usize = 16;

/// Orders of one round that are counted as set aside. A round with so many is not compared.
const ASIDE: u32 = 1000;

/// A round that is not retired.
#[derive(Serialize)]
struct Round {
    sale: SaleId,
    round: RoundId,
    incarnation: u32,
    state: Standing,
    ledger: InLedger,
    /// Null where the gate does not have it, or gives no answer.
    gate: Option<InGate>,
    set_aside: usize,
    /// Null while orders or changes of stock are on their way, and where there is no gate to
    /// compare.
    agree: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Live,
    Recovering,
    /// New, and not in the gate yet.
    NotLoaded,
}

#[derive(Serialize)]
struct InLedger {
    stock: u32,
    available: u32,
    sold: u32,
    rejected: u64,
}

#[derive(Serialize)]
struct InGate {
    available: i64,
    held: u64,
    sold: u64,
    undecided: usize,
    sequence: u64,
}

/// `GET /v1/admin/rounds`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct List {
        rounds: Vec<Round>,
    }
    let unfinished = app.ledger.unfinished_restocks().await?;
    let restocked: HashSet<_> = unfinished.iter().map(|row| row.round).collect();
    let mut sales = app.ledger.sales(app.settings.sales_most).await?;
    sales.retain(|sale| !sale.retired);
    let looks = stream::iter(sales).map(|sale| app.look(sale, &restocked)).buffered(LOOKS);
    let rounds: Vec<_> = looks.try_collect().await?;
    Ok(Json(List { rounds }).into_response())
}

impl App {
    /// The gate is asked before and after the ledger: only what did not move can be compared.
    async fn look(&self, sale: Sale, restocked: &HashSet<RoundId>) -> Result<Round, Refusal> {
        let (slot, round) = (Slot::first(sale.round), sale.round);
        let before = self.gate.figures(slot).await.ok();
        let counts = self.ledger.counts(round).await?.ok_or(Refusal::UnknownSale)?;
        let aside = self.ledger.aside_of(round, None, ASIDE).await?;
        let gate = self.gate.figures(slot).await;
        let state = Standing::of(&sale, &gate);
        let gate = gate.ok();
        let on_its_way = restocked.contains(&round) || aside.len() == ASIDE as usize;
        let agree = match (&before, &gate, state) {
            (Some(before), Some(gate), Standing::Live) if !on_its_way => {
                agree(before, gate, &counts, &aside)
            }
            _ => None,
        };
        let Counts { stock, available, rejected } = counts;
        Ok(Round {
            sale: sale.id,
            round,
            incarnation: sale.incarnation,
            state,
            ledger: InLedger { stock, available, sold: counts.sold(), rejected },
            gate: gate.map(InGate::of),
            set_aside: aside.len(),
            agree,
        })
    }
}

impl Standing {
    fn of(sale: &Sale, gate: &Result<Figures, GateError>) -> Self {
        match gate {
            Ok(gate) if sale.loss_in(gate).is_none() => Self::Live,
            Ok(_) => Self::Recovering,
            Err(_) if sale.is_recovering() => Self::Recovering,
            Err(_) if sale.is_new() => Self::NotLoaded,
            Err(GateError::NotWarm(_) | GateError::Recovering(_)) => Self::Recovering,
            Err(GateError::Unavailable(_) | GateError::NotKnown) => Self::Live,
        }
    }
}

impl InGate {
    fn of(figures: Figures) -> Self {
        let Figures { available, held, sold, undecided, sequence, .. } = figures;
        Self { available, held, sold, undecided, sequence }
    }
}

/// Whether gate and ledger agree to the unit; `None` while orders are on their way. Units of
/// orders that are set aside are held in the gate and available in the ledger.
fn agree(before: &Figures, gate: &Figures, ledger: &Counts, aside: &[SetAside]) -> Option<bool> {
    let quiet = gate.undecided == 0 && before.sequence == gate.sequence;
    let aside: u32 = aside.iter().map(|row| u32::from(row.order.units.get())).sum();
    let available = i64::from(ledger.available) - i64::from(aside);
    let expected = (available, u64::from(aside), u64::from(ledger.sold()));
    quiet.then_some((gate.available, gate.held, gate.sold) == expected)
}
