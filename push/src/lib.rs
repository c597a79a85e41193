//! Every read of a ticket: plain GET, long-poll, SSE and WebSocket.
//!
//! Nothing here writes the state of a ticket, so losing every push node loses no result. What
//! it may do is publish an order again that a token proves and no store knows.

mod access;
mod answer;
mod drain;
mod events;
mod feed;
mod hub;
mod lookup;
mod metric;
mod node;
mod poll;
mod present;
mod reader;
mod repair;
mod settings;
mod shown;
mod socket;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use edge::buyer::BuyerKeys;
use edge::origins::Origins;
use edge::problem::method_not_allowed;
use sale::token::TokenKeys;
pub use store::Seams;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use node::Node;
pub use settings::Settings;

/// What readers are told apart by.
#[derive(Clone)]
pub struct Keys {
    /// Opens tickets' tokens.
    pub tokens: Arc<TokenKeys>,
    /// Verifies buyers' JWTs.
    pub buyers: Arc<BuyerKeys>,
    /// The pages that may connect.
    pub origins: Arc<Origins>,
}

/// The push role.
pub struct Push {
    node: Arc<Node>,
}

impl Push {
    /// Starts the role's tasks; needs a tokio runtime. When `stop` fires they end, and
    /// WebSockets that were not drained are dropped.
    pub fn start(seams: Seams, keys: Keys, settings: Settings, stop: &CancellationToken) -> Self {
        metric::describe();
        let (log, install) = (seams.log.clone(), seams.ledger.install());
        let node = Arc::new(Node::start(seams, keys, settings, stop.child_token()));
        let (hub, present) = (node.hub.clone(), node.present.clone());
        let every = node.settings.reread_every;
        let missed = Arc::new(Notify::new());
        let feed = {
            let (hub, missed) = (hub.clone(), missed.clone());
            move || feed::follow(log.clone(), install, hub.clone(), missed.clone())
        };
        let refresher = move || feed::refresh(present.clone(), hub.clone(), every, missed.clone());
        node.spawn(feed::keep("feed", feed));
        node.spawn(feed::keep("refresher", refresher));
        Self { node }
    }

    /// The routes: `/v1/tickets/{id}`, `/v1/tickets/{id}/events`, `/v1/ws`. They have no
    /// fallback, so that they merge with others.
    pub fn router(&self) -> Router {
        // The layer goes on last: what is put on after it is not seen by a preflight.
        let tickets = Router::new()
            .route("/v1/tickets/{id}", get(poll::ticket))
            .route("/v1/tickets/{id}/events", get(events::events))
            .method_not_allowed_fallback(method_not_allowed)
            .layer(self.node.keys.origins.cors());
        Router::new()
            .route("/v1/ws", get(socket::upgrade))
            .method_not_allowed_fallback(method_not_allowed)
            .merge(tickets)
            .with_state(self.node.clone())
    }

    /// Whether tickets can be read: gate or ledger answers, and no drain has begun. Otherwise
    /// a sentence that says what is wrong.
    pub async fn ready(&self) -> Result<(), String> {
        if self.node.draining.is_cancelled() {
            return Err("this node is draining".into());
        }
        self.node.present.lookup.answers().await
    }

    /// Sends everybody away: held polls are answered, event streams end, and each WebSocket is
    /// told when to come back, spread over time, and closed. Returns when the WebSockets are
    /// gone, at the latest after [`Settings::drain_within`].
    pub async fn drain(&self) {
        drain::drain(&self.node).await;
    }

    /// Ends the role: its tasks have ended when this returns.
    pub async fn end(self) {
        self.node.end().await;
    }

    /// Tickets that are watched by open streams.
    pub fn watched(&self) -> usize {
        self.node.hub.watched()
    }

    /// WebSockets that are open.
    pub fn sockets(&self) -> usize {
        self.node.sockets.len()
    }
}
