//! One open WebSocket: one task, one timer, no queue.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use sale::frame::{
    ClientFrame, CloseCode, ErrorCode, ServerFrame, TICKETS_A_CONNECTION, known_ids,
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Bytes, Error};

use super::farewell::farewell;
use super::upgrade::Socket;
use crate::access::Viewer;
use crate::drain::{farewell_after, reconnect_after};
use crate::metric;
use crate::node::Node;
use crate::shown::Shown;
use crate::watch::Watch;

/// What a client may spend between two pings: each message costs one, a faulty one
/// [`A_FAULT`]. Who spends more is closed (1008), so that a flood costs little.
const ALLOWANCE: u32 = 256;

/// What a faulty frame costs.
const A_FAULT: u32 = 8;

/// The longest detail of an error frame, in characters: it may quote what the client sent, and
/// a connection's write buffer never shrinks.
const DETAIL: usize = 200;

pub(super) struct Connection {
    node: Arc<Node>,
    socket: Socket,
    watch: Watch,
    heard: Instant,
    ping_at: Instant,
    /// Until when something must be watched; none once something was.
    watch_by: Option<Instant>,
    /// When the farewell of a drain is due.
    drain_at: Option<Instant>,
    allowance: u32,
}

/// What a connection waits for.
enum Event {
    Message(Option<Result<Message, Error>>),
    Changed(Arc<Shown>),
    Time,
    Drain,
}

/// How a connection ends.
enum End {
    /// The server closes it.
    Close(CloseCode),
    /// The peer closes it.
    Closed,
    /// It broke, or the peer does not read.
    Gone,
}

impl Connection {
    pub(super) fn new(node: Arc<Node>, socket: Socket) -> Self {
        let now = Instant::now();
        Self {
            watch: Watch::new(node.hub.clone()),
            socket,
            heard: now,
            ping_at: now + node.settings.ping_every,
            watch_by: Some(now + node.settings.watch_within),
            drain_at: None,
            allowance: ALLOWANCE,
            node,
        }
    }

    /// Serves the connection and says farewell; what was watched has left the hub before that.
    pub(super) async fn run(mut self: Box<Self>) {
        let code = match self.serve().await {
            End::Close(code) => Some(code),
            End::Closed => None,
            End::Gone => return,
        };
        metric::closed(code.map(CloseCode::number));
        let Self { node, socket, watch, .. } = *self;
        drop(watch);
        Box::pin(farewell(socket, code, node.settings.close_within)).await;
    }

    async fn serve(&mut self) -> End {
        let timer = sleep_until(self.next_time());
        tokio::pin!(timer);
        loop {
            let event = tokio::select! {
                message = self.socket.next() => Event::Message(message),
                shown = self.watch.changed() => Event::Changed(shown),
                () = &mut timer => Event::Time,
                () = self.node.draining.cancelled(), if self.drain_at.is_none() => Event::Drain,
            };
            // Boxed, as a connection that waits is not to keep room for what it does when it acts.
            if let Err(end) = Box::pin(self.apply(event)).await {
                return end;
            }
            let next = self.next_time();
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
        }
    }

    fn next_time(&self) -> Instant {
        let times = [Some(self.ping_at), Some(self.silent_at()), self.watch_by, self.drain_at];
        times.into_iter().flatten().min().unwrap_or(self.ping_at)
    }

    fn silent_at(&self) -> Instant {
        self.heard + self.node.settings.ping_every + self.node.settings.silent_grace
    }

