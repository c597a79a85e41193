//! What can be set of a client.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The servers, and the bounds of what is spent on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where claims go, and all else that is not a ticket.
    pub api: Url,
    /// Where tickets are read and watched.
    pub push: Url,
    /// Certificates in PEM that are trusted beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long it may take until a connection stands.
    pub connect_within: Duration,
    /// How long one request may take, from sending to the last byte; a read that waits may take
    /// its wait in addition.
    pub answer_within: Duration,
    /// How long [`Client::claim`](crate::Client::claim) goes on asking.
    pub claim_within: Duration,
    /// How long a stream may be silent before it counts as dead. Servers give a sign of life every
    /// 25 s.
    pub silent_within: Duration,
    /// Idle connections that are kept for each server; more are closed.
    pub idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_within: Duration,
}

impl Options {
    /// The usual bounds, with one server for everything.
    pub fn new(server: Url) -> Self {
        Self {
            push: server.clone(),
            api: server,
            ca_file: None,
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(10),
            claim_within: Duration::from_secs(120),
            silent_within: Duration::from_secs(35),
            idle_connections: 64,
            idle_within: Duration::from_secs(20),
        }
    }

    /// Has tickets read and watched at another address.
    #[must_use]
    pub fn push(mut self, push: Url) -> Self {
        self.push = push;
        self
    }
}
