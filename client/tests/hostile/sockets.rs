//! WebSockets.

use client::{Error, Frame, Socket};

use crate::raw::{Say, Server, frame, text};
use crate::{CONFIRMED, PENDING, answer, client, impatient};

async fn upgraded(frames: Vec<u8>) -> (Server, Socket) {
    let server = Server::saying(Say::Upgraded("dibs.v1", frames)).await;
    let mut socket = client(server.port).socket().await.unwrap();
    socket.watch(&["token"]).await.unwrap();
    (server, socket)
}

async fn refused(say: Say) -> Error {
    let server = Server::saying(say).await;
    client(server.port).socket().await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    for say in [
        Say::Bytes(answer("200 OK", "", "{}")),
        Say::Bytes(answer("403 Forbidden", "", "no")),
        Say::Bytes(answer("302 Found", "Location: /elsewhere\r\n", "")),
        Say::Bytes(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
                .to_vec(),
        ),
        Say::Upgraded("chat", Vec::new()),
        Say::Upgraded("", Vec::new()),
    ] {
        assert!(refused(say).await.is_worth_another_try());
    }
    let why = refused(Say::Upgraded("chat", Vec::new())).await;
    assert!(matches!(why, Error::Protocol(_)), "{why:?}");
}

#[tokio::test]
async fn a_frame_that_breaks_the_protocol_ends_the_socket() {
    let long = [&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat();
    let masked = [&[0x81, 0x82, 1, 2, 3, 4][..], b"{}"].concat();
    let endless = [0x01, 126, 0x40, 0x00].into_iter().chain([b'x'; 0x4000]).collect::<Vec<_>>();
    let endless = [endless.clone(), [0x00, 126].to_vec(), endless[2..].to_vec()].concat();
    for bytes in [
        long,
        masked,
        endless,
        frame(1, b"\xff\xfe"),
        frame(2, b"binary"),
        frame(3, b"reserved opcode"),
        vec![0xf1, 0x02, b'{', b'}'],
        vec![0x09, 0x00],
        frame(8, b"\x03"),
        frame(8, &[0x03, 0xec]),
    ] {
        let (_server, mut socket) = upgraded(bytes.clone()).await;
        let told = socket.next().await;
        let ends = matches!(told, Ok(Frame::Closed { .. }) | Err(Error::Protocol(_)));
        assert!(ends, "{:?}: {told:?}", &bytes[..bytes.len().min(8)]);
    }
}

#[tokio::test]
async fn a_text_that_is_no_frame_is_an_error_and_one_that_is_not_known_is_passed_over() {
    for bad in [
        "",
        "null",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"ticket"}"#,
        r#"{"type":"ticket","ticket":{}}"#,
        r#"{"type":"drain","reconnect_after_ms":-1}"#,
        r#"{"type":"error"}"#,
    ] {
        let (_server, mut socket) = upgraded(text(bad)).await;
        let told = socket.next().await;
        assert!(matches!(told, Err(Error::Protocol(_))), "{bad}: {told:?}");
    }
    let unknown = text(r#"{"type":"weather","ticket":7}"#);
    let ticket = text(&format!(r#"{{"type":"ticket","ticket":{PENDING}}}"#));
    let (_server, mut socket) = upgraded([unknown, ticket].concat()).await;
    assert_eq!(socket.next().await, Ok(Frame::Unknown));
    let Ok(Frame::Ticket(seen)) = socket.next().await else { panic!("no ticket") };
    assert_eq!(&*seen.bytes, PENDING);
}

#[tokio::test]
async fn a_ticket_in_fragments_is_the_same_ticket() {
    let whole = format!(r#"{{"type":"ticket","ticket":{CONFIRMED}}}"#);
    let (first, second) = whole.as_bytes().split_at(100);
    let mut start = frame(1, first);
    start[0] &= 0x7f;
    let (_server, mut socket) =
        upgraded([start, frame(9, b"still there?"), frame(0, second)].concat()).await;
    let Ok(Frame::Ticket(seen)) = socket.next().await else { panic!("no ticket") };
    assert_eq!(&*seen.bytes, CONFIRMED);
}

#[tokio::test]
async fn a_socket_that_is_silent_is_given_up() {
    let server = Server::saying(Say::Upgraded("dibs.v1", Vec::new())).await;
    let mut socket = impatient(server.port).socket().await.unwrap();
    let told = socket.next().await;
    assert!(matches!(told, Err(Error::NotKnown { why: "silence", .. })), "{told:?}");
}

#[tokio::test]
async fn a_close_tells_its_code_and_codes_tell_whether_to_come_back() {
    let close = frame(8, &1013u16.to_be_bytes());
    let (_server, mut socket) = upgraded(close).await;
    assert_eq!(socket.next().await, Ok(Frame::Closed { code: Some(1013) }));
    assert_eq!(socket.next().await, Ok(Frame::Closed { code: None }), "it stays closed");
    for code in [1002, 1003, 1007, 1008, 1009] {
        assert!(Frame::stays_away(Some(code)), "{code}");
    }
    for code in [1000, 1001, 1006, 1013, 4408, 4999, 65535] {
        assert!(!Frame::stays_away(Some(code)), "{code}");
    }
    assert!(!Frame::stays_away(None));
}

#[tokio::test]
async fn a_server_that_does_not_end_is_left_all_the_same() {
    let (_server, socket) = upgraded(Vec::new()).await;
    socket.close().await;
}
