//! RFC 6455 on `GET /v1/ws`, byte by byte: what keeps it is served, however unusual, and what does
//! not is closed with its code.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::raw::{Raw, frame_head};
use crate::ws::frame_of;

const CONTINUED: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// The last frame of a message.
const LAST: u8 = 0x80;

/// A client's frame.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [&frame_head(first, payload.len() as u64), payload].concat()
}

/// The same without the mask that a client's frames must have.
fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8], payload].concat()
}

/// The same under a mask that changes every byte.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = frame_head(first, payload.len() as u64);
    let head = frame.len();
    frame[head - 4..].copy_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A text in these fragments.
fn fragments(parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    let part = |(n, part): (usize, &&[u8])| {
        let opcode = if n == 0 { TEXT } else { CONTINUED };
        frame(if n == last { LAST | opcode } else { opcode }, part)
    };
    parts.iter().enumerate().flat_map(part).collect()
}

/// The payload of a close.
fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// Sends bytes on a connection of their own, and answers the payload of the close that comes. After
/// it nothing comes but the end, whatever else is sent.
async fn closed_after(server: &Server, what: &str, bytes: &[u8]) -> Vec<u8> {
    let mut raw = Raw::socket(server).await;
    raw.send(bytes).await;
    let (opcode, payload) = raw.server_frame().await;
    assert_eq!(opcode, CLOSE, "{what}: {}", String::from_utf8_lossy(&payload));
    let more = [frame(LAST | PING, "?"), frame(LAST | TEXT, "{}"), frame(LAST | CLOSE, "")];
    raw.send(more.concat()).await;
    assert_eq!(raw.bytes().await, b"", "{what}");
    payload
}

/// All of these are closed with this code.
async fn are_closed(server: &Server, code: u16, cases: &[(&str, Vec<u8>)]) {
    let closes = cases.iter().map(|(what, bytes)| async move {
        let payload = closed_after(server, what, bytes).await;
        assert_eq!(payload[..2], code.to_be_bytes(), "{what}: {payload:?}");
    });
    join_all(closes).await;
}

#[tokio::test]
async fn broken_framing_is_closed_with_1002() {
    let server = Server::start(&[]).await;
    let long = frame(LAST | CLOSE, closing(1000, &[b'x'; 124]));
    are_closed(
        &server,
        1002,
        &[
            ("the first reserved bit", frame(0x40 | LAST | TEXT, "{}")),
            ("the second reserved bit", frame(0x20 | LAST | TEXT, "{}")),
            ("the third reserved bit", frame(0x10 | LAST | TEXT, "{}")),
            ("a reserved bit of a ping", frame(0x40 | LAST | PING, "")),
            ("a reserved bit of a close", frame(0x10 | LAST | CLOSE, closing(1000, b""))),
            ("a reserved bit of a fragment", frame(0x40 | TEXT, "{")),
            ("a text without a mask", unmasked(LAST | TEXT, b"{}")),
            ("a ping without a mask", unmasked(LAST | PING, b"")),
            ("a close without a mask", unmasked(LAST | CLOSE, &closing(1000, b""))),
            ("a last fragment of nothing", frame(LAST | CONTINUED, "{}")),
            ("a fragment of nothing", frame(CONTINUED, "{}")),
            ("a fragment after a whole message", {
                [frame(LAST | PONG, ""), frame(LAST | CONTINUED, "{}")].concat()
            }),
            ("a text in a text", [frame(TEXT, "{"), frame(LAST | TEXT, "}")].concat()),
            ("a binary in a text", [frame(TEXT, "{"), frame(LAST | BINARY, "}")].concat()),
            ("a fragmented ping", frame(PING, "x")),
            ("a fragmented pong", frame(PONG, "x")),
            ("a fragmented close", frame(CLOSE, closing(1000, b""))),
            ("a ping of 126 bytes", frame(LAST | PING, [b'x'; 126])),
            ("a pong of 126 bytes", frame(LAST | PONG, [b'x'; 126])),
            ("a close of 126 bytes", long),
            ("half a close code", frame(LAST | CLOSE, [3])),
        ],
    )
    .await;
    let reserved: Vec<_> = [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf]
        .into_iter()
        .flat_map(|opcode| [frame(LAST | opcode, ""), frame(LAST | opcode, "{}")])
        .map(|frame| ("a reserved opcode", frame))
        .collect();
    are_closed(&server, 1002, &reserved).await;
}

#[tokio::test]
async fn binary_messages_are_closed_with_1003() {
    let server = Server::start(&[]).await;
    let parts = [frame(BINARY, "{"), frame(LAST | PING, ""), frame(LAST | CONTINUED, "}")].concat();
    let cases = [("empty", frame(LAST | BINARY, "")), ("JSON", frame(LAST | BINARY, "{}"))];
    are_closed(&server, 1003, &cases).await;
    let mut raw = Raw::socket(&server).await;
    raw.send(parts).await;
    assert_eq!(raw.server_frame().await, (PONG, vec![]));
    assert_eq!(raw.server_frame().await, (CLOSE, closing(1003, b"")));
}

