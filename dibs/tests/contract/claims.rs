//! `POST /v1/sales/{sale}/tickets` that is granted, now or before.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::{is_time, problem, text_of};
use crate::harness::Server;
use crate::harness::claimer::{Claim, Owed};
use crate::ledger::Lock;
use crate::raw::{Raw, host};

#[tokio::test]
async fn a_claim_is_answered_with_a_pending_ticket_its_token_and_where_to_go_on() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let answer = server.claim_one("cups", "ada").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let headers = answer.headers().clone();
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let (ticket, token, stream) = (&body["ticket"], &body["token"], &body["stream"]);
    assert_eq!(
        text,
        format!(r#"{{"ticket":{},"token":{token},"stream":{stream}}}"#, text_of(ticket))
    );

    let id = ticket["id"].as_str().unwrap();
    assert_eq!(headers["location"], format!("/v1/tickets/{id}"));
    assert_eq!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap(), 1);
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "application/json");

    assert!(id.len() == 22 && is_base64url(id), "{id}");
    assert_eq!(ticket["sale"], "cups");
    assert_eq!(ticket["round"], server.sale("cups").await["round"]);
    assert_eq!((&ticket["units"], &ticket["version"]), (&json!(1), &json!(1)));
    assert_eq!((&ticket["status"], &ticket["reason"]), (&json!("pending"), &Value::Null));
    assert_eq!((&ticket["final"], &ticket["decided_at"]), (&json!(false), &Value::Null));
    assert!(is_time(&ticket["granted_at"]), "{ticket}");
    let token = token.as_str().unwrap();
    assert!(token.len() <= 200 && is_base64url(token), "{token}");
    assert_eq!(stream, &format!("ws://{}/v1/ws", host(&server)));

    let location = headers["location"].to_str().unwrap();
    let read = server.call(Method::GET, location).bearer_auth(token).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    let owed =
        Owed { id: id.into(), token: token.into(), buyer: "ada".into(), request: None, units: 1 };
    let decided = server.result(&owed).await;
    assert_eq!((&decided["status"], &decided["version"]), (&json!("confirmed"), &json!(2)));
    assert!(is_time(&decided["decided_at"]), "{decided}");
    assert_eq!(decided["granted_at"], ticket["granted_at"]);
    server.audit("cups", &[owed]).await;
}

fn is_base64url(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[tokio::test]
async fn behind_tls_the_stream_is_wss_under_the_clients_own_name_for_the_server() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    for (proto, host, stream) in [
        ("https", "shop.example", "wss://shop.example/v1/ws"),
        ("http", "shop.example:81", "ws://shop.example:81/v1/ws"),
    ] {
        let call = server.claim("cups", "ada").json(&json!({ "units": 1 }));
        let call = call.header("x-forwarded-proto", proto).header("host", host);
        let body: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["stream"], stream);
    }
}

#[tokio::test]
async fn the_same_claim_again_finds_the_same_ticket_in_its_present_state() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 1, 1).await;
    let lock = Lock::ledger(&server).await;
    let first: Value = server.claim_one("cups", "ada").await.json().await.unwrap();
    let again = server.claim_one("cups", "ada").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(
        again.headers()["location"],
        format!("/v1/tickets/{}", text(&first["ticket"]["id"]))
    );
    assert_eq!(again.headers()["cache-control"], "no-store");
    let again: Value = again.json().await.unwrap();
    assert_eq!(again, first);
    lock.release().await;

    let owed = Claim::of("cups", "ada").win(&server).await;
    let decided = server.result(&owed).await;
    // Now all is sold, and the winner still finds his ticket.
    problem(server.claim_one("cups", "bob").await, 409, "sold-out").await;
    let again = server.claim_one("cups", "ada").await;
    assert_eq!(again.status(), StatusCode::OK);
    let again = again.text().await.unwrap();
    let shown = server.ticket_text(&owed).await;
    assert!(again.starts_with(&format!(r#"{{"ticket":{shown},"token":"#)), "{again}");
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), decided);

    // And when the sale is closed.
    server.patch("cups", None, json!({ "closed": true })).await;
    problem(server.claim_one("cups", "bob").await, 409, "closed").await;
    assert_eq!(server.claim_one("cups", "ada").await.status(), StatusCode::OK);
    server.audit("cups", &[owed]).await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn the_idempotency_key_tells_claims_apart_and_retries_from_them() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 3).await;
    let claim = Claim::of("cups", "ada");
    let one = claim.clone().under("first").win(&server).await;
    let two = claim.clone().under("second").units(2).win(&server).await;
    assert_ne!(one.id, two.id);
    assert_eq!(claim.clone().under("first").win(&server).await, one);
    let other = claim.clone().under("first").units(2).send(&server).await.unwrap();
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.body["type"], "/problems/units-differ");
    // A key is its buyer's own.
    let bobs = Claim::of("cups", "bob").under("first").win(&server).await;
    assert_ne!(bobs.id, one.id);
    for none in [claim.clone(), claim.under("")] {
        let none = none.send(&server).await.unwrap();
        assert_eq!(none.status, StatusCode::BAD_REQUEST);
        assert_eq!(none.body["type"], "/problems/request-id-required");
    }
    let audit = server.audit("cups", &[one, two, bobs]).await;
    assert_eq!(audit.confirmed_units, 4);
}

