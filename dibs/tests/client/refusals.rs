//! Refusals, each of a kind of its own.

use client::{Answer, Ask, Error, Refusal, Units, Why};
use serde_json::json;

use crate::buyer::{claim, client, win};
use crate::harness::Server;
use crate::harness::claimer::jwt;

async fn refused(server: &Server, claim: &client::Claim) -> Refusal {
    match client(&server.base).claim(claim).await.unwrap() {
        Answer::Refused(refusal) => refusal,
        Answer::Ticket(held) => panic!("it was granted: {held:?}"),
    }
}

#[tokio::test]
async fn a_sale_that_is_not_open_tells_when_it_opens_and_one_that_is_closed_that_it_is() {
    let server = Server::start(&[]).await;
    server.create("later", json!({ "opens_at": "2099-01-01T00:00:00Z" })).await;
    server.create("over", json!({ "closes_at": "2021-01-01T00:00:00Z" })).await;
    let early = refused(&server, &claim("later", "ada", "1")).await;
    let opens_at = client::Timestamp::parse("2099-01-01T00:00:00Z").ok();
    assert_eq!((early.why, early.status), (Why::NotOpen { opens_at }, 409));
    assert_eq!(early.problem, "/problems/not-open");
    let late = refused(&server, &claim("over", "ada", "1")).await;
    assert_eq!((late.why, late.problem.as_str()), (Why::Closed, "/problems/closed"));
}

#[tokio::test]
async fn want_of_stock_is_told_with_what_is_left() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 3, 3).await;
    let mut two = claim("cups", "ada", "1");
    two.units = Units::new(2).unwrap();
    assert!(matches!(client(&server.base).claim(&two).await.unwrap(), Answer::Ticket(_)));
    let mut more = claim("cups", "bob", "1");
    more.units = Units::new(2).unwrap();
    assert_eq!(refused(&server, &more).await.why, Why::TooFewLeft { left: Some(1) });
    win(&client(&server.base), "cups", "bob").await;
    let last = refused(&server, &claim("cups", "eve", "1")).await;
    assert_eq!((last.why, last.problem.as_str()), (Why::SoldOut, "/problems/sold-out"));
}

#[tokio::test]
async fn at_his_limit_a_buyer_is_given_the_tickets_that_he_holds() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 2).await;
    let client = client(&server.base);
    let mut ids = Vec::new();
    for request in ["1", "2"] {
        let answer = client.claim(&claim("cups", "ada", request)).await.unwrap();
        let Answer::Ticket(held) = answer else { panic!("{answer:?}") };
        ids.push(held.id());
    }
    let refusal = refused(&server, &claim("cups", "ada", "3")).await;
    assert_eq!(refusal.why, Why::LimitReached);
    let mut held: Vec<_> = refusal.held.iter().map(client::Held::id).collect();
    held.sort();
    ids.sort();
    assert_eq!(held, ids);
    for held in &refusal.held {
        let read = client.read(held.id(), &held.token, Ask::default()).await.unwrap();
        assert_eq!(read.seen.unwrap().ticket.id, held.id(), "its token opens it");
    }
}

#[tokio::test]
async fn the_same_request_with_other_units_and_units_above_the_limit_are_refused() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 4).await;
    win(&client(&server.base), "cups", "ada").await;
    let mut other = claim("cups", "ada", "1");
    other.units = Units::new(3).unwrap();
    assert_eq!(refused(&server, &other).await.why, Why::UnitsDiffer);
    other.units = Units::new(5).unwrap();
    let refusal = refused(&server, &other).await;
    let expected = (Why::Other, 400, "/problems/invalid-request");
    assert_eq!((refusal.why, refusal.status, refusal.problem.as_str()), expected);
}

#[tokio::test]
async fn who_is_nobody_and_what_is_nowhere_are_errors() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 1).await;
    let client = client(&server.base);
    let mut forged = claim("cups", "ada", "1");
    forged.jwt = format!("{}x", jwt("ada"));
    let error = client.claim(&forged).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
    let error = client.claim(&claim("nothing", "ada", "1")).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert!(!error.is_worth_another_try());
}
