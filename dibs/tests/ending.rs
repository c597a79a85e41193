//! Readiness and the end, with clients connected and engines in trouble.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::claimer::{Claim, jwt};
use harness::{Server, eventually};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

async fn readyz(server: &Server) -> (StatusCode, Value) {
    let answer = server.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// A WebSocket that watches a ticket and has been told its present state.
async fn watching(server: &Server, token: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let address = format!("{}/v1/ws", server.base.replace("http:", "ws:"));
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "dibs.v1".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let watch = format!(r#"{{"type":"watch","tokens":["{token}"]}}"#);
    socket.send(Message::text(watch)).await.unwrap();
    let told = socket.next().await.unwrap().unwrap();
    assert!(told.to_text().unwrap().contains(r#""type":"ticket""#), "{told}");
    socket
}

/// A claim whose body never comes, so that there is work in hand.
async fn unfinished_claim(server: &Server, sale: &str) -> TcpStream {
    let address = server.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/sales/{sale}/tickets HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        jwt("slow")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn without_the_ledger_claims_go_on_and_their_results_come_when_it_is_back() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let ledger = server.place().data().join("ledger.db");
    let mut blocker =
        SqliteConnection::connect(&format!("sqlite://{}", ledger.display())).await.unwrap();
    blocker.execute("BEGIN IMMEDIATE").await.unwrap();

    let owed = Claim::of("cups", "ada").win(&server).await;
    let report = eventually("the worker is called degraded", async || {
        let (status, report) = readyz(&server).await;
        assert_eq!(status, StatusCode::OK, "buyers are answered without the ledger: {report}");
        (report["roles"]["worker"]["state"] == "degraded").then_some(report)
    })
    .await;
    assert!(report["roles"]["worker"]["detail"].is_string(), "{report}");
    assert_ne!(report["roles"]["api"]["state"], "failed");
    let pending: Value = server.read(&owed).await.json().await.unwrap();
    assert_eq!((&pending["status"], &pending["version"]), (&"pending".into(), &1.into()));

    blocker.execute("ROLLBACK").await.unwrap();
    assert_eq!(server.result(&owed).await["status"], "confirmed");
    server.audit("cups", &[owed]).await;
    eventually("the worker is well again", async || {
        (readyz(&server).await.1["roles"]["worker"]["state"] == "ok").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_tells_watchers_when_to_come_back_and_ends_with_0_in_spite_of_a_slow_client() {
    let mut server = Server::start(&[("drain_within", "3s")]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    let mut socket = watching(&server, &owed.token).await;
    let slow = unfinished_claim(&server, "cups").await;

    server.signal(Signal::TERM);
    let farewell: Value = loop {
        let frame = socket.next().await.unwrap().unwrap();
        if let Message::Text(text) = frame {
            break serde_json::from_str(&text).unwrap();
        }
    };
    assert_eq!(farewell["type"], "drain", "{farewell}");
    let delay = farewell["reconnect_after_ms"].as_u64().unwrap();
    assert!((500..=10_000).contains(&delay), "{delay}");
    let closed = loop {
        let frame = socket.next().await.unwrap().unwrap();
        assert!(!frame.is_text(), "nothing follows a farewell: {frame}");
        if let Message::Close(close) = frame {
            break close.unwrap();
        }
    };
    assert_eq!(u16::from(closed.code), 1001);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    drop(slow);
}

#[tokio::test]
async fn from_the_first_moment_of_draining_it_is_not_ready_and_a_second_signal_ends_it() {
    let mut server = Server::start(&[("drain_within", "300s")]).await;
    server.open_sale("cups", 1, 1).await;
    let slow = unfinished_claim(&server, "cups").await;
    server.signal(Signal::TERM);
    let report = eventually("it is not ready", async || {
        let (status, report) = readyz(&server).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(report)
    })
    .await;
    assert_eq!(report["phase"], "draining");
    eventually("nobody new is let in", async || {
        let address = server.base.trim_start_matches("http://");
        TcpStream::connect(address).await.err()
    })
    .await;
    server.signal(Signal::INT);
    assert_eq!(server.ended().await.code(), Some(130));
    drop(slow);
}
