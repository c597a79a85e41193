//! The books, as they are read from the admin API.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use client::{Admin, Error, SaleId};
use crowd::books::{self, Books, Gate, Ledger};
use sale::status::Status;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::scene::{CLOSES_AT, OPENS_AT, SALE, at, id, ticket};

/// What the server answers for the rounds: at the first call, the second, and so on; the last one
/// from then on.
type Answers = Vec<Result<Value, StatusCode>>;

#[derive(Clone)]
struct Told {
    rounds: Arc<Answers>,
    calls: Arc<AtomicUsize>,
    parked: Value,
}

async fn rounds(State(told): State<Told>) -> Response {
    let call = told.calls.fetch_add(1, Ordering::Relaxed).min(told.rounds.len() - 1);
    match &told.rounds[call] {
        Ok(round) => Json(json!({ "rounds": [round] })).into_response(),
        Err(status) => {
            let problem = json!({ "type": "/problems/unavailable", "title": "x", "detail": "x" });
            (*status, Json(problem)).into_response()
        }
    }
}

async fn report() -> Json<Value> {
    Json(json!({
        "id": SALE, "name": "Shoes", "round": "7", "stock": 10, "limit": 2,
        "opens_at": at(OPENS_AT), "closes_at": at(CLOSES_AT), "closed": false, "state": "open",
        "available": 9, "held": 0, "sold": 1, "rejected": 0,
    }))
}

async fn tickets() -> Response {
    let raw = RawValue::from_string(ticket(1, Status::Confirmed, 2)).unwrap();
    let entry = [("ticket", raw), ("buyer", RawValue::from_string("\"anna\"".into()).unwrap())];
    let entry: std::collections::BTreeMap<_, _> = entry.into();
    let next = RawValue::NULL.to_owned();
    let list = std::collections::BTreeMap::from([
        ("tickets", serde_json::value::to_raw_value(&[entry]).unwrap()),
        ("next", next),
    ]);
    Json(list).into_response()
}

/// A server that answers so, and its admin.
#[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
async fn server(rounds_told: Answers, parked: Value) -> (Admin, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let told = Told { rounds: Arc::new(rounds_told), calls: calls.clone(), parked };
    let router = Router::new()
        .route("/v1/admin/rounds", get(rounds))
        .route("/v1/admin/sales/{sale}", get(report))
        .route("/v1/admin/sales/{sale}/tickets", get(tickets))
        .route("/v1/admin/parked", get(async |State(told): State<Told>| Json(told.parked)))
        .with_state(told);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Admin::new(address.parse().unwrap(), "key").unwrap(), calls)
}

fn round(held: u64, undecided: u64, sequence: u64) -> Value {
    json!({
        "sale": SALE, "round": "7", "incarnation": 1, "state": "live",
        "ledger": { "stock": 10, "available": 9, "sold": 1, "rejected": 0 },
        "gate": {
            "available": 9 - held, "held": held, "sold": 1, "undecided": undecided,
            "sequence": sequence,
        },
        "set_aside": 0, "agree": null,
    })
}

fn nothing_parked() -> Value {
    json!({ "parked": [], "next": null })
}

async fn read(admin: &Admin, patience: Duration) -> Result<Books, Error> {
    books::read(admin, &[SaleId::new(SALE).unwrap()], patience).await
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn books_are_read_when_nothing_is_held_and_nothing_undecided() {
    let answers = vec![Ok(round(1, 1, 4)), Ok(round(1, 0, 5)), Ok(round(0, 0, 6))];
    let (admin, calls) = server(answers, nothing_parked()).await;
    let books = read(&admin, LONG).await.unwrap();
    let sale = &books.sales[0];
    assert_eq!(sale.gate, Some(Gate { available: 9, held: 0, sold: 1, undecided: 0 }));
    assert_eq!(sale.ledger, Ledger { stock: 10, available: 9, sold: 1, rejected: 0 });
    assert_eq!((sale.opens_at, sale.closes_at, sale.limit), (at(OPENS_AT), at(CLOSES_AT), 2));
    assert_eq!(sale.tickets.len(), 1);
    assert_eq!(sale.tickets[0].ticket, ticket(1, Status::Confirmed, 2), "the bytes as they came");
    assert_eq!(calls.load(Ordering::Relaxed), 4, "two that are not quiet, one before, one after");
}

#[tokio::test]
async fn books_that_moved_while_the_tickets_were_read_are_read_again() {
    let mut moved = round(0, 0, 6);
    moved["ledger"]["rejected"] = json!(1);
    let (admin, calls) = server(vec![Ok(round(0, 0, 5)), Ok(moved)], nothing_parked()).await;
    let books = read(&admin, LONG).await.unwrap();
    assert_eq!(books.sales[0].ledger.rejected, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn what_is_not_quiet_in_time_is_told_as_it_is() {
    let parked = json!({
        "ticket": id(2), "sale": SALE, "buyer": "bert", "units": 1,
        "granted_at": at(OPENS_AT + 1_000), "attempts": 4, "retry_at": null, "error": "x",
        "reject": false,
    });
    let parked = json!({ "parked": [parked], "next": null });
    let (admin, _) = server(vec![Ok(round(1, 3, 5))], parked).await;
    let books = read(&admin, Duration::ZERO).await.unwrap();
    let sale = &books.sales[0];
    assert!(!sale.is_settled());
    assert_eq!(sale.gate.unwrap().undecided, 3);
    assert_eq!((sale.tickets.len(), sale.tickets[1].buyer.as_str()), (2, "bert"));
    assert_eq!(sale.tickets[1].ticket, ticket(2, Status::Pending, 1), "as its buyer is shown it");
}

#[tokio::test]
async fn a_round_that_is_listed_no_more_is_retired() {
    let mut other = round(0, 0, 5);
    other["round"] = json!("8");
    let (admin, _) = server(vec![Ok(other)], nothing_parked()).await;
    let sale = read(&admin, LONG).await.unwrap().sales.remove(0);
    assert_eq!((sale.state, sale.gate, sale.incarnation), (books::State::Retired, None, None));
    assert_eq!(sale.ledger, Ledger { stock: 10, available: 9, sold: 1, rejected: 0 });
}

#[tokio::test]
async fn an_outage_is_waited_out_and_a_wrong_key_is_not() {
    let away = StatusCode::SERVICE_UNAVAILABLE;
    let (admin, _) = server(vec![Err(away), Ok(round(0, 0, 5))], nothing_parked()).await;
    assert!(read(&admin, LONG).await.is_ok());

    let (admin, calls) = server(vec![Err(StatusCode::UNAUTHORIZED)], nothing_parked()).await;
    let error = read(&admin, LONG).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);

    let (admin, _) = server(vec![Err(away)], nothing_parked()).await;
    assert!(read(&admin, Duration::ZERO).await.is_err());
}
