//! What the door does about those behind it.

use std::net::SocketAddr;

use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::door::{Door, nobody};

/// Takes connections one by one and tells the first bytes of each, then answers by `answer` and
/// closes.
async fn listener(answer: &'static str) -> (SocketAddr, UnboundedReceiver<String>) {
    let address = nobody();
    (address, listener_at(address, answer).await)
}

/// The same at an address.
async fn listener_at(address: SocketAddr, answer: &'static str) -> UnboundedReceiver<String> {
    let listener = TcpListener::bind(address).await.unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let read = peer.read(&mut bytes).await.unwrap_or(0);
            let _ = peer.write_all(answer.as_bytes()).await;
            if tell.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).is_err() {
                return;
            }
        }
    });
    told
}

const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

#[tokio::test]
#[ignore = "needs nginx: ./test brings it"]
async fn a_claim_that_may_have_arrived_is_not_sent_again() {
    let (first, mut to_first) = listener("").await;
    let (second, mut to_second) = listener("").await;
    let door = Door::before(&[first, second], &[nobody()]).await;
    let claim = Client::new().post(format!("{}/v1/sales/cups/tickets", door.base));
    let answer = claim.body("{}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let mut sent = Vec::new();
    while let Ok(request) = to_first.try_recv().or_else(|_| to_second.try_recv()) {
        sent.push(request);
    }
    assert_eq!(sent.len(), 1, "{sent:?}");
}

#[tokio::test]
#[ignore = "needs nginx: ./test brings it"]
async fn a_container_that_is_gone_is_passed_over() {
    let (there, _told) = listener(DONE).await;
    let door = Door::before(&[nobody(), there], &[nobody(), there]).await;
    for path in ["/v1/sales/cups/tickets", "/v1/tickets/x"] {
        for _ in 0..4 {
            let claim = Client::new().post(format!("{}{path}", door.base)).body("{}");
            assert_eq!(claim.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        }
    }
}

#[tokio::test]
#[ignore = "needs nginx: ./test brings it"]
async fn of_those_that_were_all_away_one_that_is_back_is_asked_at_once() {
    let (first, second) = (nobody(), nobody());
    let door = Door::before(&[first, second], &[first, second]).await;
    for path in ["/v1/sales/cups/tickets", "/v1/tickets/x"] {
        let claim = || Client::new().post(format!("{}{path}", door.base)).body("{}").send();
        for _ in 0..4 {
            assert_eq!(claim().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    let _told = listener_at(second, DONE).await;
    for path in ["/v1/sales/cups/tickets", "/v1/tickets/x"] {
        let claim = Client::new().post(format!("{}{path}", door.base)).body("{}");
        assert_eq!(claim.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
#[ignore = "needs nginx: ./test brings it"]
async fn where_nobody_is_left_the_door_says_when_to_come_back() {
    let door = Door::before(&[nobody()], &[nobody()]).await;
    for path in ["/", "/v1/sales", "/v1/tickets/x"] {
        let answer = Client::new().get(format!("{}{path}", door.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/unavailable");
        assert_eq!(problem["status"], json!(503));
    }
}

#[tokio::test]
#[ignore = "needs nginx: ./test brings it"]
async fn each_path_goes_to_its_role_with_the_name_that_the_client_knows() {
    let (api, mut to_api) = listener(DONE).await;
    let (push, mut to_push) = listener(DONE).await;
    let door = Door::before(&[api], &[push]).await;
    let host = door.base.strip_prefix("http://").unwrap();
    let for_push = ["/v1/tickets", "/v1/tickets/x", "/v1/tickets/x/events?a=b", "/v1/ws"];
    let for_api =
        ["/", "/sales/demo", "/client.js", "/v1/sales/x/tickets", "/v1/ticketsx", "/v1/wsx", "/v1"];
    for (paths, told) in [(&for_push[..], &mut to_push), (&for_api[..], &mut to_api)] {
        for path in paths {
            let request = Client::new().get(format!("{}{path}", door.base));
            request.header("X-Forwarded-For", "192.0.2.7").send().await.unwrap();
            let request = told.try_recv().unwrap();
            assert!(request.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{request}");
            for line in [
                &format!("Host: {host}"),
                "X-Forwarded-For: 192.0.2.7, 127.0.0.1",
                "X-Forwarded-Proto: http",
            ] {
                assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
            }
        }
    }
    assert!(to_api.try_recv().is_err() && to_push.try_recv().is_err());
}
