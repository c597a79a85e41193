//! `GET /v1/ws`, subprotocol `dibs.v1`: every row of the WebSocket's table.

use futures_util::future::join_all;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;

use crate::ask::text_of;
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::ledger::Lock;
use crate::ws::{Socket, frame_of, handshake, open, refused};

/// A server with so many confirmed tickets.
async fn with_tickets(settings: &[(&str, &str)], tickets: usize) -> (Server, Vec<Owed>) {
    let server = Server::start(settings).await;
    server.open_sale("cups", 1000, 1).await;
    let claims = (0..tickets).map(|n| {
        let server = &server;
        async move {
            let owed = Claim::of("cups", &format!("buyer-{n}")).win(server).await;
            server.result(&owed).await;
            owed
        }
    });
    let owed = join_all(claims).await;
    (server, owed)
}

#[tokio::test]
async fn the_handshake_speaks_dibs_v1_or_is_refused() {
    let server = Server::start(&[]).await;
    let (_, answer) = open(&server, handshake(&server, &[])).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "dibs.v1");
    let several = handshake(&server, &[("sec-websocket-protocol", "chat, dibs.v1")]);
    let (_, answer) = open(&server, several).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "dibs.v1");
    let mut none = handshake(&server, &[]);
    none.headers_mut().remove("sec-websocket-protocol");
    let (_, answer) = open(&server, none).await.unwrap();
    assert!(!answer.headers().contains_key("sec-websocket-protocol"));

    let other = handshake(&server, &[("sec-websocket-protocol", "chat")]);
    let (status, document) = refused(&server, other).await;
    assert_eq!((status, &document["type"]), (400, &json!("/problems/invalid-request")));
    let plain = server.get("/v1/ws").await;
    crate::ask::problem(plain, 400, "invalid-request").await;
}

#[tokio::test]
async fn a_watched_ticket_is_told_at_once_and_again_with_each_version() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let ada = Claim::of("cups", "ada").win(&server).await;
    let bob = Claim::of("cups", "bob").win(&server).await;
    let mut socket = Socket::watching(&server, &ada.token).await;
    let pending = server.ticket_text(&ada).await;
    assert_eq!(pending, text_of(&serde_json::from_str(&pending).unwrap()));
    assert_eq!(socket.told().await, frame_of(&pending));
    socket.watch(&[&bob.token, &ada.token]).await;
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&bob).await));
    socket.is_silent().await;
    // Whoever unwatches hears no more.
    socket.unwatch(&[&bob.id, "x", &ada.id[1..]]).await;
    socket.is_silent().await;
    lock.release().await;
    server.result(&ada).await;
    server.result(&bob).await;
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&ada).await));
    socket.is_silent().await;
    socket.watch(&[&bob.token]).await;
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&bob).await));
}

#[tokio::test]
async fn a_text_that_is_no_frame_is_an_error_and_the_connection_lives() {
    let (server, owed) = with_tickets(&[], 1).await;
    let mut socket = Socket::connect(&server).await;
    let many = format!(r#"{{"type":"watch","tokens":{:?}}}"#, vec!["t"; 17]);
    for bad in [
        "",
        "hello",
        "null",
        "[]",
        "{}",
        r#"{"type":"dance"}"#,
        r#"{"type":"watch"}"#,
        r#"{"type":"watch","tokens":[]}"#,
        r#"{"type":"watch","tokens":"x"}"#,
        r#"{"type":"watch","tokens":[1]}"#,
        r#"{"type":"watch","tokens":["x"],"more":1}"#,
        r#"{"type":"unwatch","ids":[]}"#,
        r#"{"type":"ticket","ticket":{}}"#,
        &many,
    ] {
        socket.text(bad).await;
        let error = socket.error("bad-frame").await;
        assert!(!error.as_object().unwrap().contains_key("index"), "{bad}: {error}");
    }
    socket.watch(&[&owed[0].token]).await;
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&owed[0]).await));
}

