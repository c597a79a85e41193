//! Errors as RFC 9457 problem documents, from one table.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// What went wrong, as clients can tell it apart: each has a stable `type` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 400: the request breaks a rule; the detail names the field.
    InvalidRequest,
    /// 413: the body is larger than is read.
    PayloadTooLarge,
    /// 401: no credentials, or ones that do not hold.
    Unauthenticated,
    /// 404: nothing is there for this caller.
    NotFound,
    /// 409: the sale has not opened yet.
    NotOpen,
    /// 409: the sale is over.
    Closed,
    /// 409: no unit is left.
    SoldOut,
    /// 409: fewer units are left than were asked for.
    TooFewLeft,
    /// 409: the buyer holds as many units as the sale allows.
    LimitReached,
    /// 422: the same request id was used with other units.
    UnitsDiffer,
    /// 400: this call needs an Idempotency-Key.
    RequestIdRequired,
    /// 409: the request contradicts what stands.
    Conflict,
    /// 503: a queue is full.
    Busy,
    /// 503: whether it happened is not known; the same request may be sent again.
    NotKnown,
    /// 503: the round is being loaded or rebuilt.
    Recovering,
    /// 503: an engine cannot be reached.
    Unavailable,
}

impl Kind {
    /// Every kind, once.
    pub const ALL: [Self; 16] = [
        Self::InvalidRequest,
        Self::PayloadTooLarge,
        Self::Unauthenticated,
        Self::NotFound,
        Self::NotOpen,
        Self::Closed,
        Self::SoldOut,
        Self::TooFewLeft,
        Self::LimitReached,
        Self::UnitsDiffer,
        Self::RequestIdRequired,
        Self::Conflict,
        Self::Busy,
        Self::NotKnown,
        Self::Recovering,
        Self::Unavailable,
    ];

    /// The status it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::RequestIdRequired => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotOpen
            | Self::Closed
            | Self::SoldOut
            | Self::TooFewLeft
            | Self::LimitReached
            | Self::Conflict => StatusCode::CONFLICT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnitsDiffer => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy | Self::NotKnown | Self::Recovering | Self::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The last segment of its `type`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::PayloadTooLarge => "payload-too-large",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not-found",
            Self::NotOpen => "not-open",
            Self::Closed => "closed",
            Self::SoldOut => "sold-out",
            Self::TooFewLeft => "too-few-left",
            Self::LimitReached => "limit-reached",
            Self::UnitsDiffer => "units-differ",
            Self::RequestIdRequired => "request-id-required",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::NotKnown => "not-known",
            Self::Recovering => "recovering",
            Self::Unavailable => "unavailable",
        }
    }

    /// What it means, in words that are the same each time.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid",
            Self::PayloadTooLarge => "The body is too large",
            Self::Unauthenticated => "Valid credentials are needed",
            Self::NotFound => "Not found",
            Self::NotOpen => "The sale is not open yet",
            Self::Closed => "The sale is closed",
            Self::SoldOut => "Sold out",
            Self::TooFewLeft => "Fewer units are left than asked for",
            Self::LimitReached => "The limit per buyer is reached",
            Self::UnitsDiffer => "The same request id came with other units",
            Self::RequestIdRequired => "An Idempotency-Key is required",
            Self::Conflict => "The request conflicts with what stands",
            Self::Busy => "Too busy at the moment",
            Self::NotKnown => "The result is not known yet",
            Self::Recovering => "The sale is being loaded or put in order",
            Self::Unavailable => "Not available at the moment",
        }
    }
}

/// One error as it is answered: `application/problem+json`, never cached.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    members: Members,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with what happened and what to do, in words.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Members::default(), retry_after: None }
    }

    /// Adds a member to the document, in the bytes that it is written in elsewhere. What cannot
    /// be written as JSON is left as null.
    pub fn with(mut self, key: &'static str, value: impl Serialize) -> Self {
        debug_assert!(!["type", "title", "status", "detail"].contains(&key), "{key} is taken");
        let value = to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned());
        self.members.0.push((key, value));
        self
    }

    /// Tells when to ask again: `Retry-After` in whole seconds, rounded up, at least 1.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let mut response = Document {
            r#type: &format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            members: &self.members,
        }
        .answer(status);
        let headers = response.headers_mut();
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(after) = self.retry_after.or(unavailable.then_some(Duration::ZERO)) {
            let seconds = after.as_millis().div_ceil(1000).clamp(1, u128::from(u32::MAX));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds as u32));
        }
        response
    }
}

