//! Times of those who watch their tickets.

use std::time::Duration;

use super::parse::{self, MINUTE};
use super::setting::section;

section! {
    /// WebSocket, SSE, long-poll.
    Watching in "Watching" {
        /// How often a WebSocket is pinged.
        ping_every: Duration = Plain("25s"), "DURATION", parse::duration(50..=5 * MINUTE);
        /// How long after a ping a silent WebSocket is closed.
        pong_within: Duration = Plain("10s"), "DURATION", parse::duration(50..=MINUTE);
        /// How long a WebSocket may stay open without watching a ticket.
        watch_within: Duration = Plain("30s"), "DURATION", parse::duration(50..=10 * MINUTE);
        /// How often tickets that are watched and pending are read again.
        reread_every: Duration = Plain("3s"), "DURATION", parse::duration(20..=MINUTE);
        /// How often a silent SSE stream carries a sign of life.
        heartbeat_every: Duration = Plain("15s"), "DURATION", parse::duration(50..=MINUTE);
        /// How long a peer may leave what it is sent unread before it is dropped.
        write_within: Duration = Plain("10s"), "DURATION", parse::duration(50..=MINUTE);
    }
}
