//! What the configuration means for each part.

use std::time::Duration;

use edge::serve::Limits;
use store::gate::Bounds;

use crate::config::Config;
use crate::running::{Steps, steps};

/// How long idle connections outlive the stop at most: longer than door.conf keeps its own.
const IDLE_AT_STOP: Duration = Duration::from_secs(2);

/// The bounds of the server for buyers.
pub(crate) fn connections(config: &Config) -> Limits {
    let Steps { connections, .. } = steps(config.serving.drain_within);
    Limits {
        connections: config.serving.connections,
        header_timeout: config.serving.header_within,
        idle_at_stop: IDLE_AT_STOP.min(connections / 2),
        ..Limits::default()
    }
}

/// The gate in the data folder.
pub(crate) fn local_gate(config: &Config) -> store::gate::local::Settings {
    store::gate::local::Settings {
        bounds: bounds(config),
        checkpoint_after: config.storage.checkpoint_after as u64,
    }
}

/// The outbox, on every engine.
pub(crate) fn bounds(config: &Config) -> Bounds {
    Bounds {
        outbox_most: config.claims.outbox_orders,
        resend_after: config.claims.resend_after,
        resend_most: config.claims.resend_most,
    }
}

/// Claims, sales, admin.
pub(crate) fn api(config: &Config) -> api::Settings {
    api::Settings {
        claims_queued: config.claims.queue_claims,
        claim_within: config.claims.claim_timeout,
        sweep_every: config.claims.sweep_every,
        answer_within: config.claims.answer_within,
        ..Default::default()
    }
}

/// Reads of tickets.
pub(crate) fn push(config: &Config) -> push::Settings {
    let Steps { connections, .. } = steps(config.serving.drain_within);
    push::Settings {
        ping_every: config.watching.ping_every,
        silent_grace: config.watching.pong_within,
        watch_within: config.watching.watch_within,
        write_within: config.watching.write_within,
        // The rest stays free for claims.
        sockets: (config.serving.connections - config.serving.connections / 8).max(1),
        heartbeat_every: config.watching.heartbeat_every,
        reread_every: config.watching.reread_every,
        resend_after: config.claims.resend_after,
        drain_over: connections / 2,
        drain_within: connections * 9 / 10,
        ..Default::default()
    }
}

/// Verdicts, retries, rounds.
pub(crate) fn worker(config: &Config) -> worker::Settings {
    let Steps { roles, .. } = steps(config.serving.drain_within);
    worker::Settings {
        retry_every: config.rounds.retry_every,
        tend_every: config.rounds.tend_every,
        retire_after: config.rounds.retire_after,
        finish_within: roles * 9 / 10,
        ..Default::default()
    }
}
