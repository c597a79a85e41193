//! Guests: buyers without a merchant's account, where they are allowed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use sale::id::BuyerId;
use serde::Serialize;

use crate::App;
use crate::error::Refusal;

/// `POST /v1/guests`: a new guest and his JWT.
pub(crate) async fn create(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Guest {
        buyer: BuyerId,
        token: String,
    }
    let keys = app.keys.guests.as_ref().ok_or(Refusal::NoGuests)?;
    let (buyer, token) = keys.issue(app.gate.now());
    let headers = [(CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Json(Guest { buyer, token })).into_response())
}
