//! Stock changes: applied once a key, in ledger and gate alike.

use axum::Json;
use axum::response::{IntoResponse, Response};
use sale::id::{RequestId, SaleId};
use sale::terms::Restock;
use serde::Serialize;
use store::gate::Slot;
use store::ledger::RestockBegun;

use super::sales::Report;
use crate::App;
use crate::error::Refusal;

/// Changes the stock, or answers what an earlier call with this key has applied. Where it
/// breaks off, the same call again goes on, and so does the worker.
pub(super) async fn apply(
    app: &App,
    id: &SaleId,
    key: RequestId,
    change: Restock,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Restocked {
        #[serde(flatten)]
        report: Report,
        applied: i32,
    }
    if key.is_none() {
        return Err(Refusal::KeyRequired("so that the stock changes once"));
    }
    let sale = app.present(id).await?;
    if sale.retired {
        return Err(Refusal::Closed);
    }
    let begun = app.ledger.begin_restock(sale.round, key.as_str(), &change).await?;
    let row = match begun {
        RestockBegun::Stands(row) => row,
        RestockBegun::KeyReused => {
            return Err(Refusal::Conflict("this Idempotency-Key was used for another change"));
        }
        RestockBegun::OutOfBounds => {
            return Err(Refusal::Conflict(
                "the stock would leave its bounds, or the round has had its most changes",
            ));
        }
    };
    let applied = match row.applied {
        Some(applied) => applied,
        None => {
            let slot = Slot::first(row.round);
            let applied = app.gate.restock(slot, &row.key, &row.change).await?;
            app.ledger.finish_restock(row.round, &row.key, applied).await?;
            tracing::info!(sale = %sale.id, round = %row.round, applied, "the stock was changed");
            applied
        }
    };
    Ok(Json(Restocked { report: app.report(sale).await?, applied }).into_response())
}