/// The answer to a path that no route knows.
pub async fn no_such_path() -> Problem {
    Problem::new(Kind::NotFound, "nothing is served at this path")
}

/// The answer to a method that a path does not know: 405; the router adds `Allow`.
pub async fn method_not_allowed() -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Document {
        r#type: &format!("/problems/{}", Kind::InvalidRequest.slug()),
        title: Kind::InvalidRequest.title(),
        status: status.as_u16(),
        detail: "this path does not know the method; the header Allow lists those it knows",
        members: &Members::default(),
    }
    .answer(status)
}

/// The answer to a page of an origin that is not admitted: 403, of no type of its own.
pub fn forbidden(detail: &str) -> Response {
    let status = StatusCode::FORBIDDEN;
    Document {
        r#type: "about:blank",
        title: "Forbidden",
        status: status.as_u16(),
        detail,
        members: &Members::default(),
    }
    .answer(status)
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    members: &'a Members,
}

/// Members of a document beside those that all have. A map of values would sort the keys of what
/// is in it, and a ticket is the same bytes everywhere.
#[derive(Debug, Clone, Default)]
struct Members(Vec<(&'static str, Box<RawValue>)>);

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Document<'_> {
    fn answer(&self, status: StatusCode) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    async fn document(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn types_and_statuses_are_stable() {
        let table: Vec<_> =
            Kind::ALL.iter().map(|kind| (kind.slug(), kind.status().as_u16())).collect();
        let expected = [
            ("invalid-request", 400),
            ("payload-too-large", 413),
            ("unauthenticated", 401),
            ("not-found", 404),
            ("not-open", 409),
            ("closed", 409),
            ("sold-out", 409),
            ("too-few-left", 409),
            ("limit-reached", 409),
            ("units-differ", 422),
            ("request-id-required", 400),
            ("conflict", 409),
            ("busy", 503),
            ("not-known", 503),
            ("recovering", 503),
            ("unavailable", 503),
        ];
        assert_eq!(table, expected);
    }

    #[tokio::test]
    async fn every_kind_is_answered_as_a_document_that_is_not_cached() {
        for kind in Kind::ALL {
            let response = Problem::new(kind, "what happened").with("left", 3).into_response();
            let headers = response.headers().clone();
            assert_eq!(response.status(), kind.status());
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers.contains_key("retry-after"), kind.status() == 503, "{kind:?}");
            assert_eq!(headers.contains_key("www-authenticate"), kind.status() == 401);
            let expected = serde_json::json!({
                "type": format!("/problems/{}", kind.slug()),
                "title": kind.title(),
                "status": kind.status().as_u16(),
                "detail": "what happened",
                "left": 3,
            });
            assert_eq!(document(response).await, expected);
        }
    }

    #[tokio::test]
    async fn a_member_keeps_the_order_of_its_fields() {
        #[derive(Serialize)]
        struct Held {
            ticket: u8,
            buyer: &'static str,
        }
        let held = [Held { ticket: 1, buyer: "ada" }];
        let problem = Problem::new(Kind::LimitReached, "").with("held", held).with("a", ());
        let body = problem.into_response().into_body();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.ends_with(r#""held":[{"ticket":1,"buyer":"ada"}],"a":null}"#), "{text}");
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up_and_at_least_one() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (30_000, "30")] {
            let after = Duration::from_millis(millis);
            let response = Problem::new(Kind::Busy, "").retry_after(after).into_response();
            assert_eq!(response.headers()["retry-after"], seconds);
        }
        let sooner = Problem::new(Kind::NotOpen, "").retry_after(Duration::from_secs(7));
        assert_eq!(sooner.into_response().headers()["retry-after"], "7");
    }

    #[tokio::test]
    async fn answers_outside_the_table_are_documents_too() {
        let wrong_method = document(method_not_allowed().await).await;
        assert_eq!(wrong_method["type"], "/problems/invalid-request");
        assert_eq!(wrong_method["status"], 405);
        let foreign = document(forbidden("not this page")).await;
        assert_eq!(foreign["type"], "about:blank");
        assert_eq!((&foreign["status"], &foreign["title"]), (&403.into(), &"Forbidden".into()));
        assert_eq!(no_such_path().await.kind(), Kind::NotFound);
    }
}
