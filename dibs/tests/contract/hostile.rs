//! Clients that mean harm: bounded, closed, and nobody else's loss.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;

use crate::harness::claimer::Claim;
use crate::harness::{Server, eventually};
use crate::raw::{Raw, host};

#[tokio::test]
async fn a_header_block_above_16_kibibytes_is_refused_and_one_below_it_is_read() {
    let server = Server::start(&[]).await;
    let asked = async |bytes: usize| {
        let mut raw = Raw::connect(&server).await;
        let head = format!("GET /v1/now HTTP/1.1\r\nhost: {}\r\nx-padding: ", host(&server));
        let end = "\r\nconnection: close\r\n\r\n";
        let padding = "x".repeat(bytes - head.len() - end.len());
        // The server may refuse it before all of it is sent.
        let _ = raw.0.write_all(format!("{head}{padding}{end}").as_bytes()).await;
        raw.rest().await
    };
    let answer = asked(15 * 1024).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for bytes in [17 * 1024, 40 * 1024] {
        let answer = asked(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn silent_and_dripping_connections_are_closed_while_an_honest_claim_is_granted() {
    let server = Server::start(&[("header_within", "1s")]).await;
    server.open_sale("cups", 5, 1).await;
    let silent = async || {
        let mut raw = Raw::connect(&server).await;
        raw.rest().await
    };
    let dripping = async |path: &str| {
        let mut raw = Raw::connect(&server).await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nx-drip: ", host(&server));
        raw.send(head).await;
        loop {
            // The pace of the attack.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if raw.0.write_all(b"x").await.is_err() {
                return raw.rest().await;
            }
        }
    };
    let honest = async {
        let mut owed = Vec::new();
        for buyer in ["ada", "bob", "eve"] {
            owed.push(Claim::of("cups", buyer).win(&server).await);
        }
        owed
    };
    let (silent, dripping, owed) = tokio::join!(
        join_all((0..200).map(|_| silent())),
        join_all((0..200).map(|n| dripping(["/v1/sales/cups", "/v1/tickets/x"][n % 2]))),
        honest,
    );
    for answer in silent.iter().chain(&dripping) {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 3);
}

#[tokio::test]
async fn beyond_its_connections_the_server_says_so_and_serves_those_it_has() {
    let server = Server::start(&[("connections", "4")]).await;
    server.open_sale("cups", 5, 1).await;
    let claim = Claim::of("cups", "ada").win(&server).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Raw::socket(&server).await);
    }
    // The fourth is the one that the claim came by.
    let refused = Raw::connect(&server).await.rest().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains(r#""type":"/problems/busy""#), "{refused}");
    assert_eq!(server.ticket(&claim).send().await.unwrap().status(), 200);
    drop(sockets);
    eventually("there is room again", async || {
        let mut raw = Raw::connect(&server).await;
        let request =
            format!("GET /v1/now HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", host(&server));
        raw.0.write_all(request.as_bytes()).await.ok()?;
        raw.rest().await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}
