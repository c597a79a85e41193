//! The drain: everybody is sent to another node without a herd.

use std::time::Duration;

use crate::node::Node;
use crate::settings::Settings;

/// Sends everybody away; returns when no WebSocket is left.
pub(crate) async fn drain(node: &Node) {
    node.draining.cancel();
    node.sockets.close();
    let within = node.settings.drain_within;
    if tokio::time::timeout(within, node.sockets.wait()).await.is_err() {
        tracing::warn!(left = node.sockets.len(), "the drain's time is up; the rest is dropped");
        node.ended.cancel();
        node.sockets.wait().await;
    }
}

/// When one connection is said farewell: somewhere in the time that the drain is spread over.
pub(crate) fn farewell_after(settings: &Settings) -> Duration {
    settings.drain_over.mul_f64(rand::random_range(0.0..1.0))
}

/// A client's own delay before it comes back.
pub(crate) fn reconnect_after(settings: &Settings) -> Duration {
    let (shortest, longest) = settings.reconnect_after;
    shortest + longest.saturating_sub(shortest).mul_f64(rand::random_range(0.0..1.0))
}
