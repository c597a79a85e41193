//! One WebSocket of the protocol `dibs.v1`, for many tickets.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use sale::frame::{CloseCode, SUBPROTOCOL, TOKENS_A_FRAME};
use sale::id::TicketId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error as Broken};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::Client;
use crate::error::Error;
use crate::http::{chain, retry_after};
use crate::ticket::Seen;

/// What is eagerly allocated for reading: a frame of the server is shorter.
const READ_BUFFER: usize = 1024;

/// The longest frame that is read. A ticket has a few hundred bytes.
const LONGEST_FRAME: usize = 16 * 1024;

/// What may wait to be written: a frame of tokens, and pongs.
const WRITE_BUFFER: usize = 16 * 1024;

/// How long the end of a connection is waited for.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// An open WebSocket. It needs to be read by [`Socket::next`] to stay open.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    begun: Instant,
    heard: Instant,
    closed: bool,
    silent_within: Duration,
    write_within: Duration,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A watched ticket.
    Ticket(Seen),
    /// A frame, or one token of it, was not accepted; the others stand.
    Fault {
        /// `not-found` where the token opens no ticket, `too-many`, `bad-frame`.
        code: String,
        /// What is wrong.
        detail: String,
        /// Which token of the watch; none when the whole frame is meant.
        index: Option<usize>,
    },
    /// The server goes away.
    Drain {
        /// When to connect again.
        reconnect_after: Duration,
    },
    /// The server has closed the connection.
    Closed {
        /// Its code, if it gave one.
        code: Option<u16>,
    },
    /// A frame that this client does not know.
    Unknown,
}

impl Frame {
    /// Whether a close with this code means that coming back would only be closed again.
    pub fn stays_away(code: Option<u16>) -> bool {
        let known = CloseCode::ALL.into_iter().find(|known| Some(known.number()) == code);
        known.is_some_and(|known| !known.comes_back())
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Sent<'a> {
    Watch { tokens: &'a [&'a str] },
    Unwatch { ids: &'a [TicketId] },
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

impl Client {
    /// Opens a WebSocket.
    ///
    /// # Errors
    /// No connection, or a handshake that was refused.
    pub async fn socket(&self) -> Result<Socket, Error> {
        let options = self.options();
        let begun = Instant::now();
        let within = options.connect_within;
        // The handshake's future is large, and short-lived.
        let connected = Box::pin(timeout(within, self.shake_hands())).await;
        let stream =
            connected.unwrap_or_else(|_| Err(Error::no_answer("no connection", "too late")))?;
        Ok(Socket {
            stream,
            begun,
            heard: Instant::now(),
            closed: false,
            silent_within: options.silent_within,
            write_within: options.answer_within,
        })
    }

    async fn shake_hands(&self) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Error> {
        let push = &self.options().push;
        let (host, port) = (push.host_str(), push.port_or_known_default());
        let (Some(host), Some(port)) = (host, port) else {
            return Err(Error::Setup(format!("{push} names no host")));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let unreachable = |error| Error::no_answer("no connection", error);
        let tcp = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let (_, rest) = self.0.push.split_once(':').expect("an address has a scheme");
        let scheme = if push.scheme() == "https" { "wss" } else { "ws" };
        let mut request =
            format!("{scheme}:{rest}/v1/ws").into_client_request().map_err(refused)?;
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let tls = Connector::Rustls(self.0.tls.clone());
        let shaken = client_async_tls_with_config(request, tcp, Some(config()), Some(tls)).await;
        let (stream, answer) = shaken.map_err(refused)?;
        speaks_it(&answer)?;
        Ok(stream)
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(LONGEST_FRAME))
        .max_frame_size(Some(LONGEST_FRAME))
}

fn speaks_it(answer: &Response) -> Result<(), Error> {
    let chosen = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
    if chosen.is_some_and(|chosen| chosen == SUBPROTOCOL) {
        Ok(())
    } else {
        Err(Error::protocol("the WebSocket does not speak dibs.v1"))
    }
}

/// What a failed handshake means.
fn refused(error: Broken) -> Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own enum, not ours")]
    match error {
        Broken::Http(answer) => Error::NotKnown {
            why: "the WebSocket was refused",
            detail: answer.status().to_string(),
            retry_after: retry_after(answer.headers()),
        },
        Broken::Io(error) => Error::no_answer("no connection", chain(&error)),
        error => Error::protocol(chain(&error)),
    }
}

impl Socket {
    /// When its connection was begun.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Watches the tickets of these tokens, up to 64 a connection.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn watch(&mut self, tokens: &[&str]) -> Result<(), Error> {
        for tokens in tokens.chunks(TOKENS_A_FRAME) {
            self.send(&Sent::Watch { tokens }).await?;
        }
        Ok(())
    }

    /// Watches these tickets no longer.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn unwatch(&mut self, ids: &[TicketId]) -> Result<(), Error> {
        for ids in ids.chunks(TOKENS_A_FRAME) {
            self.send(&Sent::Unwatch { ids }).await?;
        }
        Ok(())
    }

