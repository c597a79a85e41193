//! The ops endpoints.
//!
//! - `/healthz` answers 200 as long as the process runs.
//! - `/readyz` answers 200 if the process does its work, else 503. Its body has one entry an
//!   engine (`engines`: gate, log, ledger) and one a role of this process (`roles`), each with
//!   its `state` and in `detail` what is wrong. An engine is `ok` or `failed`. A role is
//!   `degraded` where it does its work without an engine that has failed, and `failed` where it
//!   cannot: api without the gate, push without both gate and ledger, worker without any of
//!   the three. A process is ready if its api and push are not `failed`, and its worker where
//!   that runs alone; before that every role must have done its work once. While a start
//!   waits for an engine, `engines` says for which. `recovering` names the rounds that grant
//!   nothing until their gate is rebuilt, as far as api and worker know; that makes no process
//!   less ready.
//! - `/metrics` is for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use edge::serve::Limits;

use crate::readiness::Readiness;
use crate::telemetry;

/// Their routes.
pub(crate) fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(edge::problem::no_such_path)
        .with_state(readiness)
}

/// Probes and scrapers are few.
pub(crate) fn limits() -> Limits {
    Limits { connections: 256, ..Limits::default() }
}

async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

async fn metrics() -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], telemetry::recorded().render()).into_response()
}
