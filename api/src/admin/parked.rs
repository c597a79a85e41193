//! Orders that were set aside because they could not be processed: listed, sent again, or
//! rejected by the worker, who alone writes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sale::id::{BuyerId, SaleId, TicketId};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Serialize};
use store::ledger::SetAside;

use super::listed;
use crate::App;
use crate::error::Refusal;
use crate::request::{Asked, TicketInPath};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    after: Option<TicketId>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Parked {
    ticket: TicketId,
    /// Null for a round that is not a present one.
    sale: Option<SaleId>,
    buyer: BuyerId,
    units: Units,
    granted_at: Timestamp,
    attempts: u32,
    /// Null when it waits for an operator.
    retry_at: Option<Timestamp>,
    error: String,
    reject: bool,
}

/// `GET /v1/admin/parked`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(page): Asked<Page>,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct List {
        parked: Vec<Parked>,
        next: Option<TicketId>,
    }
    let most = listed(page.limit)?;
    let aside = app.ledger.aside(page.after, most).await?;
    let full = aside.len() == most as usize;
    let next = aside.last().filter(|_| full).map(|last| last.order.ticket);
    let parked = aside.into_iter().map(|aside| parked(&app, aside)).collect();
    Ok(Json(List { parked, next }).into_response())
}

fn parked(app: &App, aside: SetAside) -> Parked {
    let SetAside { order, attempts, retry_at, error, reject } = aside;
    Parked {
        sale: app.directory.of_round(order.ticket.round()).map(|entry| entry.sale.id.clone()),
        ticket: order.ticket,
        buyer: order.buyer,
        units: order.units,
        granted_at: order.granted_at,
        attempts,
        retry_at,
        error,
        reject,
    }
}

/// `POST /v1/admin/parked/{ticket}/resend`
pub(super) async fn resend(
    State(app): State<Arc<App>>,
    TicketInPath(ticket): TicketInPath,
) -> Result<StatusCode, Refusal> {
    release(&app, ticket, false).await
}

/// `POST /v1/admin/parked/{ticket}/reject`
pub(super) async fn reject(
    State(app): State<Arc<App>>,
    TicketInPath(ticket): TicketInPath,
) -> Result<StatusCode, Refusal> {
    release(&app, ticket, true).await
}

async fn release(app: &App, ticket: TicketId, reject: bool) -> Result<StatusCode, Refusal> {
    if !app.ledger.release(ticket, reject, app.gate.now()).await? {
        return Err(Refusal::NotSetAside);
    }
    tracing::info!(%ticket, reject, "an operator released an order");
    Ok(StatusCode::ACCEPTED)
}
