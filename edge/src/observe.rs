//! Counts and times of requests, without anything in a label that grows with use.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

/// Counts a request in `dibs_http_requests_total{route,method,status}` and times it, until its
/// answer's head is ready, in the histogram `dibs_http_seconds{route,method}`.
///
/// To be put on with `Router::layer(axum::middleware::from_fn(track))` after the last route and
/// fallback: what is added later is not seen.
pub async fn track(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unmatched".to_owned(),
    };
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!("dibs_http_seconds", "route" => route.clone(), "method" => method)
        .record(began.elapsed());
    metrics::counter!(
        "dibs_http_requests_total",
        "route" => route, "method" => method, "status" => status
    )
    .increment(1);
    response
}

/// Tells the recorder what these metrics are.
pub fn describe() {
    metrics::describe_counter!(
        "dibs_http_requests_total",
        "Requests answered, by route, method and status."
    );
    metrics::describe_histogram!(
        "dibs_http_seconds",
        metrics::Unit::Seconds,
        "Time from a request's head to its answer's head."
    );
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
