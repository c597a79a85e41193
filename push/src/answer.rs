//! The answers of plain reads: a ticket, "not modified", and refusals.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge::problem::{Kind, Problem};

use crate::access::NoAccess;
use crate::present::NotShown;
use crate::shown::Shown;

/// When a polling client should ask again, in ms.
const POLL_AFTER: HeaderName = HeaderName::from_static("dibs-poll-after-ms");

/// The ticket.
pub(crate) fn ticket(shown: &Shown, poll_after: Duration) -> Response {
    let body = ([(header::CONTENT_TYPE, "application/json")], shown.json());
    versioned(body.into_response(), shown, poll_after)
}

/// The ticket still is at the version that the client has.
pub(crate) fn not_modified(shown: &Shown, poll_after: Duration) -> Response {
    versioned(StatusCode::NOT_MODIFIED.into_response(), shown, poll_after)
}

fn versioned(mut response: Response, shown: &Shown, poll_after: Duration) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let tag = HeaderValue::from_str(&format!("\"{}\"", shown.version))
        .expect("a quoted number is a header value");
    headers.insert(header::ETAG, tag);
    if !shown.is_final {
        headers.insert(POLL_AFTER, millis(poll_after));
    }
    response
}

/// No credentials, or such as open nothing. The latter is the same answer, byte for byte,
/// whatever is wrong with them.
pub(crate) fn no_access(error: NoAccess) -> Response {
    match error {
        NoAccess::NoCredentials => Problem::new(
            Kind::Unauthenticated,
            "send the ticket's token or its owner's JWT as Authorization: Bearer",
        )
        .into_response(),
        NoAccess::OpensNothing => not_found(),
    }
}

/// A ticket that cannot be shown.
pub(crate) fn not_shown(error: NotShown, poll_after: Duration) -> Response {
    let (kind, detail) = match error {
        NotShown::NotFound => return not_found(),
        NotShown::Busy => (Kind::Busy, "more reads wait than are taken; ask again"),
        NotShown::NoAnswer => (Kind::Unavailable, "the ticket cannot be read now; ask again"),
    };
    let mut response = Problem::new(kind, detail).retry_after(poll_after).into_response();
    response.headers_mut().insert(POLL_AFTER, millis(poll_after));
    response
}

fn not_found() -> Response {
    Problem::new(Kind::NotFound, "no ticket is opened by this id with these credentials")
        .into_response()
}

fn millis(after: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
}
