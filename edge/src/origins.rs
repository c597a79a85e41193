//! Which web pages may call: the own host and the configured origins, compared exactly.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The origin of a page: scheme, host and port, in the form in which browsers send it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be http:// or https:// and a host, with a port if it is not the usual one, such as https://shop.example.com")]
pub struct BadOrigin;

impl Origin {
    /// Reads `scheme://host` or `scheme://host:port`. Wildcards, paths and `null` are refused.
    pub fn parse(text: &str) -> Result<Self, BadOrigin> {
        let text = text.to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| BadOrigin)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadOrigin);
        };
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(BadOrigin),
        };
        let host = authority.host();
        let bytes = host.trim_start_matches('[').trim_end_matches(']').bytes();
        let mut bytes = bytes.map(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
        if host.is_empty() || !bytes.all(|good| good) {
            return Err(BadOrigin);
        }
        let written = match authority.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        if written != text {
            return Err(BadOrigin);
        }
        match authority.port_u16() {
            Some(port) if port != usual => Ok(Self(written)),
            Some(_) | None => Ok(Self(format!("{scheme}://{host}"))),
        }
    }

    /// The text, as it stands in the header `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The origins whose pages may call.
#[derive(Debug, Clone)]
pub struct Origins(HashSet<Origin>);

impl Origins {
    /// The own host and these.
    pub fn new(list: Vec<Origin>) -> Self {
        Self(list.into_iter().collect())
    }

    /// Whether a request with these headers may pass: it names no origin (no browser's page),
    /// the own host under either scheme, or one of the list. `null` never passes.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(header::ORIGIN) {
            return true;
        }
        let Some(origin) = only(headers, header::ORIGIN) else { return false };
        self.0.iter().any(|listed| listed.as_str() == origin)
            || only(headers, header::HOST).is_some_and(|host| is_own(origin, host))
    }

    /// Answers preflights and marks answers for pages of the list. Credentials that browsers
    /// attach by themselves are not admitted: tokens travel in `Authorization`.
    pub fn cors(&self) -> CorsLayer {
        if self.0.is_empty() {
            return CorsLayer::new().vary([]);
        }
        let origins = self.0.iter().map(|origin| {
            HeaderValue::from_str(origin.as_str()).expect("an origin is visible ASCII")
        });
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_NONE_MATCH,
                HeaderName::from_static("idempotency-key"),
                HeaderName::from_static("last-event-id"),
                HeaderName::from_static("prefer"),
            ])
            .expose_headers([
                header::LOCATION,
                header::RETRY_AFTER,
                header::ETAG,
                HeaderName::from_static("dibs-poll-after-ms"),
            ])
            .max_age(Duration::from_secs(3600))
    }
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn is_own(origin: &str, host: &str) -> bool {
    ["http", "https"].iter().any(|scheme| {
        Origin::parse(&format!("{scheme}://{host}")).is_ok_and(|own| own.as_str() == origin)
    })
}
