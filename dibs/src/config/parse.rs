//! Reads the text of one setting. A refusal says what is allowed.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Empty text is unset, everything else is read by `parse`.
pub(super) fn optional<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> impl FnOnce(&str) -> Result<Option<T>, String> {
    |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// An IP address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "must be an IP address and a port, such as 127.0.0.1:8080, [::1]:8080, or port 0 for any \
         free one"
            .to_owned()
    })
}

/// The path of a folder.
pub(super) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must be the path of a folder".to_owned()) } else { Ok(text.into()) }
}

/// The path of a file that can be read.
pub(super) fn readable(text: &str) -> Result<PathBuf, String> {
    match std::fs::read(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!("must be the path of a file that can be read: {error}")),
    }
}

/// `true` or `false`.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Any text, a name that is compared as it stands.
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// A whole number within bounds.
pub(super) fn count(within: RangeInclusive<usize>) -> impl FnOnce(&str) -> Result<usize, String> {
    move |text| match text.parse() {
        Ok(count) if within.contains(&count) => Ok(count),
        Ok(_) | Err(_) => {
            Err(format!("must be a whole number from {} to {}", within.start(), within.end()))
        }
    }
}

/// A duration within bounds, given in milliseconds.
pub(super) fn duration(
    within_ms: RangeInclusive<u64>,
) -> impl FnOnce(&str) -> Result<Duration, String> {
    let least = Duration::from_millis(*within_ms.start());
    let most = Duration::from_millis(*within_ms.end());
    move |text| match humantime::parse_duration(text) {
        Ok(duration) if (least..=most).contains(&duration) => Ok(duration),
        Ok(_) | Err(_) => Err(format!(
            "must be a duration with its unit, such as 500ms, 30s or 5m, from {} to {}",
            humantime::format_duration(least),
            humantime::format_duration(most),
        )),
    }
}

pub(super) const MINUTE: u64 = 60_000;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;
