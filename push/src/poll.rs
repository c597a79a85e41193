//! `GET /v1/tickets/{id}`: the ticket, at once or held for another version.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use tokio::time::Instant;

use crate::access::Viewer;
use crate::answer;
use crate::node::Node;
use crate::present::NotShown;
use crate::shown::Shown;

/// Answers a poll. With `If-None-Match` and `Prefer: wait=N` it is held as long as the ticket
/// is at the version that the client has.
pub(crate) async fn ticket(
    State(node): State<Arc<Node>>,
    viewer: Viewer,
    headers: HeaderMap,
) -> Response {
    let known = Known::from(&headers);
    let wait = prefer_wait(&headers);
    let read = match wait {
        Some(wait) => held(&node, &viewer, &known, wait.min(node.settings.hold_most)).await,
        None => {
            let read = node.present.read(&viewer, known.highest()).await;
            read.map(|ticket| node.hub.newest(&ticket))
        }
    };
    let mut response = match read {
        Ok(shown) if known.has(shown.version) => answer::not_modified(&shown, node.poll_after()),
        Ok(shown) => answer::ticket(&shown, node.poll_after()),
        Err(error) => return answer::not_shown(error, node.poll_after()),
    };
    if wait.is_some() {
        let applied = HeaderName::from_static("preference-applied");
        response.headers_mut().insert(applied, HeaderValue::from_static("wait"));
    }
    response
}

/// The ticket at a version that is not `known`, or the present one when the time is up or the
/// node drains.
async fn held(
    node: &Node,
    viewer: &Viewer,
    known: &Known,
    wait: Duration,
) -> Result<Arc<Shown>, NotShown> {
    let until = Instant::now() + wait;
    let watch = node.watch(viewer);
    let mut newest = node.first(viewer, &watch, known.highest()).await?;
    let news = async {
        while known.has(newest.version) {
            newest = watch.changed().await;
        }
    };
    tokio::select! {
        () = news => node.sent(&newest),
        () = tokio::time::sleep_until(until) => {}
        () = node.draining.cancelled() => {}
    }
    Ok(newest)
}

/// The versions that a client has, by `If-None-Match`. What is not a quoted version counts as
/// none, so that a bad cursor is answered with the present state.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Any,
    Versions(Vec<u32>),
}

impl Known {
    fn from(headers: &HeaderMap) -> Self {
        let tags: Vec<&str> = headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        if tags == ["*"] {
            return Self::Any;
        }
        let version = |tag: &&str| {
            let quoted = tag.strip_prefix("W/").unwrap_or(tag);
            quoted.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
        };
        Self::Versions(tags.iter().filter_map(version).collect())
    }

    fn highest(&self) -> u32 {
        match self {
            Self::Any => 0,
            Self::Versions(versions) => versions.iter().copied().max().unwrap_or(0),
        }
    }

    fn has(&self, version: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// The `wait` of `Prefer` (RFC 7240), in whole seconds; the first one counts.
fn prefer_wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("wait").then(|| value.parse().ok())?
        })
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let value =
            |value: &&str| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        values.iter().map(value).collect()
    }

    #[test]
    fn versions_are_read_from_if_none_match_and_garbage_counts_as_none() {
        let known = |values: &[&str]| Known::from(&headers("if-none-match", values));
        assert_eq!(known(&["\"1\""]), Known::Versions(vec![1]));
        assert_eq!(known(&["W/\"1\", \"2\"", "\"3\""]), Known::Versions(vec![1, 2, 3]));
        assert_eq!(known(&["*"]), Known::Any);
        for garbage in ["", "1", "\"", "\"x\"", "\"-1\"", "\"99999999999\"", "'1'", ",,"] {
            assert_eq!(known(&[garbage]), Known::Versions(vec![]), "{garbage}");
        }
    }

    #[test]
    fn the_wait_is_read_from_prefer_and_garbage_counts_as_none() {
        let wait = |values: &[&str]| prefer_wait(&headers("prefer", values));
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(&["wait=10"]), seconds(10));
        assert_eq!(wait(&["respond-async, Wait = \"7\"; x=y"]), seconds(7));
        assert_eq!(wait(&["respond-async", "wait=3, wait=9"]), seconds(3));
        for garbage in ["", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "waits=3"] {
            assert_eq!(wait(&[garbage]), None, "{garbage}");
        }
    }
}