#[tokio::test]
async fn text_that_is_no_utf8_is_closed_with_1007_however_it_is_cut() {
    let server = Server::start(&[]).await;
    let bad: [(&str, &[u8]); 8] = [
        ("a lone continuation", b"\"\x80\""),
        ("a longer form than needed", b"\"\xc0\x80\""),
        ("a surrogate", b"\"\xed\xa0\x80\""),
        ("beyond the last character", b"\"\xf4\x90\x80\x80\""),
        ("bytes that never occur", b"\"\xfe\xff\""),
        ("a character that is broken off", b"\"\xe2\x82\""),
        ("half a character at the end", b"\"\xe2\x82"),
        ("the first byte of one at the end", b"\"\xf0"),
    ];
    let mut cases = Vec::new();
    for (what, text) in bad {
        cases.push((what, frame(LAST | TEXT, text)));
        cases.extend((0..=text.len()).map(|at| {
            let (before, after) = text.split_at(at);
            (what, fragments(&[before, b"", after]))
        }));
        let bytes: Vec<_> = text.chunks(1).collect();
        cases.push((what, fragments(&bytes)));
    }
    cases.push(("the reason of a close", frame(LAST | CLOSE, closing(1000, b"\xff"))));
    are_closed(&server, 1007, &cases).await;
}

