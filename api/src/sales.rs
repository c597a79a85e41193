//! What everybody may read: the sales, and the time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use sale::id::{RoundId, SaleId};
use sale::terms::{Phase, SaleName};
use sale::time::Timestamp;
use sale::units::Units;
use serde::Serialize;

use crate::App;
use crate::directory::Entry;
use crate::error::Refusal;
use crate::request::SaleInPath;

/// A CDN may carry the crowd: what it shows is at most a second old.
const SHARED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=1")];

/// Where a sale stands, as buyers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Upcoming,
    Open,
    SoldOut,
    Closed,
}

impl Stage {
    /// Sold out is said only of what the gate has said.
    pub(crate) fn of(sale: &store::ledger::Sale, available: Option<i64>, now: Timestamp) -> Self {
        match sale.terms().phase(now) {
            Phase::Upcoming => Self::Upcoming,
            Phase::Open if available.is_some_and(|left| left <= 0) => Self::SoldOut,
            Phase::Open => Self::Open,
            Phase::Closed => Self::Closed,
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a SaleId,
    name: &'a SaleName,
    round: RoundId,
    opens_at: Timestamp,
    closes_at: Timestamp,
    state: Stage,
    limit: Units,
    now: Timestamp,
}

impl<'a> Shown<'a> {
    fn new(entry: &'a Entry, now: Timestamp) -> Self {
        let sale = &entry.sale;
        Self {
            id: &sale.id,
            name: &sale.name,
            round: sale.round,
            opens_at: sale.window.opens_at(),
            closes_at: sale.window.closes_at(),
            state: Stage::of(sale, entry.available, now),
            limit: sale.limit,
            now,
        }
    }
}

/// `GET /v1/sales`
pub(crate) async fn list(State(app): State<Arc<App>>) -> impl IntoResponse {
    #[derive(Serialize)]
    struct List<'a> {
        sales: Vec<Shown<'a>>,
        now: Timestamp,
    }
    let now = app.gate.now();
    let entries = app.directory.list(app.settings.sales_listed);
    let sales = entries.iter().map(|entry| Shown::new(entry, now)).collect();
    (SHARED, Json(List { sales, now })).into_response()
}

/// `GET /v1/sales/{sale}`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    SaleInPath(id): SaleInPath,
) -> Result<impl IntoResponse, Refusal> {
    let entry = app.directory.find(&id).await?.ok_or(Refusal::UnknownSale)?;
    Ok((SHARED, Json(Shown::new(&entry, app.gate.now()))).into_response())
}

/// `GET /v1/now`
pub(crate) async fn now(State(app): State<Arc<App>>) -> impl IntoResponse {
    #[derive(Serialize)]
    struct Now {
        now: i64,
    }
    ([(CACHE_CONTROL, "no-store")], Json(Now { now: app.gate.now().millis() }))
}