#[tokio::test]
async fn a_token_that_is_not_good_is_an_error_with_its_index_and_the_others_stand() {
    let (server, owed) = with_tickets(&[], 2).await;
    let forged = format!("{}AAAA", &owed[0].token[..owed[0].token.len() - 4]);
    let mut socket = Socket::connect(&server).await;
    socket.watch(&[&owed[0].token, "x", &forged, &owed[0].id, &owed[1].token]).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(socket.told().await);
    }
    let faults: Vec<_> = told.iter().filter(|text| text.contains("\"error\"")).collect();
    for (fault, index) in faults.iter().zip([1, 2, 3]) {
        assert!(fault.starts_with(r#"{"type":"error","code":"not-found","detail":""#), "{fault}");
        assert!(fault.ends_with(&format!(r#","index":{index}}}"#)), "{fault}");
    }
    assert_eq!(faults.len(), 3);
    for owed in &owed {
        let frame = frame_of(&server.ticket_text(owed).await);
        assert!(told.contains(&frame), "{frame}");
    }
}

#[tokio::test]
async fn a_connection_watches_64_tickets_and_one_more_is_an_error() {
    let (server, owed) = with_tickets(&[], 66).await;
    let mut socket = Socket::connect(&server).await;
    for part in owed[..64].chunks(16) {
        let tokens: Vec<_> = part.iter().map(|owed| &*owed.token).collect();
        socket.watch(&tokens).await;
        for _ in part {
            assert!(socket.told().await.starts_with(r#"{"type":"ticket""#));
        }
    }
    socket.watch(&[&owed[0].token, &owed[64].token]).await;
    assert_eq!(socket.error("too-many").await["index"], 1, "the first is watched already");
    socket.unwatch(&[&owed[7].id]).await;
    socket.watch(&[&owed[65].token]).await;
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&owed[65]).await));
}

#[tokio::test]
async fn what_is_no_text_of_at_most_4_kibibytes_closes_the_connection() {
    let server = Server::start(&[]).await;
    let mut binary = Socket::connect(&server).await;
    binary.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.closed().await, 1003);

    let mut fits = Socket::connect(&server).await;
    fits.text(&" ".repeat(4096)).await;
    fits.error("bad-frame").await;
    fits.is_silent().await;
    let mut long = Socket::connect(&server).await;
    long.text(&" ".repeat(4097)).await;
    assert_eq!(long.closed().await, 1009);
    let mut in_parts = Socket::connect(&server).await;
    in_parts.frame(Data::Text, " ".repeat(3000), false).await;
    in_parts.frame(Data::Continue, " ".repeat(3000), true).await;
    assert_eq!(in_parts.closed().await, 1009);

    for bad in [vec![0xff], b"{\"type\":\"\xc3\"}".to_vec(), vec![0xed, 0xa0, 0x80]] {
        let mut socket = Socket::connect(&server).await;
        socket.frame(Data::Text, bad, true).await;
        assert_eq!(socket.closed().await, 1007);
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused_before_the_upgrade() {
    let server = Server::start(&[("origins", "https://shop.example, http://localhost:3000")]).await;
    let own = server.base.clone();
    let port = own.rsplit_once(':').unwrap().1.to_owned();
    let https = format!("https://127.0.0.1:{port}");
    for good in [&*own, &https, "https://shop.example", "http://localhost:3000"] {
        open(&server, handshake(&server, &[("origin", good)])).await.unwrap();
    }
    // A client that is no browser sends none.
    open(&server, handshake(&server, &[])).await.unwrap();
    for foreign in [
        "https://evil.example",
        "https://evil-shop.example",
        "https://shop.example.evil.example",
        "https://sub.shop.example",
        "https://shop.example:8443",
        "http://shop.example",
        "http://localhost",
        "http://localhost:30001",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        &format!("{own}.evil.example"),
        "null",
        "*",
        "",
    ] {
        let cookie = ("cookie", "session=of-ada");
        let request = handshake(&server, &[("origin", foreign), cookie]);
        let (status, document) = refused(&server, request).await;
        assert_eq!((status, &document["status"]), (403, &json!(403)), "{foreign}");
        assert_eq!(document["type"], "about:blank", "{foreign}");
    }
    assert_eq!(server.metrics().await.matches(r#"status="101""#).count(), 1);
    let mut two = handshake(&server, &[("origin", &own)]);
    two.headers_mut().append("origin", "https://shop.example".parse().unwrap());
    assert_eq!(refused(&server, two).await.0, 403);
}

async fn nothing_is_left(server: &Server) {
    eventually("connections and watched tickets are gone", async || {
        let left =
            (server.gauge("dibs_push_sockets").await, server.gauge("dibs_push_watched").await);
        (left == (0.0, 0.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_silent_client_is_closed_with_4408_and_nothing_of_it_is_left() {
    let settings = [("ping_every", "200ms"), ("pong_within", "200ms"), ("reread_every", "20ms")];
    let (server, owed) = with_tickets(&settings, 1).await;
    let mut silent = crate::raw::Raw::socket(&server).await;
    silent.masked_text(&json!({ "type": "watch", "tokens": [owed[0].token] }).to_string()).await;
    eventually("the ticket is watched", async || {
        let seen =
            (server.gauge("dibs_push_sockets").await, server.gauge("dibs_push_watched").await);
        (seen == (1.0, 1.0)).then_some(())
    })
    .await;
    // It is told its ticket and pinged, answers nothing, and is told why it is closed.
    let (mut told, mut pinged) = (false, 0);
    let code = loop {
        match silent.server_frame().await {
            (0x1, payload) => told |= payload.starts_with(br#"{"type":"ticket""#),
            (0x9, _) => pinged += 1,
            (0x8, payload) => break u16::from_be_bytes([payload[0], payload[1]]),
            other => panic!("{other:?}"),
        }
    };
    assert!(told && pinged >= 1, "{told} {pinged}");
    assert_eq!(code, 4408);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn a_client_that_answers_pings_stays_as_long_as_it_likes() {
    let settings = [("ping_every", "100ms"), ("pong_within", "200ms")];
    let (server, owed) = with_tickets(&settings, 1).await;
    let mut socket = Socket::watching(&server, &owed[0].token).await;
    let mut pings = 0;
    while pings < 10 {
        match socket.message().await {
            Some(Message::Ping(_)) => pings += 1,
            Some(Message::Text(_)) => {}
            other => panic!("it should stay: {other:?}"),
        }
    }
    socket.watch(&["x"]).await;
    socket.error("not-found").await;
}

#[tokio::test]
async fn a_client_that_never_watches_is_closed_with_1008_and_nothing_of_it_is_left() {
    let (server, owed) =
        with_tickets(&[("watch_within", "300ms"), ("reread_every", "20ms")], 1).await;
    let mut idle = Socket::connect(&server).await;
    let mut mistaken = Socket::connect(&server).await;
    mistaken.watch(&["x"]).await;
    let mut watching = Socket::watching(&server, &owed[0].token).await;
    assert_eq!(idle.closed().await, 1008);
    assert_eq!(mistaken.closed().await, 1008);
    assert!(watching.told().await.starts_with(r#"{"type":"ticket""#));
    watching.is_silent().await;
    eventually("the others are gone", async || {
        (server.gauge("dibs_push_sockets").await == 1.0).then_some(())
    })
    .await;
    watching.is_silent().await;
    drop(watching);
    nothing_is_left(&server).await;
}
