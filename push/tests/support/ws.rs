//! A client of the WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use sale::frame::ServerFrame;
use sale::ticket::Ticket;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, coding};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{House, within};

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

pub(crate) fn request(house: &House) -> Request<()> {
    let mut request = format!("ws://{}/v1/ws", house.addr).into_client_request().unwrap();
    let ours = HeaderValue::from_static("dibs.v1");
    request.headers_mut().insert("sec-websocket-protocol", ours);
    request
}

/// The handshake's answer, whatever it is.
pub(crate) async fn knock(
    house: &House,
    request: Request<()>,
) -> Result<(Client, Response), Error> {
    let stream = TcpStream::connect(house.addr).await.unwrap();
    let (socket, response) = within(client_async(request, stream)).await?;
    Ok((Client { socket }, response))
}

/// The status that a handshake is refused with, and the answer's body.
pub(crate) async fn refused(house: &House, request: Request<()>) -> (StatusCode, String) {
    let Err(Error::Http(response)) = knock(house, request).await.map(|_| ()) else {
        panic!("it was not refused")
    };
    let (parts, body) = response.into_parts();
    (parts.status, String::from_utf8(body.unwrap_or_default()).unwrap())
}

impl Client {
    pub(crate) async fn connect(house: &House) -> Self {
        knock(house, request(house)).await.unwrap().0
    }

    pub(crate) async fn send(&mut self, message: Message) {
        within(self.socket.send(message)).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Bytes as the payload of a text frame, also where they are no UTF-8.
    pub(crate) async fn raw_text(&mut self, bytes: Vec<u8>) {
        let text = coding::OpCode::Data(coding::Data::Text);
        self.send(Message::Frame(Frame::message(bytes, text, true))).await;
    }

    pub(crate) async fn watch(&mut self, tokens: &[&str]) {
        self.text(&json!({ "type": "watch", "tokens": tokens }).to_string()).await;
    }

    pub(crate) async fn unwatch(&mut self, ids: &[&str]) {
        self.text(&json!({ "type": "unwatch", "ids": ids }).to_string()).await;
    }

    /// The next frame that is no ping or pong.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next text.
    pub(crate) async fn next_text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("no text but {other:?}"),
        }
    }

    pub(crate) async fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await).unwrap()
    }

    /// The next frame is this ticket, to the byte.
    pub(crate) async fn expect(&mut self, ticket: &Ticket) {
        assert_eq!(self.next_text().await, ServerFrame::Ticket { ticket }.to_json());
    }

    /// Reads on until the server closes, and tells with which code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => return frame.code.into(),
                Some(Message::Text(_)) => {}
                other => panic!("no close but {other:?}"),
            }
        }
    }

    /// Nothing but the answer to an own ping is on its way.
    pub(crate) async fn is_silent(&mut self) {
        self.send(Message::Ping("echo".into())).await;
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Pong(echo))) if echo == "echo" => return,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
