//! What a claim's body may be: everything else is refused, naming the field, and changes nothing.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::ask::problem;
use crate::harness::Server;
use crate::harness::claimer::{Claim, jwt};
use crate::raw::{Raw, host};

/// Bodies that are refused, each with what the answer must name.
const REFUSED: [(&str, &str); 31] = [
    // No JSON object.
    ("", "JSON"),
    ("null", "JSON"),
    ("[1]", "JSON"),
    ("1", "JSON"),
    ("\"units\"", "JSON"),
    ("{", ""),
    ("{\"units\":1", ""),
    ("{units:1}", ""),
    ("{\"units\":1}{}", ""),
    ("{\"units\":1,}", ""),
    // The units.
    ("{}", "units"),
    ("{\"units\":null}", "units"),
    ("{\"units\":0}", "units"),
    ("{\"units\":-1}", "units"),
    ("{\"units\":1.5}", "units"),
    ("{\"units\":1.0}", "units"),
    ("{\"units\":1e3}", "units"),
    ("{\"units\":\"1e3\"}", "units"),
    ("{\"units\":\"1\"}", "units"),
    ("{\"units\":true}", "units"),
    ("{\"units\":[1]}", "units"),
    ("{\"units\":4}", "units"),
    ("{\"units\":100}", "units"),
    ("{\"units\":257}", "units"),
    ("{\"units\":2147483648}", "units"),
    ("{\"units\":9223372036854775808}", "units"),
    ("{\"units\":18446744073709551617}", "units"),
    ("{\"units\":1,\"units\":1}", "units"),
    // Other fields.
    ("{\"units\":1,\"unit\":1}", "unit"),
    ("{\"units\":1,\"round\":7}", "round"),
    ("{\"units\":1,\"round\":\"1\",\"round\":\"1\"}", "round"),
];

#[tokio::test]
async fn every_faulty_body_is_refused_by_name_and_takes_no_stock() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 3).await;
    for (body, names) in REFUSED {
        let call = server.claim("cups", "ada").header("idempotency-key", "1").body(body);
        let answer = call.header(CONTENT_TYPE, "application/json").send().await.unwrap();
        let document = problem(answer, 400, "invalid-request").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(names), "{body}: {detail}");
    }
    let bytes = server.claim("cups", "ada").body(b"{\"units\":1,\"\xff\":1}".to_vec());
    let answer = bytes.header(CONTENT_TYPE, "application/json").send().await.unwrap();
    problem(answer, 400, "invalid-request").await;
    let sale = server.sale("cups").await;
    assert_eq!((&sale["available"], &sale["held"]), (&json!(5), &json!(0)));
    // The limit itself is right.
    Claim::of("cups", "ada").under("1").units(3).win(&server).await;
}

#[tokio::test]
async fn the_content_type_must_be_json() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let body = "{\"units\":1}";
    let bare = server.claim("cups", "ada").body(body).send().await.unwrap();
    problem(bare, 400, "invalid-request").await;
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"] {
        let call = server.claim("cups", "ada").header(CONTENT_TYPE, wrong).body(body);
        let document = problem(call.send().await.unwrap(), 400, "invalid-request").await;
        assert!(document["detail"].as_str().unwrap().contains("Content-Type"), "{document}");
    }
    assert_eq!(server.sale("cups").await["available"], 5);
    let right = server.claim("cups", "ada").body(body);
    let right = right.header(CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(right.send().await.unwrap().status(), StatusCode::ACCEPTED);
}

fn padded(bytes: usize) -> String {
    let body = "{\"units\":1}";
    body.to_owned() + &" ".repeat(bytes - body.len())
}

#[tokio::test]
async fn a_body_has_at_most_4_kibibytes_announced_or_not() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    for bytes in [4097, 5000, 1_000_000] {
        let call = server.claim("cups", "ada").header(CONTENT_TYPE, "application/json");
        let answer = call.body(padded(bytes)).send().await.unwrap();
        problem(answer, 413, "payload-too-large").await;
    }
    let mut chunked = Raw::connect(&server).await;
    let head = format!(
        "POST /v1/sales/cups/tickets HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        host(&server),
        jwt("ada")
    );
    chunked.send(head).await;
    chunked.send(format!("1001\r\n{}\r\n", padded(4097))).await;
    let answer = chunked.head().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(server.sale("cups").await["available"], 5);

    let call = server.claim("cups", "ada").header(CONTENT_TYPE, "application/json");
    let answer = call.body(padded(4096)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}
