//! What can be set of the push role.

use std::time::Duration;

/// Times and bounds of the push role. Times that repeat (`every`) are not zero, and queues have
/// room for at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Between two pings of a WebSocket, and the time that its allowance of frames is for.
    pub ping_every: Duration,
    /// How long after a ping was due a silent WebSocket is closed (4408).
    pub silent_grace: Duration,
    /// How long a WebSocket may stand open without having watched anything (then 1008).
    pub watch_within: Duration,
    /// How long a WebSocket's peer may leave what it is sent unread before it is dropped.
    pub write_within: Duration,
    /// How long a closing handshake may take before the connection is dropped.
    pub close_within: Duration,
    /// Open WebSockets; one more is told to come back later (1013).
    pub sockets: usize,
    /// Between two comments of a silent event stream, so that proxies keep it.
    pub heartbeat_every: Duration,
    /// The longest that a read with `Prefer: wait` is held.
    pub hold_most: Duration,
    /// Between two reads of every watched ticket that has no final result.
    pub reread_every: Duration,
    /// How old a ticket that nobody knows must be before its order is published again, and how
    /// long until the next time.
    pub resend_after: Duration,
    /// What an idle server tells a polling client; a busy one tells up to ten times of it.
    pub poll_after: Duration,
    /// From which age on a ticket that the gate has as pending is looked up in the ledger too,
    /// when it is read.
    pub overdue_after: Duration,
    /// How long such a read waits for the ledger before it is answered as the gate has it.
    pub verdict_within: Duration,
    /// Reads that wait for the gate; one more is answered "busy".
    pub gate_queue: usize,
    /// Reads that wait for the ledger; one more is answered "busy".
    pub ledger_queue: usize,
    /// Calls of the ledger in flight, kept low so that reads never starve the worker.
    pub ledger_calls: usize,
    /// How long one read may take in all; after that the stores have given no answer.
    pub read_within: Duration,
    /// Over how long the farewells of a drain are spread.
    pub drain_over: Duration,
    /// How long a drain may take; connections that are left are dropped then.
    pub drain_within: Duration,
    /// Bounds of the delay after which a drained client comes back, drawn for each.
    pub reconnect_after: (Duration, Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(25),
            silent_grace: Duration::from_secs(10),
            watch_within: Duration::from_secs(30),
            write_within: Duration::from_secs(10),
            close_within: Duration::from_secs(1),
            sockets: 20_000,
            heartbeat_every: Duration::from_secs(15),
            hold_most: Duration::from_secs(30),
            reread_every: Duration::from_secs(3),
            resend_after: Duration::from_secs(5),
            poll_after: Duration::from_secs(1),
            overdue_after: Duration::from_millis(250),
            verdict_within: Duration::from_secs(1),
            gate_queue: 10_000,
            ledger_queue: 2_000,
            ledger_calls: 2,
            read_within: Duration::from_secs(5),
            drain_over: Duration::from_secs(3),
            drain_within: Duration::from_secs(5),
            reconnect_after: (Duration::from_millis(500), Duration::from_secs(10)),
        }
    }
}
