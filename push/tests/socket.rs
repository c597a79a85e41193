//! `GET /v1/ws`: the handshake, the frames, the bounds, and how connections end.

mod support;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use support::ws::{Client, knock, refused, request};
use support::{House, buyers, quiet, until, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::HeaderValue;

#[tokio::test]
async fn a_watched_ticket_is_told_at_once_and_again_when_it_is_decided() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let (mut client, response) = knock(&house, request(&house)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "dibs.v1");
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    client.expect(&ticket).await;
    // The same once more, on a second connection and by a repeated word of the feed.
    house.finish(std::slice::from_ref(&ada)).await;
    client.is_silent().await;
    let mut second = Client::connect(&house).await;
    second.watch(&[&ada.token]).await;
    second.expect(&ticket).await;
}

#[tokio::test]
async fn an_unwatched_ticket_is_told_no_more_and_a_new_watch_tells_it_anew() {
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", 2)).await;
    let (ada, bob) = (&granted[0], &granted[1]);
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(ada)).await;
    client.unwatch(&[&ada.id().to_string(), "no-such-id"]).await;
    client.watch(&[&bob.token]).await;
    client.expect(&house.pending(bob)).await;
    assert_eq!(house.push.watched(), 1);
    let tickets = house.finish(&granted).await;
    client.expect(&tickets[1]).await;
    client.is_silent().await;
    client.watch(&[&ada.token]).await;
    client.expect(&tickets[0]).await;
}

#[tokio::test]
async fn a_token_that_is_not_good_is_an_error_of_its_own_and_the_others_stand() {
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", 2)).await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&granted[0].token, "forged", &granted[1].token]).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(client.next_json().await);
    }
    let error = seen.iter().find(|frame| frame["type"] == "error").unwrap();
    assert_eq!((&error["code"], &error["index"]), (&json!("not-found"), &json!(1)));
    assert_eq!(seen.iter().filter(|frame| frame["type"] == "ticket").count(), 2);
}

#[tokio::test]
async fn the_sixty_fifth_ticket_is_an_error_and_room_is_made_by_unwatching() {
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", 65)).await;
    let mut client = Client::connect(&house).await;
    for part in granted[..64].chunks(16) {
        let tokens: Vec<_> = part.iter().map(|granted| granted.token.as_str()).collect();
        client.watch(&tokens).await;
        for _ in part {
            assert_eq!(client.next_json().await["type"], "ticket");
        }
    }
    let last = &granted[64];
    client.watch(&[&granted[0].token, &last.token]).await;
    let error = client.next_json().await;
    assert_eq!((&error["code"], &error["index"]), (&json!("too-many"), &json!(1)));
    client.unwatch(&[&granted[3].id().to_string()]).await;
    client.watch(&[&last.token]).await;
    client.expect(&house.pending(last)).await;
    assert_eq!(house.push.watched(), 64);
}

