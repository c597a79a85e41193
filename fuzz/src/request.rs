//! Requests to the whole API: each is answered, a refusal by a problem document.
//!
//! The input is a request as text: `METHOD /path`, lines `name: value`, an empty line, the body.
//! `JWT`, `TOKEN` and `ADMIN` in a header stand for good credentials.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Method, Request, header};
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt as _;

use super::shop::{ADMIN, Shop, visit};

pub(crate) fn run(data: &[u8]) {
    visit(async |shop| {
        let Some(request) = request(shop, data) else { return };
        let asks_for_a_body = request.method() != Method::HEAD;
        let Ok(answer) = shop.router.clone().oneshot(request).await;
        assert!(!answer.status().is_server_error() || answer.status() == 503, "{answer:?}");
        if asks_for_a_body {
            judge(answer).await;
        }
    });
}

/// A refusal is a problem document, and what is said to be JSON is JSON.
async fn judge(answer: Response) {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let kind = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Such a body has no end.
    if kind == "text/event-stream" {
        return;
    }
    let body = to_bytes(answer.into_body(), usize::MAX).await.expect("the body comes whole");
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(kind, "application/problem+json", "{status}");
        let problem: Value = serde_json::from_slice(&body).expect("a problem is JSON");
        assert_eq!(problem["status"], status.as_u16());
    } else if kind == "application/json" {
        serde_json::from_slice::<Value>(&body).expect("it is the JSON it is said to be");
    }
}

fn request(shop: &Shop, data: &[u8]) -> Option<Request<Body>> {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let head = std::str::from_utf8(&data[..end]).ok()?;
    let body = data.get(end + 2..).unwrap_or_default().to_vec();
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let value = value.replace("JWT", &shop.jwt).replace("TOKEN", &shop.token);
        let value = HeaderValue::from_str(&value.replace("ADMIN", ADMIN)).ok()?;
        request = request.header(name, value);
    }
    request.body(Body::from(body)).ok()
}
