//! The tickets of a sale with their buyers: how a merchant learns who won.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use sale::id::{BuyerId, TicketId};
use sale::ticket::Ticket;
use serde::{Deserialize, Serialize};
use store::ledger::{Row, Sale, StatusFilter};

use super::listed;
use crate::App;
use crate::error::Refusal;
use crate::request::{Asked, SaleInPath};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    status: Option<Wanted>,
    after: Option<TicketId>,
    limit: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Confirmed,
    Rejected,
    /// What was set aside; other pending tickets stand in the gate alone.
    Pending,
}

#[derive(Serialize)]
struct Entry {
    ticket: Ticket,
    buyer: BuyerId,
}

#[derive(Serialize)]
struct List {
    tickets: Vec<Entry>,
    /// What `after` is for the next page; null after the last.
    next: Option<TicketId>,
}

/// `GET /v1/admin/sales/{sale}/tickets`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    SaleInPath(id): SaleInPath,
    Asked(page): Asked<Page>,
) -> Result<Response, Refusal> {
    let most = listed(page.limit)?;
    let sale = app.present(&id).await?;
    let filter = match page.status {
        None => None,
        Some(Wanted::Confirmed) => Some(StatusFilter::Confirmed),
        Some(Wanted::Rejected) => Some(StatusFilter::Rejected),
        Some(Wanted::Pending) => return pending(&app, sale, page.after, most).await,
    };
    let rows = app.ledger.tickets(sale.round, filter, page.after, most);
    let tickets = rows.await?.into_iter();
    let tickets = tickets.map(|Row { buyer, ticket }| Entry { ticket, buyer }).collect();
    Ok(answer(tickets, most))
}

async fn pending(
    app: &App,
    sale: Sale,
    after: Option<TicketId>,
    most: u32,
) -> Result<Response, Refusal> {
    let after = after.max(TicketId::last_before(sale.round));
    let tickets = app.ledger.aside(after, most).await?.into_iter();
    let tickets = tickets
        .map(|aside| aside.order)
        .take_while(|order| order.ticket.round() == sale.round)
        .map(|order| Entry {
            ticket: Ticket { id: order.ticket, sale: sale.id.clone(), state: order.pending() },
            buyer: order.buyer,
        })
        .collect();
    Ok(answer(tickets, most))
}

fn answer(tickets: Vec<Entry>, most: u32) -> Response {
    let full = tickets.len() == most as usize;
    let next = tickets.last().filter(|_| full).map(|last| last.ticket.id);
    Json(List { tickets, next }).into_response()
}
