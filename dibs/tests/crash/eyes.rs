//! How a buyer follows a ticket: by WebSocket, by long-poll or by an event stream.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::market::Market;
use crate::memory::parsed;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// By what.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Socket,
    Poll,
    Events,
}

/// Looks at tickets, and tells the market's memory what it has seen.
pub(crate) struct Eyes {
    market: Arc<Market>,
    way: Way,
    /// Kept from one ticket to the next.
    socket: Option<Socket>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    ticket: Option<&'a RawValue>,
}

impl Eyes {
    pub(crate) fn new(market: Arc<Market>, way: Way) -> Self {
        Self { market, way, socket: None }
    }

    /// Looks once, as long as the connection lasts or until the result is final. An error is a
    /// server that is not there or not ready.
    pub(crate) async fn look(&mut self, id: &str) -> anyhow::Result<()> {
        match self.way {
            Way::Socket => self.by_socket(id).await,
            Way::Poll => self.by_poll(id).await,
            Way::Events => self.by_events(id).await,
        }
    }

    async fn by_socket(&mut self, id: &str) -> anyhow::Result<()> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(self.market.to_read()).await?,
        };
        watch(&mut socket, &self.token(id)).await?;
        while !self.knows_final(id) {
            let frame = socket.next().await.context("the stream has ended")??;
            let Message::Text(text) = frame else { continue };
            let Frame { r#type, ticket } = serde_json::from_str(&text)?;
            let Some(ticket) = ticket else {
                assert_ne!(r#type, "error", "a good token was refused: {text}");
                continue;
            };
            assert_eq!(parsed(ticket.get())["id"], id, "nothing else is watched");
            self.saw(id, ticket.get());
        }
        let unwatch = json!({ "type": "unwatch", "ids": [id] });
        socket.send(Message::text(unwatch.to_string())).await?;
        self.socket = Some(socket);
        Ok(())
    }

    async fn by_poll(&mut self, id: &str) -> anyhow::Result<()> {
        let headers = [("prefer", "wait=30".to_owned()), ("if-none-match", self.etag(id))];
        match self.get(id, "", headers).await? {
            Some(response) => self.saw(id, &response.text().await?),
            None => self.market.count_answer(),
        }
        Ok(())
    }

    async fn by_events(&mut self, id: &str) -> anyhow::Result<()> {
        let last = self.market.memory().told[id].newest().to_string();
        let response = self.get(id, "/events", [("last-event-id", last)]).await?;
        let mut response = response.context("an event stream is no 304")?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            while let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = bytes.drain(..end + 2).collect();
                let lines = std::str::from_utf8(&event)?.lines();
                for ticket in lines.filter_map(|line| line.strip_prefix("data:")) {
                    self.saw(id, ticket.trim_start());
                }
            }
        }
        Ok(())
    }

    /// `None` if nothing is new. Whoever has the token is never told that there is no ticket.
    async fn get<const N: usize>(
        &self,
        id: &str,
        view: &str,
        headers: [(&str, String); N],
    ) -> anyhow::Result<Option<Response>> {
        let address = format!("{}/v1/tickets/{id}{view}", self.market.to_read());
        let mut request = self.market.http.get(address).bearer_auth(self.token(id));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::SERVICE_UNAVAILABLE => bail!("not now"),
            status => panic!("{id}{view}: {status}"),
        }
    }

    fn token(&self, id: &str) -> String {
        self.market.memory().told[id].token.clone()
    }

    fn etag(&self, id: &str) -> String {
        format!("\"{}\"", self.market.memory().told[id].newest())
    }

    fn knows_final(&self, id: &str) -> bool {
        self.market.memory().told[id].is_final()
    }

    fn saw(&self, id: &str, ticket: &str) {
        self.market.memory().saw(id, ticket);
        self.market.count_answer();
    }
}

/// Opens a WebSocket.
pub(crate) async fn connect(base: &str) -> anyhow::Result<Socket> {
    let address = format!("{}/v1/ws", base.replace("http:", "ws:"));
    let mut request = address.into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "dibs.v1".parse()?);
    Ok(connect_async(request).await?.0)
}

/// Asks for a ticket.
pub(crate) async fn watch(socket: &mut Socket, token: &str) -> anyhow::Result<()> {
    let watch = json!({ "type": "watch", "tokens": [token] });
    Ok(socket.send(Message::text(watch.to_string())).await?)
}
