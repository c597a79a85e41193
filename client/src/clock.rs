//! The server's clock as this machine sees it.

use std::time::{Duration, Instant};

use sale::time::Timestamp;

/// The server's time, carried on by the monotonic clock, so that a change of this machine's wall
/// clock is nothing.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    server: Timestamp,
    at: Instant,
    trip: Duration,
}

impl Clock {
    /// What one sample says: the answer was given half the round trip before it came.
    pub(crate) fn sample(server: Timestamp, sent: Instant, received: Instant) -> Self {
        let trip = received.saturating_duration_since(sent);
        Self { server: server.plus(trip / 2), at: received, trip }
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        self.server.plus(self.at.elapsed())
    }

    /// How long it is until the server's clock says `moment`; zero if it is past.
    pub fn until(&self, moment: Timestamp) -> Duration {
        moment.since(self.now())
    }

    /// How far it can be off.
    pub fn error(&self) -> Duration {
        self.trip / 2
    }
}
