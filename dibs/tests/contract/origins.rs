//! Pages of other hosts: exact origins, and never the credentials of a browser.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::harness::Server;
use crate::harness::claimer::{Claim, jwt};

const SHOP: &str = "https://shop.example";

/// What a browser asks before it sends a claim.
async fn preflight(server: &Server, path: &str, origin: &str, method: &str) -> Response {
    let call = server.call(Method::OPTIONS, path).header("origin", origin);
    let call = call.header("access-control-request-method", method);
    let call = call.header("access-control-request-headers", "authorization,idempotency-key");
    call.send().await.unwrap()
}

fn list(answer: &Response, header: &str) -> Vec<String> {
    let text =
        answer.headers().get(header).map(|value| value.to_str().unwrap()).unwrap_or_default();
    text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn a_listed_page_may_claim_and_read_with_the_headers_that_the_contract_needs() {
    let server = Server::start(&[("origins", SHOP)]).await;
    server.open_sale("cups", 5, 1).await;
    for (path, method) in [
        ("/v1/sales", "GET"),
        ("/v1/sales/cups", "GET"),
        ("/v1/sales/cups/tickets", "POST"),
        ("/v1/guests", "POST"),
        ("/v1/now", "GET"),
        ("/v1/tickets/x", "GET"),
        ("/v1/tickets/x/events", "GET"),
    ] {
        let answer = preflight(&server, path, SHOP, method).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], SHOP, "{path}");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"), "{path}");
        assert!(answer.headers().contains_key("access-control-max-age"), "{path}");
        assert!(
            list(&answer, "access-control-allow-methods").contains(&method.to_ascii_lowercase())
        );
        let headers = list(&answer, "access-control-allow-headers");
        for name in [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "prefer",
            "last-event-id",
        ] {
            assert!(headers.iter().any(|header| header == name), "{path}: {name} of {headers:?}");
        }
    }
    let claim = server.claim("cups", "ada").header("origin", SHOP).json(&json!({ "units": 1 }));
    let answer = claim.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["access-control-allow-origin"], SHOP);
    assert!(list(&answer, "vary").contains(&"origin".to_owned()));
    let exposed = list(&answer, "access-control-expose-headers");
    for name in ["location", "retry-after", "etag", "dibs-poll-after-ms"] {
        assert!(exposed.iter().any(|header| header == name), "{name} of {exposed:?}");
    }
    // Also what is refused can be read.
    let refused = server.call(Method::GET, "/v1/tickets/x").header("origin", SHOP);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], SHOP);
}

#[tokio::test]
async fn a_page_that_is_not_listed_is_given_nothing_to_read() {
    let server = Server::start(&[("origins", SHOP)]).await;
    server.open_sale("cups", 5, 1).await;
    for foreign in [
        "https://evil.example",
        "https://evil-shop.example",
        "https://shop.example.evil.example",
        "null",
    ] {
        for path in ["/v1/sales/cups/tickets", "/v1/tickets/x"] {
            let answer = preflight(&server, path, foreign, "POST").await;
            let headers = answer.headers();
            assert!(!headers.contains_key("access-control-allow-origin"), "{foreign} {path}");
            assert!(!headers.contains_key("access-control-allow-credentials"), "{foreign} {path}");
        }
        let read = server.get("/v1/sales/cups").await;
        assert!(!read.headers().contains_key("access-control-allow-origin"));
    }
    // The admin API is no page's business, listed or not.
    let answer = preflight(&server, "/v1/admin/sales", SHOP, "POST").await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn without_a_list_no_other_host_is_named_and_the_own_page_needs_none() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let answer = preflight(&server, "/v1/sales/cups/tickets", SHOP, "POST").await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    let own = server.claim("cups", "ada").header("origin", &server.base);
    let own = own.json(&json!({ "units": 1 })).send().await.unwrap();
    assert_eq!(own.status(), StatusCode::ACCEPTED);
    // A cookie is nobody.
    let owed = Claim::of("cups", "ada").win(&server).await;
    let cookie = server.call(Method::GET, &format!("/v1/tickets/{}", owed.id));
    let cookie = cookie.header("cookie", format!("jwt={}", jwt("ada"))).send().await.unwrap();
    assert_eq!(cookie.status(), StatusCode::UNAUTHORIZED);
}
