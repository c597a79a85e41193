//! `GET /v1/admin/sales/{sale}/tickets`: who won.

use std::collections::HashSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::problem;
use crate::harness::Server;
use crate::harness::claimer::Claim;

async fn page(server: &Server, query: &str) -> Value {
    let path = format!("sales/cups/tickets{query}");
    let answer = server.operator(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn tickets_are_listed_with_their_buyers_page_by_page_each_once() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 10, 1).await;
    server.open_sale("mugs", 10, 1).await;
    assert_eq!(page(&server, "").await, json!({ "tickets": [], "next": null }));
    let mut owed = Vec::new();
    for n in 0..5 {
        owed.push(Claim::of("cups", &format!("buyer-{n}")).win(&server).await);
        Claim::of("mugs", &format!("buyer-{n}")).win(&server).await;
    }
    server.audit("cups", &owed).await;

    let (mut seen, mut after, mut pages) = (HashSet::new(), String::new(), 0);
    loop {
        let page = page(&server, &format!("?limit=2{after}")).await;
        pages += 1;
        for row in page["tickets"].as_array().unwrap() {
            assert!(seen.insert(row["ticket"]["id"].as_str().unwrap().to_owned()), "{row}");
            let ticket = owed.iter().find(|owed| row["ticket"]["id"] == owed.id).unwrap();
            assert_eq!(row["buyer"], ticket.buyer);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (5, 3));
    assert_eq!(page(&server, "?limit=1000").await["next"], Value::Null);
    assert_eq!(page(&server, "?status=confirmed").await, page(&server, "").await);
    for none in ["?status=rejected", "?status=pending"] {
        assert_eq!(page(&server, none).await["tickets"], json!([]));
    }
}

#[tokio::test]
async fn what_a_list_cannot_be_asked_for_is_refused() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 10, 1).await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "status=won",
        "after=x",
        "colour=red",
        "limit=1&limit=2",
    ] {
        let path = format!("sales/cups/tickets?{query}");
        let answer = server.operator(Method::GET, &path).send().await.unwrap();
        problem(answer, 400, "invalid-request").await;
    }
    for path in ["parked?limit=0", "parked?after=x", "sales?limit=0", "sales?after=x"] {
        let answer = server.operator(Method::GET, path).send().await.unwrap();
        problem(answer, 400, "invalid-request").await;
    }
}
