//! From an HTTP request to a WebSocket.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge::problem::{Kind, Problem, forbidden};
use edge::serve::Permit as ConnectionPermit;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sale::frame::{CloseCode, LONGEST_FRAME, SUBPROTOCOL};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connection::Connection;
use super::farewell::farewell;
use crate::metric;
use crate::node::Node;

/// The stream of frames over an upgraded connection.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What each connection keeps for reading: a token or a few pongs. A longer frame makes room for
/// itself and is read by pieces of this size.
const READ_BUFFER: usize = 256;

/// What may wait to be written. The server writes one frame at a time; at the bound the
/// connection is dropped.
const WRITE_BUFFER: usize = 16 * 1024;

/// Checks the handshake, answers it, and leaves the connection to a task of its own.
pub(crate) async fn upgrade(State(node): State<Arc<Node>>, mut request: Request) -> Response {
    let headers = request.headers();
    if !node.keys.origins.admits(headers) {
        return forbidden("pages of this origin may not connect here");
    }
    let handshake = match Handshake::read(headers) {
        Ok(handshake) => handshake,
        Err(fault) => return fault.into_response(),
    };
    if node.draining.is_cancelled() {
        let detail = "this node goes away; connect again";
        return Problem::new(Kind::Unavailable, detail).into_response();
    }
    let on_upgrade = hyper::upgrade::on(&mut request);
    let connection = request.extensions_mut().remove::<ConnectionPermit>();
    let room = node.room.clone().try_acquire_owned().ok();
    // A future that is moved into another one takes up its space twice, as long as that lives.
    let life = Box::pin(live(node.clone(), on_upgrade, room));
    let ended = node.ended.clone();
    node.sockets.spawn(async move {
        ended.run_until_cancelled(life).await;
        drop(connection);
    });
    handshake.accept()
}

/// One connection from upgrade to end. Where there is no room for it, it is told to come back
/// later.
async fn live(node: Arc<Node>, on_upgrade: OnUpgrade, room: Option<OwnedSemaphorePermit>) {
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a WebSocket's upgrade was broken off");
            return;
        }
    };
    let io = TokioIo::new(upgraded);
    let socket = Box::pin(Socket::from_raw_socket(io, Role::Server, Some(config()))).await;
    if room.is_some() {
        let _counted = metric::Socket::opened();
        Box::new(Connection::new(node, socket)).run().await;
    } else {
        let within = node.settings.close_within;
        Box::pin(farewell(socket, Some(CloseCode::TryLater), within)).await;
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

/// A client's half of the handshake (RFC 6455), as far as it matters.
struct Handshake {
    accept: String,
    offers_subprotocol: bool,
}

impl Handshake {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let bad = |detail| Err(Problem::new(Kind::InvalidRequest, detail));
        if !lists(headers, header::CONNECTION, |token| token.eq_ignore_ascii_case("upgrade"))
            || !lists(headers, header::UPGRADE, |token| token.eq_ignore_ascii_case("websocket"))
        {
            return bad("this path speaks WebSocket: Connection: Upgrade, Upgrade: websocket");
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return bad("Sec-WebSocket-Version must be 13");
        }
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24) else {
            return bad("Sec-WebSocket-Key must be 16 bytes in base64");
        };
        let offers_any = headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
        let offers_subprotocol =
            lists(headers, header::SEC_WEBSOCKET_PROTOCOL, |token| token == SUBPROTOCOL);
        if offers_any && !offers_subprotocol {
            return bad("Sec-WebSocket-Protocol must offer dibs.v1");
        }
        Ok(Self { accept: derive_accept_key(key.as_bytes()), offers_subprotocol })
    }

    fn accept(self) -> Response {
        let accept = HeaderValue::from_str(&self.accept).expect("base64 is a header value");
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
        if self.offers_subprotocol {
            let ours = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, ours);
        }
        response
    }
}

fn lists(headers: &HeaderMap, name: HeaderName, wanted: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| wanted(token.trim()))
}
