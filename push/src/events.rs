//! `GET /v1/tickets/{id}/events`: the ticket as server-sent events, until its final result.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use crate::access::Viewer;
use crate::answer;
use crate::drain::reconnect_after;
use crate::node::Node;
use crate::shown::Shown;
use crate::watch::Watch;

/// Opens a stream. Its body is produced as fast as the client reads it, so a client that does
/// not read costs its watch and nothing more.
pub(crate) async fn events(
    State(node): State<Arc<Node>>,
    viewer: Viewer,
    headers: HeaderMap,
) -> Response {
    let watch = node.watch(&viewer);
    let seen = last_event_id(&headers);
    let first = match node.first(&viewer, &watch, seen.unwrap_or(0)).await {
        Ok(first) => first,
        Err(error) => return answer::not_shown(error, node.poll_after()),
    };
    let has_it = seen == Some(first.version);
    if has_it {
        watch.skip(first.id, first.version);
    }
    let nothing_left = has_it && first.is_final;
    let watch = (!nothing_left).then_some(watch);
    let events = stream::unfold((node, watch), |(node, watch)| async {
        let watch = watch?;
        let (event, goes_on) = next(&node, &watch).await;
        Some((Ok::<_, Infallible>(event), (node, goes_on.then_some(watch))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// The next piece of the stream, and whether more follow.
async fn next(node: &Node, watch: &Watch) -> (Bytes, bool) {
    tokio::select! {
        biased;
        shown = watch.changed() => {
            node.sent(&shown);
            (event(&shown), !shown.is_final)
        }
        () = node.draining.cancelled() => {
            let after = reconnect_after(&node.settings).as_millis();
            (format!("retry: {after}\n\n").into(), false)
        }
        () = tokio::time::sleep(node.settings.heartbeat_every) => (Bytes::from_static(b":\n\n"), true),
    }
}

fn event(shown: &Shown) -> Bytes {
    let head = format!("id: {}\nevent: ticket\ndata: ", shown.version);
    [head.as_bytes(), &shown.json(), b"\n\n"].concat().into()
}

fn last_event_id(headers: &HeaderMap) -> Option<u32> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}
