//! A client of the WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::{PATIENCE, Server};
use crate::raw::host;

/// One open WebSocket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// A handshake for `dibs.v1`, with further headers.
pub(crate) fn handshake(server: &Server, headers: &[(&'static str, &str)]) -> Request<()> {
    let address = format!("ws://{}/v1/ws", host(server));
    let mut request = address.into_client_request().unwrap();
    let ours = [("sec-websocket-protocol", "dibs.v1")];
    for (name, value) in ours.iter().chain(headers) {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// Sends a handshake; the answer where it is accepted.
pub(crate) async fn open(
    server: &Server,
    request: Request<()>,
) -> Result<(Socket, Response), Box<Error>> {
    let stream = TcpStream::connect(host(server)).await.unwrap();
    let opened = timeout(PATIENCE, client_async(request, stream)).await.unwrap();
    opened.map(|(socket, answer)| (Socket(socket), answer)).map_err(Box::new)
}

/// The status and document that a handshake is refused with.
pub(crate) async fn refused(server: &Server, request: Request<()>) -> (u16, Value) {
    match open(server, request).await.map(|_| ()).map_err(|error| *error) {
        Err(Error::Http(answer)) => {
            let (parts, body) = answer.into_parts();
            let document = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
            (parts.status.as_u16(), document)
        }
        other => panic!("not refused: {other:?}"),
    }
}

impl Socket {
    pub(crate) async fn connect(server: &Server) -> Self {
        open(server, handshake(server, &[])).await.unwrap().0
    }

    /// Connects and watches one ticket.
    pub(crate) async fn watching(server: &Server, token: &str) -> Self {
        let mut socket = Self::connect(server).await;
        socket.watch(&[token]).await;
        socket
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(PATIENCE, self.0.send(message)).await.unwrap().unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// One frame as it is, whatever it holds.
    pub(crate) async fn frame(&mut self, kind: Data, payload: impl Into<Vec<u8>>, last: bool) {
        let frame = Frame::message(payload.into(), OpCode::Data(kind), last);
        self.send(Message::Frame(frame)).await;
    }

    pub(crate) async fn watch(&mut self, tokens: &[&str]) {
        self.text(&json!({ "type": "watch", "tokens": tokens }).to_string()).await;
    }

    pub(crate) async fn unwatch(&mut self, ids: &[&str]) {
        self.text(&json!({ "type": "unwatch", "ids": ids }).to_string()).await;
    }

    /// The next message of any kind; none when the connection has ended or broken.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.0.next()).await.expect("something should come")?.ok()
    }

    /// The next text.
    pub(crate) async fn told(&mut self) -> String {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no text, but {other:?}"),
            }
        }
    }

    /// The next text, which is an error frame of this code.
    pub(crate) async fn error(&mut self, code: &str) -> Value {
        let text = self.told().await;
        let head = format!(r#"{{"type":"error","code":"{code}","detail":""#);
        assert!(text.starts_with(&head), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Reads on until the server closes; with which code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.message().await {
                Some(Message::Close(Some(close))) => return close.code.into(),
                Some(_) => {}
                None => panic!("it was dropped without a close"),
            }
        }
    }

    /// It lives, and nothing but the answer to this ping was on its way.
    pub(crate) async fn is_silent(&mut self) {
        self.send(Message::Ping("echo".into())).await;
        loop {
            match self.message().await {
                Some(Message::Pong(echo)) if echo == "echo" => return,
                Some(Message::Ping(_)) => {}
                other => panic!("not silent: {other:?}"),
            }
        }
    }
}

/// The frame that tells a ticket of this text.
pub(crate) fn frame_of(ticket: &str) -> String {
    format!(r#"{{"type":"ticket","ticket":{ticket}}}"#)
}
