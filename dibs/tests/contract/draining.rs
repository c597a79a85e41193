//! SIGTERM: nobody is cut off, nobody new is let in, nothing is lost, and the end is 0.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::claimer::Claim;
use crate::harness::{Server, eventually};
use crate::ledger::Lock;
use crate::raw::host;
use crate::ws::{Socket, frame_of};

/// The farewell that a watcher is sent, and the code that it is closed with after it.
async fn farewell(mut socket: Socket) -> (Value, u16) {
    let drain = socket.told().await;
    assert!(drain.starts_with(r#"{"type":"drain","reconnect_after_ms":"#), "{drain}");
    let code = loop {
        match socket.message().await {
            Some(Message::Close(Some(close))) => break close.code.into(),
            Some(Message::Ping(_)) => {}
            other => panic!("nothing else follows a farewell: {other:?}"),
        }
    };
    (serde_json::from_str(&drain).unwrap(), code)
}

#[tokio::test]
async fn every_kind_of_client_is_told_to_come_back_and_finds_its_ticket_after_the_restart() {
    let mut server = Server::start(&[("drain_within", "4s"), ("reread_every", "20ms")]).await;
    server.open_sale("cups", 50, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let pending = server.ticket_text(&owed).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = Socket::watching(&server, &owed.token).await;
        assert_eq!(socket.told().await, frame_of(&pending));
        sockets.push(socket);
    }
    let mut stream = server.stream(&owed).await;
    stream.event().await.unwrap();
    let other = Claim::of("cups", "bob").win(&server).await;
    let poll = server.ticket(&other).header("if-none-match", "\"1\"").header("prefer", "wait=30");
    let held = async {
        let answer = poll.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "a held poll is answered at once");
    };
    let ending = async {
        eventually("the poll is held", async || {
            (server.gauge("dibs_push_watched").await == 2.0).then_some(())
        })
        .await;
        server.signal(Signal::TERM);
        eventually("it is not ready", async || {
            let answer = server.http.get(format!("{}/readyz", server.ops)).send().await.ok()?;
            let unready = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
            let report: Value = answer.json().await.unwrap();
            assert!(!unready || report["phase"] == "draining", "{report}");
            unready.then_some(())
        })
        .await;
        eventually("nobody new is let in", async || TcpStream::connect(host(&server)).await.err())
            .await;
    };
    let farewells = join_all(sockets.into_iter().map(farewell));
    let ((), (), farewells) = tokio::join!(held, ending, farewells);
    let delays: HashSet<_> = farewells
        .iter()
        .map(|(frame, code)| {
            assert_eq!(*code, 1001);
            let delay = frame["reconnect_after_ms"].as_u64().unwrap();
            assert!((500..=10_000).contains(&delay), "{delay}");
            delay
        })
        .collect();
    assert!(delays.len() > 10, "each has a delay of its own: {delays:?}");
    let last = stream.event().await.unwrap();
    assert!(last.starts_with("retry: "), "{last}");
    assert_eq!(stream.event().await, None);
    lock.release().await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());

    let place = server.place().clone();
    drop(server);
    let server = Server::start_in(place, &[]).await;
    assert_eq!(server.audit("cups", &[owed, other]).await.confirmed_units, 2);
}

#[tokio::test]
async fn what_was_granted_until_the_last_moment_is_there_after_it() {
    let mut server = Server::start(&[]).await;
    server.open_sale("cups", 10_000, 1).await;
    let crowd = join_all((0..16).map(|n| {
        let (http, base) = (server.http.clone(), server.base.clone());
        async move {
            let mut owed = Vec::new();
            for m in 0.. {
                let claim = Claim::of("cups", &format!("buyer-{n}-{m}"));
                // Each of them goes on until it is not let in any more.
                let Ok(answer) = claim.send_to(&http, &base).await else { break };
                assert!(
                    [StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE]
                        .contains(&answer.status),
                    "{answer:?}"
                );
                owed.extend(claim.owed(&answer));
            }
            owed
        }
    }));
    let signal = async {
        eventually("some have claimed", async || {
            (server.sale("cups").await["available"].as_i64()? < 9_900).then_some(())
        })
        .await;
        server.signal(Signal::TERM);
    };
    let (owed, ()) = tokio::join!(crowd, signal);
    let owed: Vec<_> = owed.into_iter().flatten().collect();
    assert!(owed.len() >= 100, "{}", owed.len());
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    let place = server.place().clone();
    drop(server);
    let server = Server::start_in(place, &[]).await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!(audit.rejected, 0);
}
