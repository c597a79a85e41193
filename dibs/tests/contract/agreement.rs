//! One ticket, seen from all sides: the same bytes at the same version, and no side misses the
//! result whenever it begins to look.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

use crate::harness::Server;
use crate::harness::claimer::{Claim, Owed};
use crate::ledger::Lock;
use crate::sse::event_of;
use crate::ws::{Socket, frame_of};

#[tokio::test]
async fn while_it_is_pending_and_when_it_is_final_all_four_paths_agree_to_the_byte() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;

    let pending = server.ticket_text(&owed).await;
    assert!(pending.contains(r#""status":"pending","reason":null,"version":1,"final":false"#));
    let mut stream = server.stream(&owed).await;
    let mut socket = Socket::watching(&server, &owed.token).await;
    assert_eq!(stream.event().await.unwrap(), event_of(1, &pending));
    assert_eq!(socket.told().await, frame_of(&pending));
    let unknown = server.ticket(&owed).header("prefer", "wait=30");
    assert_eq!(unknown.send().await.unwrap().text().await.unwrap(), pending);
    let retried = Claim::of("cups", "ada").send(&server).await.unwrap();
    assert_eq!(retried.body["ticket"], serde_json::from_str::<Value>(&pending).unwrap());

    let poll = server.ticket(&owed).header("if-none-match", "\"1\"").header("prefer", "wait=30");
    let (polled, ()) = tokio::join!(poll.send(), lock.release());
    let polled = polled.unwrap().text().await.unwrap();
    assert!(polled.contains(r#""status":"confirmed","reason":null,"version":2,"final":true"#));
    assert_eq!(stream.event().await.unwrap(), event_of(2, &polled));
    assert_eq!(socket.told().await, frame_of(&polled));
    assert_eq!(server.ticket_text(&owed).await, polled);
    let listed = server.operator(reqwest::Method::GET, "sales/cups/tickets").send().await.unwrap();
    let listed = listed.text().await.unwrap();
    assert_eq!(
        listed,
        format!(r#"{{"tickets":[{{"ticket":{polled},"buyer":"ada"}}],"next":null}}"#)
    );

    // What is final stays, also over a crash, when the gate is rebuilt.
    let server = server.crash_and_restart().await;
    assert_eq!(server.ticket_text(&owed).await, polled);
    server.audit("cups", &[owed]).await;
}

/// Looks by every path, begun `after` the claim was answered; each must come to the result.
async fn look(server: &Server, owed: &Owed, after: Duration) {
    tokio::time::sleep(after).await;
    let by_socket = async {
        let mut socket = Socket::watching(server, &owed.token).await;
        loop {
            let told: Value = serde_json::from_str(&socket.told().await).unwrap();
            if told["ticket"]["final"] == true {
                return told["ticket"].clone();
            }
        }
    };
    let by_stream = async {
        let mut stream = server.stream(owed).await;
        let mut last = None;
        while let Some(event) = stream.event().await {
            last = Some(event);
        }
        let (_, ticket) = last.as_ref().unwrap().split_once("data: ").unwrap();
        serde_json::from_str(ticket).unwrap()
    };
    let by_poll = async {
        let mut version = "\"0\"".to_owned();
        loop {
            let poll = server.ticket(owed).header("if-none-match", &version);
            let answer = poll.header("prefer", "wait=30").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "another version comes long before");
            version = answer.headers()["etag"].to_str().unwrap().to_owned();
            let ticket: Value = answer.json().await.unwrap();
            if ticket["final"] == true {
                return ticket;
            }
        }
    };
    let (socket, stream, poll): (Value, Value, Value) = tokio::join!(by_socket, by_stream, by_poll);
    assert_eq!(socket["status"], "confirmed", "{socket}");
    assert_eq!((&socket, &socket), (&stream, &poll));
}

#[tokio::test]
async fn whoever_begins_to_look_around_the_decision_misses_nothing() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 1000, 1).await;
    // Inputs, not waits: how long after his answer each buyer begins to look.
    let delays = [0, 0, 1, 2, 5, 10, 20, 50].map(Duration::from_millis);
    for wave in 0..6 {
        let buyers = (0..50).map(|n| {
            let (server, delay) = (&server, delays[n % delays.len()]);
            async move {
                let owed = Claim::of("cups", &format!("buyer-{wave}-{n}")).win(server).await;
                look(server, &owed, delay).await;
                owed
            }
        });
        join_all(buyers).await;
    }
    let audit = server.audit("cups", &[]).await;
    assert_eq!(audit.confirmed_units, 300);
}
