//! What a client sends on a WebSocket, byte by byte: whatever it is, the server's own frames keep
//! RFC 6455 and our protocol.
//!
//! The input is what follows the handshake. So many `T` as a token has characters stand for a
//! good one.

use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sale::frame::LONGEST_FRAME;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tower::ServiceExt as _;

use super::shop::{Shop, visit};

const HANDSHAKE: &str = "GET /v1/ws HTTP/1.1\r\nhost: shop.example\r\nconnection: Upgrade\r\n\
     upgrade: websocket\r\nsec-websocket-version: 13\r\n\
     sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: dibs.v1\r\n\r\n";

/// The codes that the server closes with by itself.
const CODES: [u16; 8] = [1001, 1002, 1003, 1007, 1008, 1009, 1013, 4408];

pub(crate) fn run(data: &[u8]) {
    if data.len() > 4 * LONGEST_FRAME {
        return;
    }
    visit(async |shop| {
        let (mut client, server) = duplex(64 * 1024);
        let service =
            shop.router.clone().map_request(|request: hyper::Request<_>| request.map(Body::new));
        let service = TowerToHyperService::new(service);
        let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let talking = async {
            client.write_all(HANDSHAKE.as_bytes()).await.expect("it is read");
            opened(&mut client).await;
            // It may have been closed before all of it was sent.
            let _ = client.write_all(&with_token(shop, data)).await;
            let _ = client.shutdown().await;
            let mut told = Vec::new();
            let _ = client.read_to_end(&mut told).await;
            told
        };
        let (_, told) = tokio::join!(serving.with_upgrades(), talking);
        judge(&told);
    });
}

async fn opened(client: &mut DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("an answer to the handshake"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

fn with_token(shop: &Shop, data: &[u8]) -> Vec<u8> {
    let (token, mut data) = (shop.token.as_bytes(), data.to_vec());
    let place = vec![b'T'; token.len()];
    while let Some(at) = data.windows(place.len()).position(|window| window == place) {
        data[at..at + token.len()].copy_from_slice(token);
    }
    data
}

/// What was told is a row of whole, unmasked frames, and nothing follows a close.
fn judge(told: &[u8]) {
    let mut rest = told;
    while let Some((&[first, length], after)) = rest.split_first_chunk() {
        assert_eq!(first & 0xf0, 0x80, "whole messages, no reserved bits");
        let (length, after) = match length {
            126 => {
                let (length, after) = after.split_first_chunk().expect("a length");
                (usize::from(u16::from_be_bytes(*length)), after)
            }
            _ => (usize::from(length), after),
        };
        let (payload, after) = after.split_at_checked(length).expect("a short, unmasked frame");
        match first & 0x0f {
            0x1 => text(payload),
            0x8 => return close(payload, after),
            0x9 | 0xa => assert!(length <= 125),
            opcode => panic!("a frame of opcode {opcode}"),
        }
        rest = after;
    }
    assert!(rest.is_empty(), "half a frame");
}

fn text(payload: &[u8]) {
    let frame: Value = serde_json::from_slice(payload).expect("a frame is JSON");
    let kind = frame["type"].as_str();
    assert!(kind.is_some_and(|kind| ["ticket", "error", "drain"].contains(&kind)), "{frame}");
}

fn close(payload: &[u8], after: &[u8]) {
    assert!(after.is_empty(), "something follows the close");
    let Some((code, reason)) = payload.split_first_chunk() else {
        return assert!(payload.is_empty(), "half a code");
    };
    let code = u16::from_be_bytes(*code);
    // A client's own code is repeated to it.
    let repeated = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    assert!(CODES.contains(&code) || repeated, "{code}");
    assert!(std::str::from_utf8(reason).is_ok());
}
