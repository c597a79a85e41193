//! Administration: sales, stock, tickets with their buyers, orders that were set aside, and gate
//! beside ledger.
//! Every call needs the admin key.

mod parked;
mod restock;
mod rounds;
mod sales;
mod tickets;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use edge::bearer::bearer;

use crate::App;
use crate::error::Refusal;

/// The paths under `/v1/admin`.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/admin/sales", get(sales::list).post(sales::create))
        .route("/v1/admin/sales/{sale}", get(sales::show).patch(sales::patch))
        .route("/v1/admin/sales/{sale}/tickets", get(tickets::list))
        .route("/v1/admin/rounds", get(rounds::list))
        .route("/v1/admin/parked", get(parked::list))
        .route("/v1/admin/parked/{ticket}/resend", post(parked::resend))
        .route("/v1/admin/parked/{ticket}/reject", post(parked::reject))
        .method_not_allowed_fallback(edge::problem::method_not_allowed)
        .route_layer(from_fn_with_state(app.clone(), operator))
}

async fn operator(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let presented = bearer(request.headers());
    if !presented.is_some_and(|key| app.keys.admin.matches(key)) {
        return Err(Refusal::NoAdmin);
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// How many entries one answer lists.
const LISTED: u32 = 100;
const LISTED_MOST: u32 = 1000;

fn listed(limit: Option<u32>) -> Result<u32, Refusal> {
    match limit.unwrap_or(LISTED) {
        most @ 1..=LISTED_MOST => Ok(most),
        _ => {
            Err(Refusal::field("limit", format!("must be a whole number from 1 to {LISTED_MOST}")))
        }
    }
}
