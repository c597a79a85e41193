//! Servers that answer anything but what they should. Nothing panics, hangs, or is believed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod ladder;
mod raw;
mod sockets;
mod streams;

use std::time::Duration;

use client::{Client, Held, Options};

/// A ticket that is granted and not decided.
pub(crate) const PENDING: &str = r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"cups","round":"16843009","units":1,"status":"pending","reason":null,"version":1,"final":false,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":null}"#;

/// The same, decided.
pub(crate) const CONFIRMED: &str = r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"cups","round":"16843009","units":1,"status":"confirmed","reason":null,"version":2,"final":true,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":"2026-01-02T03:04:06.000Z"}"#;

/// A client of a server that answers.
pub(crate) fn client(port: u16) -> Client {
    Client::new(options(port)).unwrap()
}

fn options(port: u16) -> Options {
    Options::new(format!("http://127.0.0.1:{port}").parse().unwrap())
}

/// A client whose patience is short, where what it waits for may not come.
pub(crate) fn impatient(port: u16) -> Client {
    let mut options = options(port);
    options.answer_within = Duration::from_millis(500);
    options.silent_within = Duration::from_millis(500);
    options.claim_within = Duration::ZERO;
    Client::new(options).unwrap()
}

/// What a buyer has after his claim.
pub(crate) fn held() -> Held {
    let answer = format!(r#"{{"ticket":{PENDING},"token":"token","stream":"/v1/ws"}}"#);
    serde_json::from_str(&answer).unwrap()
}

/// An answer with this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}
