//! Counts and times of requests and connections, without anything in a label that grows with use.

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

/// Counts an open connection as long as it lives.
#[derive(Debug)]
pub(crate) struct Connection;

impl Connection {
    /// One was opened.
    pub(crate) fn opened() -> Self {
        metrics::gauge!("dibs_http_connections").increment(1);
        Self
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        metrics::gauge!("dibs_http_connections").decrement(1);
    }
}

/// A connection found no place.
pub(crate) fn refused() {
    metrics::counter!("dibs_http_connections_refused_total").increment(1);
}

/// Tells the recorder what these metrics are, which is all that this crate measures.
pub fn describe() {
    metrics::describe_gauge!(
        "dibs_http_connections",
        "Open connections of all servers of this process, WebSockets among them."
    );
    metrics::describe_counter!(
        "dibs_http_connections_refused_total",
        "Connections that were refused because all places were taken."
    );
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(routes: &Router, method: &str, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn series_are_of_routes_and_do_not_grow_with_paths_or_methods() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let _local = metrics::set_default_local_recorder(&recorder);
        describe();
        let inner = Router::new().route("/tickets/{id}", get(|| async {}));
        let routes = Router::new().nest("/v1", inner).layer(from_fn(track));

        let first = async |path: String| {
            assert_eq!(status(&routes, "GET", &format!("/v1/tickets/{path}")).await, 200);
            assert_eq!(status(&routes, "BREW", &format!("/v1/tickets/{path}")).await, 405);
            assert_eq!(status(&routes, "GET", &format!("/{path}")).await, 404);
        };
        first("first".into()).await;
        let before = series(&page.render());
        for n in 0..50 {
            first(format!("secret-{n}")).await;
            status(&routes, &format!("ODD{n}"), "/v1/tickets/x").await;
        }
        let after = page.render();
        assert_eq!(series(&after), before);
        assert!(!after.contains("secret-"));
        for line in [
            r#"{route="/v1/tickets/{id}",method="GET",status="200"} 51"#,
            r#"{route="/v1/tickets/{id}",method="other",status="405"} 101"#,
            r#"{route="unmatched",method="GET",status="404"} 51"#,
        ] {
            assert!(after.contains(&format!("dibs_http_requests_total{line}")), "{line}: {after}");
        }
    }

    fn series(page: &str) -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let mut names: Vec<_> =
            lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.into()).collect();
        names.sort();
        names
    }
}