    async fn apply(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Message(Some(Ok(message))) => self.heard(message).await,
            Event::Message(Some(Err(error))) => Err(end_after(&error)),
            Event::Message(None) => Err(End::Closed),
            Event::Changed(shown) => {
                self.send(Message::Text(shown.frame())).await?;
                self.node.sent(&shown);
                Ok(())
            }
            Event::Time => self.time().await,
            Event::Drain => {
                self.drain_at = Some(Instant::now() + farewell_after(&self.node.settings));
                Ok(())
            }
        }
    }

    async fn time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.drain_at) {
            let after = reconnect_after(&self.node.settings).as_millis();
            let after = u64::try_from(after).unwrap_or(u64::MAX);
            self.tell(&ServerFrame::Drain { reconnect_after_ms: after }).await?;
            return Err(End::Close(CloseCode::GoingAway));
        }
        if due(self.watch_by) {
            return Err(End::Close(CloseCode::Policy));
        }
        if due(Some(self.silent_at())) {
            return Err(End::Close(CloseCode::Silent));
        }
        if due(Some(self.ping_at)) {
            self.ping_at = now + self.node.settings.ping_every;
            self.allowance = ALLOWANCE;
            self.send(Message::Ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn heard(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        self.spend(1)?;
        match message {
            Message::Text(text) => match ClientFrame::parse(&text) {
                Ok(ClientFrame::Watch { tokens }) => self.watch(&tokens).await,
                Ok(ClientFrame::Unwatch { ids }) => {
                    known_ids(&ids).for_each(|id| self.watch.remove(id));
                    Ok(())
                }
                Err(bad) => {
                    self.spend(A_FAULT)?;
                    self.complain(ErrorCode::BadFrame, &bad.to_string(), None).await
                }
            },
            Message::Binary(_) => Err(End::Close(CloseCode::Unsupported)),
            Message::Close(_) => Err(End::Closed),
            // The library answers pings with the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Watches first; the reads are sent after that, and the hub brings what they find.
    async fn watch(&mut self, tokens: &[String]) -> Result<(), End> {
        let mut viewers = Vec::new();
        let mut faults = 0;
        for (index, token) in tokens.iter().enumerate() {
            let Ok(order) = self.node.keys.tokens.open(token) else {
                faults += 1;
                let detail = "this token opens no ticket";
                self.complain(ErrorCode::NotFound, detail, Some(index)).await?;
                continue;
            };
            if self.watch.has(order.ticket) {
                continue;
            }
            if self.watch.len() == TICKETS_A_CONNECTION {
                faults += 1;
                let detail = "a connection watches at most 64 tickets; unwatch some first";
                self.complain(ErrorCode::TooMany, detail, Some(index)).await?;
                continue;
            }
            self.watch.add(order.ticket);
            let viewer = Viewer::Token(order);
            self.node.hub.vouch(&viewer);
            viewers.push(viewer);
        }
        if !viewers.is_empty() {
            self.watch_by = None;
            self.node.tell_present(viewers);
        }
        if faults > 0 { self.spend(A_FAULT) } else { Ok(()) }
    }

    fn spend(&mut self, cost: u32) -> Result<(), End> {
        self.allowance = self.allowance.checked_sub(cost).ok_or(End::Close(CloseCode::Policy))?;
        Ok(())
    }

    async fn complain(
        &mut self,
        code: ErrorCode,
        detail: &str,
        index: Option<usize>,
    ) -> Result<(), End> {
        let detail = match detail.char_indices().nth(DETAIL) {
            Some((end, _)) => &detail[..end],
            None => detail,
        };
        self.tell(&ServerFrame::Error { code, detail, index }).await
    }

    async fn tell(&mut self, frame: &ServerFrame<'_>) -> Result<(), End> {
        self.send(Message::Text(frame.to_json().into())).await
    }

    /// Sends one message whole; a peer that leaves it unread for too long is given up.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.node.settings.write_within, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// What the library's error means for the connection.
fn end_after(error: &Error) -> End {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own enum, not ours")]
    match error {
        Error::Capacity(_) => End::Close(CloseCode::TooBig),
        Error::Utf8(_) => End::Close(CloseCode::BadText),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Error::Protocol(_) => End::Close(CloseCode::Protocol),
        _ => End::Gone,
    }
}