#[tokio::test]
async fn messages_above_4_kibibytes_are_closed_with_1009_before_they_have_arrived() {
    let server = Server::start(&[]).await;
    let part = [b' '; 2048];
    are_closed(
        &server,
        1009,
        &[
            ("4097 bytes", frame(LAST | TEXT, [b' '; 4097])),
            ("the head of 4097 bytes", frame_head(LAST | TEXT, 4097)),
            ("the head of 65536 bytes", frame_head(LAST | TEXT, 65_536)),
            ("the head of 2^63 - 1 bytes", frame_head(LAST | TEXT, u64::MAX >> 1)),
            ("a length whose first bit is set", frame_head(LAST | TEXT, u64::MAX)),
            ("the head of a huge binary", frame_head(LAST | BINARY, 1 << 32)),
            ("the head of a huge ping", frame_head(LAST | PING, 1 << 32)),
            ("a huge first fragment", frame_head(TEXT, 1 << 32)),
            ("4097 bytes in three", fragments(&[&part, &part, b" "])),
            ("4097 bytes of a message without end", {
                [frame(TEXT, part), frame(CONTINUED, part), frame(CONTINUED, " ")].concat()
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code_and_an_impossible_code_with_1002() {
    let server = Server::start(&[]).await;
    assert_eq!(closed_after(&server, "no code", &frame(LAST | CLOSE, "")).await, b"");
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        for reason in ["", "é", &"x".repeat(123)] {
            let close = closing(code, reason.as_bytes());
            let answer = closed_after(&server, reason, &frame(LAST | CLOSE, &close)).await;
            assert_eq!(answer[..2], close[..2], "{code} {reason}");
        }
    }
    let impossible: Vec<_> = [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]
        .into_iter()
        .map(|code| ("an impossible code", frame(LAST | CLOSE, closing(code, b""))))
        .collect();
    are_closed(&server, 1002, &impossible).await;
}

#[tokio::test]
async fn pings_are_answered_with_what_they_carry_also_between_fragments() {
    let server = Server::start(&[]).await;
    let mut raw = Raw::socket(&server).await;
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        raw.send(frame(LAST | PING, payload)).await;
        assert_eq!(raw.server_frame().await, (PONG, payload.to_vec()));
    }
    // Nobody asked for these.
    raw.send([frame(LAST | PONG, ""), frame(LAST | PONG, "x")].concat()).await;
    raw.send([frame(TEXT, "{"), frame(LAST | PING, "1"), frame(CONTINUED, "")].concat()).await;
    assert_eq!(raw.server_frame().await, (PONG, b"1".to_vec()));
    raw.send([frame(LAST | PING, "2"), frame(LAST | CONTINUED, "}")].concat()).await;
    assert_eq!(raw.server_frame().await, (PONG, b"2".to_vec()));
    let (opcode, error) = raw.server_frame().await;
    assert_eq!(opcode, TEXT);
    assert!(error.starts_with(br#"{"type":"error","code":"bad-frame""#));
}

/// A server with a confirmed ticket.
async fn with_ticket(settings: &[(&str, &str)]) -> (Server, Owed) {
    let server = Server::start(settings).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    (server, owed)
}

#[tokio::test]
async fn a_watch_is_read_in_any_form_that_the_framing_has() {
    let (server, owed) = with_ticket(&[]).await;
    let ticket = frame_of(&server.ticket_text(&owed).await);
    let watch = json!({ "type": "watch", "tokens": [owed.token] }).to_string().into_bytes();
    let pieces: Vec<_> = watch.chunks(1).collect();
    let spaced: Vec<_> = watch.chunks(7).flat_map(|piece| [piece, b""]).collect();
    let padded = |length: usize| [watch.clone(), vec![b' '; length - watch.len()]].concat();
    let long_form = |length: &[u8]| [&[LAST | TEXT], length, &[0; 4], &watch].concat();
    let two_bytes = [&[0x80 | 126][..], &(watch.len() as u16).to_be_bytes()].concat();
    let eight_bytes = [&[0x80 | 127][..], &(watch.len() as u64).to_be_bytes()].concat();
    let forms = [
        ("one frame", frame(LAST | TEXT, &watch)),
        ("a mask", masked(LAST | TEXT, &watch)),
        ("a fragment a byte", fragments(&pieces)),
        ("empty fragments between", fragments(&spaced)),
        ("an empty fragment first", fragments(&[b"", b"", &watch])),
        ("an empty fragment last", fragments(&[&watch, b""])),
        ("a length of two bytes", long_form(&two_bytes)),
        ("a length of eight bytes", long_form(&eight_bytes)),
        ("126 bytes or more", frame(LAST | TEXT, padded(126.max(watch.len())))),
        ("4096 bytes", frame(LAST | TEXT, padded(4096))),
        ("4096 bytes in two", fragments(&[&padded(4096)[..100], &padded(4096)[100..]])),
    ];
    for (what, bytes) in &forms {
        // Whole, and byte by byte, as packets may be cut anywhere.
        for size in [bytes.len(), 1] {
            let mut raw = Raw::socket(&server).await;
            for piece in bytes.chunks(size) {
                raw.send(piece).await;
            }
            let (opcode, told) = raw.server_frame().await;
            assert_eq!(
                (opcode, String::from_utf8_lossy(&told)),
                (TEXT, (&*ticket).into()),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_character_may_be_cut_by_fragments() {
    let server = Server::start(&[]).await;
    let mut raw = Raw::socket(&server).await;
    let text = "\"é€𝄞\"".as_bytes();
    for at in 0..=text.len() {
        raw.send(fragments(&[&text[..at], &text[at..]])).await;
        let (opcode, error) = raw.server_frame().await;
        assert_eq!(opcode, TEXT, "{at}");
        assert!(error.starts_with(br#"{"type":"error","code":"bad-frame""#), "{at}");
    }
}

#[tokio::test]
async fn half_a_frame_and_then_silence_is_closed_with_4408() {
    let server = Server::start(&[("ping_every", "200ms"), ("pong_within", "200ms")]).await;
    let text = frame(LAST | TEXT, "{}");
    let halves = [
        ("nothing", vec![]),
        ("a byte", text[..1].to_vec()),
        ("half a length", frame_head(LAST | TEXT, 4000)[..3].to_vec()),
        ("half a mask", text[..4].to_vec()),
        ("a head", text[..6].to_vec()),
        ("half a payload", text[..7].to_vec()),
        ("half a message", frame(TEXT, "{")),
        ("half a close", frame(LAST | CLOSE, closing(1000, b""))[..7].to_vec()),
    ];
    let silent = halves.iter().map(|(what, bytes)| {
        let server = &server;
        async move {
            let mut raw = Raw::socket(server).await;
            raw.send(bytes).await;
            let code = loop {
                match raw.server_frame().await {
                    (PING, _) => {}
                    (CLOSE, payload) => break payload,
                    other => panic!("{what}: {other:?}"),
                }
            };
            assert_eq!(code, closing(4408, b""), "{what}");
        }
    });
    join_all(silent).await;
    eventually("nothing of them is left", async || {
        (server.gauge("dibs_push_sockets").await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_anywhere_leaves_nothing_behind() {
    let (server, owed) = with_ticket(&[("reread_every", "20ms")]).await;
    let watch = json!({ "type": "watch", "tokens": [owed.token] }).to_string();
    let bytes = [frame(LAST | TEXT, &watch), frame(TEXT, "{"), frame(LAST | PING, "x")].concat();
    let cut = (0..=bytes.len()).step_by(5).map(|at| {
        let (server, bytes) = (&server, &bytes);
        async move {
            let mut raw = Raw::socket(server).await;
            raw.send(&bytes[..at]).await;
        }
    });
    join_all(cut).await;
    eventually("nothing of them is left", async || {
        let left =
            (server.gauge("dibs_push_sockets").await, server.gauge("dibs_push_watched").await);
        (left == (0.0, 0.0)).then_some(())
    })
    .await;
}