#[tokio::test]
async fn a_text_that_is_no_frame_is_answered_and_the_connection_lives() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    let long = format!(r#"{{"type":"{}"}}"#, "é".repeat(1000));
    let many = json!({ "type": "watch", "tokens": vec!["t"; 17] }).to_string();
    for bad in ["", "hello", "{}", r#"{"type":"dance"}"#, &many, &long] {
        client.text(bad).await;
        let text = client.next_text().await;
        assert!(text.starts_with(r#"{"type":"error","code":"bad-frame","detail":""#), "{text}");
        assert!(text.len() < 600, "{text}");
        assert!(!text.contains("index"));
    }
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
}

#[tokio::test]
async fn a_frame_of_4096_bytes_is_read_and_one_more_byte_closes_1009() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    let frame = json!({ "type": "watch", "tokens": [ada.token] }).to_string();
    client.text(&format!("{frame:4096}")).await;
    client.expect(&house.pending(&ada)).await;
    client.text(&format!("{frame:4097}")).await;
    assert_eq!(client.close_code().await, 1009);
    house.is_deserted().await;
}

#[tokio::test]
async fn binary_closes_1003_and_bad_utf8_closes_1007() {
    let house = House::open(quiet()).await;
    let mut client = Client::connect(&house).await;
    client.send(Message::binary("x")).await;
    assert_eq!(client.close_code().await, 1003);
    let mut client = Client::connect(&house).await;
    client.raw_text(vec![b'"', 0xff, 0xfe, b'"']).await;
    assert_eq!(client.close_code().await, 1007);
    house.is_deserted().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_forgotten() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    client.send(Message::Close(None)).await;
    assert!(matches!(client.next().await, Some(Message::Close(_))));
    house.is_deserted().await;

    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    drop(client);
    house.is_deserted().await;
}

#[tokio::test]
async fn a_huge_frame_and_endless_fragments_are_cut_off_with_a_code() {
    let house = House::open(quiet()).await;
    let text = 0x01_u8;
    // The head of a frame of 64 MiB, masked; its payload never needs to come.
    let huge: &[u8] = &[0x80 | text, 0x80 | 127, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    let mut client = Client::connect(&house).await;
    client.socket.get_mut().write_all(huge).await.unwrap();
    assert_eq!(client.close_code().await, 1009);

    let mut client = Client::connect(&house).await;
    let fragment = |opcode: u8| [&[opcode, 0x80 | 100, 0, 0, 0, 0][..], &[b' '; 100]].concat();
    client.socket.get_mut().write_all(&fragment(text)).await.unwrap();
    for _ in 0..41 {
        client.socket.get_mut().write_all(&fragment(0)).await.unwrap();
    }
    assert_eq!(client.close_code().await, 1009);
    house.is_deserted().await;
}

#[tokio::test]
async fn a_flood_of_tiny_frames_is_cut_off_with_1008() {
    let house = House::open(quiet()).await;
    for flood in [Message::text("x"), Message::Ping("x".into())] {
        let mut client = Client::connect(&house).await;
        // The server may hang up in the middle of the flood.
        for _ in 0..10_000 {
            if client.socket.send(flood.clone()).await.is_err() {
                break;
            }
        }
        assert_eq!(client.close_code().await, 1008);
    }
    house.is_deserted().await;
}

#[tokio::test]
async fn a_foreign_origin_is_refused_before_the_upgrade() {
    let house = House::open(quiet()).await;
    let from = |origin: &str| {
        let mut request = request(&house);
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
        request
    };
    for foreign in [
        "https://evil.example",
        "https://notshop.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "null",
    ] {
        let (status, body) = refused(&house, from(foreign)).await;
        assert_eq!(status, 403, "{foreign}");
        assert!(body.contains("about:blank"), "{body}");
    }
    for own in ["https://shop.example".to_owned(), format!("http://{}", house.addr)] {
        assert!(knock(&house, from(&own)).await.is_ok(), "{own}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    let house = House::open(quiet()).await;
    let with = |name: &'static str, value: Option<&'static str>| {
        let mut request = request(&house);
        request.headers_mut().remove(name);
        if let Some(value) = value {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request
    };
    let (status, body) =
        refused(&house, with("sec-websocket-protocol", Some("chat, dibs.v2"))).await;
    assert_eq!(status, 400);
    assert!(body.contains("/problems/invalid-request"), "{body}");
    let (status, _) = refused(&house, with("sec-websocket-version", Some("8"))).await;
    assert_eq!(status, 400);
    let mut raw = TcpStream::connect(house.addr).await.unwrap();
    raw.write_all(b"GET /v1/ws HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(raw.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // A client that knows no subprotocols is served, and none is named to it.
    let stream = TcpStream::connect(house.addr).await.unwrap();
    let plain = format!("ws://{}/v1/ws", house.addr);
    let (_, response) = tokio_tungstenite::client_async(plain, stream).await.unwrap();
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn a_silent_peer_is_closed_4408_and_one_that_answers_pings_is_not() {
    let settings = push::Settings {
        ping_every: Duration::from_millis(100),
        silent_grace: Duration::from_millis(200),
        ..quiet()
    };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    // A second one, raw, reads what comes and answers nothing.
    let mut silent = Client::connect(&house).await;
    silent.watch(&[&ada.token]).await;
    let raw = silent.socket.get_mut();
    let mut bytes = Vec::new();
    let closing = async { while let Some(Ok(_)) = client.socket.next().await {} };
    tokio::select! {
        read = within(raw.read_to_end(&mut bytes)) => { read.unwrap(); }
        () = closing => panic!("the one that answers was closed"),
    }
    assert_eq!(&bytes[bytes.len() - 4..], [0x88, 2, 0x11, 0x38], "a close frame with 4408");
    drop(silent);
    until("only the other is left", || house.push.sockets() == 1).await;
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    client.expect(&ticket).await;
}

#[tokio::test]
async fn who_never_watches_is_closed_1008_also_when_he_chatters() {
    let settings = push::Settings { watch_within: Duration::from_millis(200), ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut watching = Client::connect(&house).await;
    watching.watch(&[&ada.token]).await;
    watching.expect(&house.pending(&ada)).await;
    let mut idle = Client::connect(&house).await;
    let mut chatty = Client::connect(&house).await;
    chatty.watch(&["forged"]).await;
    assert_eq!(idle.close_code().await, 1008);
    assert_eq!(chatty.close_code().await, 1008);
    watching.is_silent().await;
}

#[tokio::test]
async fn a_connection_above_the_cap_is_told_1013_and_the_next_one_after_a_leave_is_served() {
    let house = House::open(push::Settings { sockets: 2, ..quiet() }).await;
    let ada = house.grant_one("ada").await;
    let (one, two) = (Client::connect(&house).await, Client::connect(&house).await);
    let mut third = Client::connect(&house).await;
    assert_eq!(third.close_code().await, 1013);
    drop(one);
    until("there is room", || house.push.sockets() < 2).await;
    let mut fourth = Client::connect(&house).await;
    fourth.watch(&[&ada.token]).await;
    fourth.expect(&house.pending(&ada)).await;
    drop(two);
}