    /// Waits for what the server says next. Cancel safe. What follows a [`Frame::Closed`] is the
    /// same; an error is the end too.
    ///
    /// # Errors
    /// The connection broke, was silent for too long, or carried what is no frame.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        while !self.closed {
            let left = self.silent_within.saturating_sub(self.heard.elapsed());
            let message = timeout(left, self.stream.next())
                .await
                .map_err(|_| Error::no_answer("silence", "no sign of life on the WebSocket"))?;
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => return read(&text),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(Error::protocol("a binary frame")),
                Some(Ok(Message::Close(close))) => {
                    self.closed = true;
                    let code = close.map(|close| close.code.into());
                    return Ok(Frame::Closed { code });
                }
                Some(Err(error)) => return Err(broken(&error)),
                None => self.closed = true,
            }
        }
        Ok(Frame::Closed { code: None })
    }

    /// Says farewell.
    pub async fn close(mut self) {
        let farewell = async {
            self.stream.close(None).await?;
            while self.stream.next().await.transpose()?.is_some() {}
            Ok::<_, Broken>(())
        };
        // A server that does not play along is left all the same.
        let _ = timeout(CLOSE_WITHIN, farewell).await;
    }

    async fn send(&mut self, frame: &Sent<'_>) -> Result<(), Error> {
        let text = serde_json::to_string(frame).expect("frames have text keys and plain values");
        match timeout(self.write_within, self.stream.send(Message::text(text))).await {
            Ok(sent) => sent.map_err(|error| broken(&error)),
            Err(_) => Err(Error::no_answer("no answer in time", "the WebSocket takes no frame")),
        }
    }
}

fn broken(error: &Broken) -> Error {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own enum, not ours")]
    match error {
        Broken::Capacity(_) | Broken::Utf8(_) => Error::protocol(error),
        Broken::Protocol(fault) if *fault != ResetWithoutClosingHandshake => Error::protocol(error),
        _ => Error::no_answer("the connection broke", error),
    }
}

/// Reads a text frame. The ticket's bytes are those between its braces.
fn read(text: &str) -> Result<Frame, Error> {
    #[derive(Deserialize)]
    struct Told {
        ticket: Seen,
    }
    #[derive(Deserialize)]
    struct Fault {
        code: String,
        detail: String,
        index: Option<usize>,
    }
    #[derive(Deserialize)]
    struct Drain {
        reconnect_after_ms: u64,
    }
    fn part<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(Error::protocol)
    }
    match part::<Kind>(text)?.r#type.as_str() {
        "ticket" => Ok(Frame::Ticket(part::<Told>(text)?.ticket)),
        "error" => {
            let Fault { code, detail, index } = part(text)?;
            Ok(Frame::Fault { code, detail, index })
        }
        "drain" => {
            let after = part::<Drain>(text)?.reconnect_after_ms;
            Ok(Frame::Drain { reconnect_after: Duration::from_millis(after) })
        }
        _ => Ok(Frame::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICKET: &str = r#"{"type":"ticket","ticket":{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"demo","round":"16843009","units":1,"status":"pending","reason":null,"version":1,"final":false,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":null}}"#;
    const FAULT: &str = r#"{"type":"error","code":"not-found","detail":"no","index":0}"#;
    const DRAIN: &str = r#"{"type":"drain","reconnect_after_ms":900}"#;

    #[test]
    fn the_frames_of_the_contract_are_read() {
        let Ok(Frame::Ticket(seen)) = read(TICKET) else { panic!("no ticket") };
        assert!(TICKET.ends_with(&format!("{}}}", seen.bytes)), "to the byte");
        let fault = Frame::Fault { code: "not-found".into(), detail: "no".into(), index: Some(0) };
        assert_eq!(read(FAULT), Ok(fault));
        let reconnect_after = Duration::from_millis(900);
        assert_eq!(read(DRAIN), Ok(Frame::Drain { reconnect_after }));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_a_frame_or_refused(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn a_frame_with_anything_in_the_middle_is_read_or_refused(
            frame in prop::sample::select(vec![TICKET, FAULT, DRAIN]),
            (from, to) in (0usize..240, 0usize..240),
            put in "[\\PC]{0,9}|-?[0-9]{1,30}|null|\\[+",
        ) {
            let from = from.min(frame.len());
            let to = to.clamp(from, frame.len());
            let _ = read(&format!("{}{put}{}", &frame[..from], &frame[to..]));
        }
    }
}