#[tokio::test]
async fn with_a_limit_of_one_a_key_is_not_needed_and_absent_and_empty_are_the_same() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 1).await;
    let plain = Claim::of("cups", "ada").win(&server).await;
    let empty = Claim::of("cups", "ada").under("").win(&server).await;
    assert_eq!(empty.id, plain.id);
    assert_eq!(server.audit("cups", &[plain]).await.confirmed_units, 1);
}

#[tokio::test]
async fn a_key_is_one_to_128_visible_ascii_characters_and_stands_there_once() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 1).await;
    let body = json!({ "units": 1 });
    let long = "k".repeat(129);
    for bad in [&long, "two words", "tab\there", "caf\u{e9}"] {
        let call = server.claim("cups", "ada").json(&body);
        let value = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let answer = call.header("idempotency-key", value).send().await.unwrap();
        let document = problem(answer, 400, "invalid-request").await;
        assert!(text(&document["detail"]).contains("Idempotency-Key"), "{document}");
    }
    let twice = server.claim("cups", "ada").json(&body);
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "b");
    problem(twice.send().await.unwrap(), 400, "invalid-request").await;
    assert_eq!(server.sale("cups").await["available"], 9);
    Claim::of("cups", "ada").under(&long[1..]).win(&server).await;
}

#[tokio::test]
async fn a_round_pins_a_retry_to_it() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    server.open_sale("mugs", 5, 1).await;
    let (ours, others) = (server.sale("cups").await, server.sale("mugs").await);
    let claim = async |round: Value| {
        let body = json!({ "units": 1, "round": round });
        server.claim("cups", "ada").json(&body).send().await.unwrap()
    };
    assert_eq!(claim(ours["round"].clone()).await.status(), StatusCode::ACCEPTED);
    assert_eq!(claim(ours["round"].clone()).await.status(), StatusCode::OK);
    assert_eq!(claim(Value::Null).await.status(), StatusCode::OK);
    for wrong in [others["round"].clone(), json!("4000000000"), json!("x"), json!(1), json!("01")] {
        let document = problem(claim(wrong).await, 400, "invalid-request").await;
        assert!(text(&document["detail"]).contains("`round`"), "{document}");
    }
    assert_eq!(server.audit("cups", &[]).await.confirmed_units, 1);
}

#[tokio::test]
async fn when_the_answer_is_lost_a_retry_from_anywhere_finds_the_first_ticket() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let body = r#"{"units":1}"#;
    let head = format!(
        "POST /v1/sales/cups/tickets HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         idempotency-key: first-tab\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        host(&server),
        crate::harness::claimer::jwt("ada"),
        body.len()
    );
    let mut first = Raw::connect(&server).await;
    first.send(head).await;
    // The answer is on its way, and its reader is gone.
    first.0.readable().await.unwrap();
    drop(first);

    // The page was reloaded and remembers its key.
    let retried = Claim::of("cups", "ada").under("first-tab").win(&server).await;
    // A second tab, or a browser whose storage was cleared, has another or none.
    for claim in [Claim::of("cups", "ada").under("second-tab"), Claim::of("cups", "ada")] {
        let answer = claim.send(&server).await.unwrap();
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(answer.body["type"], "/problems/limit-reached");
        assert_eq!(answer.body["held"][0]["ticket"]["id"], retried.id);
        assert_eq!(answer.body["held"][0]["token"], retried.token);
    }
    assert_eq!(server.audit("cups", &[retried]).await.tickets.len(), 1);
}
