//! Falling from one way to the next.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use client::{News, Way, Ways};

use crate::raw::{Say, Server, text};
use crate::{CONFIRMED, PENDING, answer, client, held};

/// What is asked for, by the head of a request.
fn way(head: &str) -> Way {
    if head.starts_with("GET /v1/ws ") {
        Way::Socket
    } else if head.contains("/events ") {
        Way::Events
    } else if head.contains("prefer: wait=") {
        Way::LongPoll
    } else {
        Way::Poll
    }
}

/// The final ticket, from a server on which only these ways work.
async fn told(working: &'static [Way], broken: Say) -> (News, Vec<Way>) {
    let server = Server::answering(move |head| match way(head) {
        way if !working.contains(&way) => broken.clone(),
        Way::Socket => {
            let ticket = text(&format!(r#"{{"type":"ticket","ticket":{CONFIRMED}}}"#));
            Say::Upgraded("dibs.v1", ticket)
        }
        Way::Events => {
            let body = format!("data: {CONFIRMED}\n\n");
            Say::Bytes(answer("200 OK", "Content-Type: text/event-stream\r\n", &body))
        }
        Way::LongPoll | Way::Poll => Say::Bytes(answer("200 OK", "", CONFIRMED)),
    })
    .await;
    let mut watch = client(server.port).watch(&held(), &Ways::default());
    let news = watch.next().await.unwrap().unwrap();
    assert!(watch.next().await.is_none());
    (news, server.heads().iter().map(|head| way(head)).collect())
}

#[tokio::test]
async fn the_best_way_that_works_is_taken() {
    let broken = Say::Bytes(answer("502 Bad Gateway", "", ""));
    let (news, asked) = told(&Way::ALL, broken.clone()).await;
    assert_eq!((news.way, asked), (Way::Socket, vec![Way::Socket]));

    let (news, asked) = told(&[Way::Events, Way::LongPoll, Way::Poll], broken.clone()).await;
    assert_eq!((news.way, asked), (Way::Events, vec![Way::Socket, Way::Socket, Way::Events]));

    let (news, asked) = told(&[Way::LongPoll, Way::Poll], broken).await;
    let twice = |way| [way, way];
    let expected = [&twice(Way::Socket)[..], &twice(Way::Events), &[Way::LongPoll]].concat();
    assert_eq!((news.way, asked), (Way::LongPoll, expected));
    assert_eq!(&*news.seen.bytes, CONFIRMED);
}

#[tokio::test]
async fn where_nothing_else_works_a_plain_poll_does() {
    let broken = Say::Bytes(answer("400 Bad Request", "", ""));
    let (news, asked) = told(&[Way::Poll], Say::Bytes(Vec::new())).await;
    assert_eq!((news.way, asked.last()), (Way::Poll, Some(&Way::Poll)));
    let (news, asked) = told(&[Way::LongPoll], broken).await;
    // What is refused for good is not tried a second time; a WebSocket's refusal may be a proxy's.
    assert_eq!(asked, [Way::Socket, Way::Socket, Way::Events, Way::LongPoll]);
    assert_eq!(news.way, Way::LongPoll);
}

#[tokio::test]
async fn a_server_that_does_not_hold_requests_is_polled() {
    let asked = AtomicUsize::new(0);
    let server = Server::answering(move |head| {
        let soon = "Dibs-Poll-After-Ms: 1\r\n";
        match way(head) {
            Way::LongPoll => Say::Bytes(answer("304 Not Modified", soon, "")),
            Way::Socket | Way::Events | Way::Poll => match asked.fetch_add(1, Relaxed) {
                0 => Say::Bytes(answer("304 Not Modified", soon, "")),
                _ => Say::Bytes(answer("200 OK", soon, CONFIRMED)),
            },
        }
    })
    .await;
    let ways = Ways::of(&[Way::LongPoll, Way::Poll]);
    let mut watch = client(server.port).watch(&held(), &ways);
    assert_eq!(watch.next().await.unwrap().unwrap().way, Way::Poll);
    let asked: Vec<_> = server.heads().iter().map(|head| way(head)).collect();
    assert_eq!(asked, [Way::LongPoll, Way::LongPoll, Way::Poll, Way::Poll]);
}

#[tokio::test]
async fn a_version_that_is_known_is_told_to_those_only_who_ask_for_everything() {
    let tickets =
        [PENDING, PENDING, CONFIRMED].map(|it| format!(r#"{{"type":"ticket","ticket":{it}}}"#));
    let frames: Vec<u8> = tickets.iter().flat_map(|ticket| text(ticket)).collect();
    for (ways, versions) in
        [(Ways::only(Way::Socket), vec![2]), (Ways::only(Way::Socket).everything(), vec![1, 1, 2])]
    {
        let server = Server::saying(Say::Upgraded("dibs.v1", frames.clone())).await;
        let mut watch = client(server.port).watch(&held(), &ways);
        let mut told = Vec::new();
        while let Some(news) = watch.next().await {
            told.push(news.unwrap().seen.ticket.version);
        }
        assert_eq!(told, versions);
    }
}

#[tokio::test]
async fn a_watch_can_be_left_and_asked_again_at_any_moment() {
    let server = Server::saying(Say::Upgraded(
        "dibs.v1",
        text(&format!(r#"{{"type":"ticket","ticket":{CONFIRMED}}}"#)),
    ))
    .await;
    let mut watch = client(server.port).watch(&held(), &Ways::default());
    let news = loop {
        tokio::select! {
            biased;
            news = watch.next() => break news.unwrap().unwrap(),
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(news.seen.ticket.version, 2);
    assert_eq!(server.heads().len(), 1, "it went on where it was");
}
