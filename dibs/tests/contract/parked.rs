//! Orders that cannot be processed, and every way in which a ticket is rejected.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::{is_time, problem};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::ledger::{Lock, heal, on_ledger, poison};
use crate::sse::event_of;
use crate::ws::{Socket, frame_of};

async fn parked(server: &Server) -> Value {
    server.admin(Method::GET, "parked", None).await.1
}

/// Waits until the order of this ticket is set aside.
async fn set_aside(server: &Server, owed: &Owed) -> Value {
    eventually("the order is set aside", async || {
        let rows = parked(server).await;
        rows["parked"].as_array()?.iter().find(|row| row["ticket"] == owed.id).cloned()
    })
    .await
}

async fn release(server: &Server, owed: &Owed, how: &str) {
    let path = format!("parked/{}/{how}", owed.id);
    assert_eq!(server.admin(Method::POST, &path, None).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn nothing_is_parked_and_what_is_not_parked_cannot_be_released() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    assert_eq!(parked(&server).await, json!({ "parked": [], "next": null }));
    for ticket in [&*owed.id, "AAAAAAAAAAAAAAAAAAAAAA", "x"] {
        for how in ["resend", "reject"] {
            let call = server.operator(Method::POST, &format!("parked/{ticket}/{how}"));
            problem(call.send().await.unwrap(), 404, "not-found").await;
        }
    }
}

#[tokio::test]
async fn an_order_that_fails_delays_nobody_and_is_resent_by_an_operator() {
    let server = Server::start(&[("retry_every", "20ms")]).await;
    server.open_sale("cups", 5, 1).await;
    poison(&server, "eve").await;
    let lock = Lock::ledger(&server).await;
    let bad = Claim::of("cups", "eve").win(&server).await;
    let good = join_all(["ada", "bob"].map(|buyer| {
        let server = &server;
        async move { Claim::of("cups", buyer).win(server).await }
    }))
    .await;
    lock.release().await;
    for owed in &good {
        assert_eq!(server.result(owed).await["status"], "confirmed");
    }
    let row = set_aside(&server, &bad).await;
    let keys = [
        "attempts",
        "buyer",
        "error",
        "granted_at",
        "reject",
        "retry_at",
        "sale",
        "ticket",
        "units",
    ];
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!((&row["sale"], &row["buyer"]), (&json!("cups"), &json!("eve")));
    assert_eq!((&row["units"], &row["reject"]), (&json!(1), &json!(false)));
    assert!(row["attempts"].as_u64().unwrap() >= 1 && is_time(&row["granted_at"]), "{row}");
    assert!(row["error"].as_str().unwrap().contains("on purpose"), "{row}");
    // Its buyer still waits, and the merchant sees him wait.
    let pending = server.ticket_text(&bad).await;
    assert!(pending.contains(r#""status":"pending""#), "{pending}");
    let (_, listed) = server.admin(Method::GET, "sales/cups/tickets?status=pending", None).await;
    let shown: Value = serde_json::from_str(&pending).unwrap();
    assert_eq!(listed["tickets"], json!([{ "ticket": shown, "buyer": "eve" }]));

    heal(&server).await;
    release(&server, &bad, "resend").await;
    assert_eq!(server.result(&bad).await["status"], "confirmed");
    let owed: Vec<_> = good.into_iter().chain([bad]).collect();
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 3);
}

#[tokio::test]
async fn an_operator_rejects_an_order_its_units_return_and_its_buyer_may_try_again() {
    let server = Server::start(&[("retry_every", "20ms")]).await;
    server.open_sale("cups", 1, 1).await;
    poison(&server, "eve").await;
    let first = Claim::of("cups", "eve").under("1").win(&server).await;
    set_aside(&server, &first).await;
    let mut stream = server.stream(&first).await;
    let mut socket = Socket::watching(&server, &first.token).await;
    assert!(stream.event().await.unwrap().starts_with("id: 1\n"));
    assert!(socket.told().await.contains(r#""status":"pending""#));
    problem(server.claim_one("cups", "bob").await, 409, "sold-out").await;

    release(&server, &first, "reject").await;
    let rejected = server.result(&first).await;
    assert_eq!(
        (&rejected["status"], &rejected["reason"]),
        (&json!("rejected"), &json!("unprocessable"))
    );
    assert_eq!((&rejected["version"], &rejected["final"]), (&json!(2), &json!(true)));
    let text = server.ticket_text(&first).await;
    assert_eq!(stream.event().await.unwrap(), event_of(2, &text));
    assert_eq!(stream.event().await, None, "a rejection is final");
    assert_eq!(socket.told().await, frame_of(&text));
    let (_, listed) = server.admin(Method::GET, "sales/cups/tickets?status=rejected", None).await;
    assert_eq!(listed["tickets"][0]["ticket"], rejected);

    heal(&server).await;
    let again = Claim::of("cups", "eve").under("1").send(&server).await.unwrap();
    assert_eq!((again.status, &again.body["ticket"]), (StatusCode::OK, &rejected));
    let second = Claim::of("cups", "eve").under("2").win(&server).await;
    assert_ne!(second.id, first.id);
    let audit = server.audit("cups", &[first, second]).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (1, 1));
    assert_eq!(server.sale("cups").await["rejected"], 1);
}

#[tokio::test]
async fn an_order_without_a_verdict_in_time_is_rejected_by_the_deadline() {
    let server = Server::start(&[("retry_every", "20ms"), ("answer_within", "1s")]).await;
    server.open_sale("cups", 5, 1).await;
    poison(&server, "eve").await;
    let owed = Claim::of("cups", "eve").win(&server).await;
    let rejected = server.result(&owed).await;
    assert_eq!(
        (&rejected["status"], &rejected["reason"]),
        (&json!("rejected"), &json!("deadline"))
    );
    let audit = server.audit("cups", &[owed]).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (0, 1));
}

#[tokio::test]
async fn of_a_batch_that_exceeds_what_the_ledger_has_the_first_are_confirmed_and_the_rest_rejected()
{
    let server = Server::start(&[]).await;
    server.open_sale("cups", 100, 1).await;
    on_ledger(&server, "UPDATE rounds SET stock = 30, available = 30").await;
    let lock = Lock::ledger(&server).await;
    let claims = (0..100).map(|n| {
        let server = &server;
        async move { Claim::of("cups", &format!("buyer-{n}")).win(server).await }
    });
    let owed = join_all(claims).await;
    lock.release().await;
    let mut confirmed = 0;
    for owed in &owed {
        let result = server.result(owed).await;
        match result["status"].as_str().unwrap() {
            "confirmed" => confirmed += 1,
            _ => assert_eq!(result["reason"], "sold_out", "{result}"),
        }
    }
    assert_eq!(confirmed, 30);
    let sale = server.sale("cups").await;
    assert_eq!((&sale["sold"], &sale["rejected"]), (&json!(30), &json!(70)));
}

#[tokio::test]
async fn the_ledger_alone_keeps_a_buyer_to_the_limit() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let bobs = Claim::of("cups", "bob").win(&server).await;
    server.result(&bobs).await;
    // The ledger knows of a unit of Ada's that the gate has never heard of.
    let mut id = URL_SAFE_NO_PAD.decode(&bobs.id).unwrap();
    id[15] ^= 1;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let held = format!(
        "INSERT INTO orders SELECT x'{hex}', 'ada', units, status, reason, version, granted_at, \
         decided_at FROM orders; \
         INSERT INTO holdings SELECT round, 'ada', n, x'{hex}' FROM holdings; \
         UPDATE rounds SET available = available - 1"
    );
    on_ledger(&server, &held).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let result = server.result(&owed).await;
    assert_eq!((&result["status"], &result["reason"]), (&json!("rejected"), &json!("limit")));
}
