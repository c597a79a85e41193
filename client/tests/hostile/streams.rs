//! Streams of events.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use client::{Error, Way, Ways};

use crate::raw::{Say, Server, text};
use crate::{CONFIRMED, answer, client, held, impatient};

/// What a watch says that has this one way, whose servers answer with a fault first and properly
/// after that.
async fn heals(way: Way, fault: Say, cure: Say) -> String {
    let asked = AtomicUsize::new(0);
    let server = Server::answering(move |_| match asked.fetch_add(1, Relaxed) {
        0 => fault.clone(),
        _ => cure.clone(),
    })
    .await;
    let mut watch = impatient(server.port).watch(&held(), &Ways::only(way));
    let news = watch.next().await.unwrap().unwrap();
    assert_eq!(news.way, way);
    assert!(watch.next().await.is_none());
    assert!(server.heads().len() >= 2, "the fault was met");
    news.seen.bytes.to_string()
}

fn events(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{body}").into_bytes()
}

fn good_events() -> Say {
    Say::Bytes(events(&format!("id: 2\nevent: ticket\ndata: {CONFIRMED}\n\n")))
}

#[tokio::test]
async fn faulty_events_are_asked_for_again() {
    for fault in [
        Say::Bytes(Vec::new()),
        Say::Bytes(answer("200 OK", "Content-Type: application/json\r\n", CONFIRMED)),
        Say::Bytes(answer("502 Bad Gateway", "", "<html>")),
        Say::Bytes(events("event: ticket\ndata: {}\n\n")),
        Say::Bytes(events("event: ticket\ndata: \u{1f}")),
        Say::Silence(events("")),
        Say::Endless(events("data: "), b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        Say::Endless(events(""), b"data: x\n"),
    ] {
        assert_eq!(heals(Way::Events, fault, good_events()).await, CONFIRMED);
    }
}

#[tokio::test]
async fn faulty_sockets_are_made_again() {
    let good =
        Say::Upgraded("dibs.v1", text(&format!(r#"{{"type":"ticket","ticket":{CONFIRMED}}}"#)));
    for fault in [
        Say::Upgraded("dibs.v1", text("garbage")),
        Say::Upgraded("dibs.v1", Vec::new()),
        Say::Upgraded("dibs.v1", text(r#"{"type":"drain","reconnect_after_ms":1}"#)),
        Say::Upgraded("chat", Vec::new()),
        Say::Bytes(answer("503 Unavailable", "Retry-After: 0\r\n", "")),
    ] {
        assert_eq!(heals(Way::Socket, fault, good.clone()).await, CONFIRMED);
    }
}

#[tokio::test]
async fn faulty_polls_are_sent_again() {
    let good = Say::Bytes(answer("200 OK", "Connection: close\r\n", CONFIRMED));
    for way in [Way::LongPoll, Way::Poll] {
        for fault in [Say::Bytes(Vec::new()), Say::Bytes(answer("200 OK", "", "garbage"))] {
            assert_eq!(heals(way, fault, good.clone()).await, CONFIRMED);
        }
    }
}

#[tokio::test]
async fn a_token_that_opens_nothing_ends_the_watch() {
    let fault = r#"{"type":"error","code":"not-found","detail":"no","index":0}"#;
    for (way, say) in [
        (Way::Socket, Say::Upgraded("dibs.v1", text(fault))),
        (Way::Events, Say::Bytes(answer("404 Not Found", "", ""))),
        (Way::LongPoll, Say::Bytes(answer("404 Not Found", "", ""))),
        (Way::Poll, Say::Bytes(answer("404 Not Found", "", ""))),
    ] {
        let server = Server::saying(say).await;
        let mut watch = client(server.port).watch(&held(), &Ways::only(way));
        let told = watch.next().await.unwrap();
        assert!(matches!(told, Err(Error::NotFound(_))), "{way:?}: {told:?}");
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test]
async fn a_socket_that_is_closed_for_good_ends_a_watch_that_has_no_other_way() {
    let close = crate::raw::frame(8, &1008u16.to_be_bytes());
    let server = Server::saying(Say::Upgraded("dibs.v1", close)).await;
    let mut watch = client(server.port).watch(&held(), &Ways::only(Way::Socket));
    let told = watch.next().await.unwrap();
    assert!(matches!(&told, Err(Error::Protocol(why)) if why.contains("1008")), "{told:?}");
    assert!(watch.next().await.is_none());
}
