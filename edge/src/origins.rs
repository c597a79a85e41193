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
#[error(
    "must be http:// or https:// and a host, with a port if it is not the usual one, such as https://shop.example.com"
)]
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::response::Response;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn listed() -> Origins {
        let all = ["https://example.com", "https://shop.example.com:8443", "http://localhost:3000"];
        Origins::new(all.iter().map(|text| Origin::parse(text).unwrap()).collect())
    }

    fn admitted(origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::HOST, host.parse().unwrap());
        listed().admits(&headers)
    }

    #[test]
    fn listed_origins_pass_exactly_as_they_are() {
        let host = "dibs.test";
        for good in ["https://example.com", "https://shop.example.com:8443"] {
            assert!(admitted(good, host), "{good}");
        }
        for foreign in [
            "http://example.com",
            "https://example.com:8443",
            "https://shop.example.com",
            "https://evil-example.com",
            "https://example.com.evil.net",
            "https://www.example.com",
            "https://example.com/",
            "https://example.com@evil.net",
            "https://EXAMPLE.com.",
            "example.com",
            "null",
            "*",
            "",
        ] {
            assert!(!admitted(foreign, host), "{foreign}");
        }
    }

    #[test]
    fn the_own_host_passes_under_either_scheme_with_its_very_port() {
        assert!(admitted("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(admitted("https://dibs.test", "dibs.test"));
        assert!(admitted("https://dibs.test", "DIBS.test:443"));
        assert!(admitted("http://[::1]:8080", "[::1]:8080"));
        assert!(!admitted("http://127.0.0.1:8081", "127.0.0.1:8080"));
        assert!(!admitted("http://127.0.0.1", "127.0.0.1:8080"));
        assert!(!admitted("http://dibs.test.evil.net", "dibs.test"));
        assert!(!admitted("null", "null"));
    }

    #[test]
    fn no_origin_passes_and_several_do_not() {
        let mut headers = HeaderMap::new();
        assert!(listed().admits(&headers));
        headers.append(header::ORIGIN, "https://example.com".parse().unwrap());
        assert!(listed().admits(&headers));
        headers.append(header::ORIGIN, "https://example.com".parse().unwrap());
        assert!(!listed().admits(&headers));
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let written = |text| Origin::parse(text).map(|origin| origin.as_str().to_owned());
        assert_eq!(written("HTTPS://Example.com:443").unwrap(), "https://example.com");
        assert_eq!(written("http://example.com:8080").unwrap(), "http://example.com:8080");
        for bad in [
            "",
            "*",
            "null",
            "example.com",
            "https://*.example.com",
            "https://example.com/",
            "https://example.com/shop",
            "https://user@example.com",
            "ws://example.com",
            "https://",
            "https://example.com:99999",
            " https://example.com",
        ] {
            assert_eq!(written(bad), Err(BadOrigin), "{bad}");
        }
    }

    async fn preflight(origins: &Origins, origin: &str) -> Response {
        let routes = Router::new().route("/", get(|| async {})).layer(origins.cors());
        let request = Request::options("/")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,idempotency-key");
        routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_preflight_admits_listed_pages_without_credentials() {
        let answer = preflight(&listed(), "https://example.com").await;
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], "https://example.com");
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "prefer",
            "last-event-id",
        ] {
            assert!(allowed.split(',').any(|one| one == name), "{name}");
        }
        assert!(headers.contains_key("access-control-max-age"));
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }

    #[tokio::test]
    async fn a_preflight_admits_no_other_page() {
        let none = Origins::new(Vec::new());
        for origin in ["https://evil-example.com", "null"] {
            for origins in [&listed(), &none] {
                let answer = preflight(origins, origin).await;
                assert!(!answer.headers().contains_key("access-control-allow-origin"));
            }
        }
    }

    #[tokio::test]
    async fn answers_to_listed_pages_expose_what_a_client_reads() {
        let routes = Router::new().route("/", get(|| async {})).layer(listed().cors());
        let request = Request::get("/").header("origin", "https://example.com");
        let answer = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
        assert_eq!(exposed, "location,retry-after,etag,dibs-poll-after-ms");
    }
}
