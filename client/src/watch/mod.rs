//! Following one ticket to its final result.

mod events;
mod follower;
mod ladder;

use std::fmt;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};

use crate::Client;
use crate::error::Error;
use crate::ticket::{Held, Seen};
use follower::Follower;

/// A way to follow a ticket. All of them show the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// WebSocket.
    Socket,
    /// Server-Sent Events.
    Events,
    /// A request that is held until there is news.
    LongPoll,
    /// A request now and then, as often as the server asks for.
    Poll,
}

impl Way {
    /// Every way, the best first.
    pub const ALL: [Self; 4] = [Self::Socket, Self::Events, Self::LongPoll, Self::Poll];
}

/// Which ways are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    order: Vec<Way>,
    everything: bool,
}

impl Default for Ways {
    fn default() -> Self {
        Self::of(&Way::ALL)
    }
}

impl Ways {
    /// These, in this order. One that fails twice is left for the next and tried again a minute
    /// later; the last one is never left.
    pub fn of(order: &[Way]) -> Self {
        Self { order: order.to_vec(), everything: false }
    }

    /// This one alone.
    pub fn only(way: Way) -> Self {
        Self::of(&[way])
    }

    /// Tells all that the server shows, also what is not newer: for those who judge the server.
    #[must_use]
    pub fn everything(mut self) -> Self {
        self.everything = true;
        self
    }
}

/// A ticket that a watch was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The ticket.
    pub seen: Seen,
    /// On which way it came.
    pub way: Way,
    /// When its request or stream was begun: it is no older than that.
    pub begun: Instant,
}

/// Tells the versions of one ticket, up to the final one. Nothing happens between two calls of
/// [`Watch::next`]; a stream that is left alone for half a minute is closed by the server, and made
/// again by the next call.
pub struct Watch(BoxStream<'static, Result<News, Error>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Waits for the next version; none after the final one, and after an error. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<News, Error>> {
        self.0.next().await
    }
}

impl Client {
    /// Follows a ticket from the version that is held. Lost connections are made again, for as
    /// long as the watch is asked; an error is one that no further try can mend, such as a token
    /// that opens no ticket.
    pub fn watch(&self, held: &Held, ways: &Ways) -> Watch {
        let follower = Follower::new(self.clone(), held, &ways.order, ways.everything);
        let told = unfold(follower, |mut follower| async {
            let told = follower.next().await?;
            Some((told, follower))
        });
        Watch(told.fuse().boxed())
    }
}
