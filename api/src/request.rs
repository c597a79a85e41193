//! The parts of a request that several calls read.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use sale::id::{RequestId, SaleId, TicketId};
use serde::de::DeserializeOwned;

use crate::error::Refusal;

const KEY: &str = "idempotency-key";

/// The sale that the path names. A text that no sale can have names none.
pub(crate) struct SaleInPath(pub(crate) SaleId);

impl<S: Send + Sync> FromRequestParts<S> for SaleInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(id) =
            Path::from_request_parts(parts, state).await.map_err(|_| Refusal::UnknownSale)?;
        Ok(Self(id))
    }
}

/// The ticket that the path names.
pub(crate) struct TicketInPath(pub(crate) TicketId);

impl<S: Send + Sync> FromRequestParts<S> for TicketInPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(id) =
            Path::from_request_parts(parts, state).await.map_err(|_| Refusal::NotSetAside)?;
        Ok(Self(id))
    }
}

/// The query of a list.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Query(asked) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection: QueryRejection| Refusal::Invalid(rejection.body_text()))?;
        Ok(Self(asked))
    }
}

/// The Idempotency-Key. Absent and empty are the same.
pub(crate) fn request_id(headers: &HeaderMap) -> Result<RequestId, Refusal> {
    let bad = || Refusal::field("Idempotency-Key", RequestId::RULE);
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(RequestId::none()) };
    if keys.next().is_some() {
        return Err(Refusal::field("Idempotency-Key", "must stand there once"));
    }
    RequestId::new(key.to_str().map_err(|_| bad())?).map_err(|_| bad())
}

/// The address of the WebSocket, under the name that the client knows this server by; without its
/// host where the request names none that is one.
pub(crate) fn stream(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = text(header::HeaderName::from_static("x-forwarded-proto"))
        .and_then(|list| list.split(',').next())
        .is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
    let host = text(header::HOST)
        .filter(|host| host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@')));
    match host {
        Some(host) if forwarded => format!("wss://{host}/v1/ws"),
        Some(host) => format!("ws://{host}/v1/ws"),
        None => "/v1/ws".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_told_under_the_host_of_the_request_and_under_nothing_that_is_no_host() {
        let told =
            |host: &str| stream(&[(header::HOST, host.parse().unwrap())].into_iter().collect());
        assert_eq!(told("shop.example:8080"), "ws://shop.example:8080/v1/ws");
        assert_eq!(told("[::1]:8080"), "ws://[::1]:8080/v1/ws");
        for bad in ["", "evil.example/x?", "shop.example@evil.example", "a b", "a\"b", "a#b"] {
            assert_eq!(told(bad), "/v1/ws", "{bad}");
        }
    }
}
