//! Version went back: who asks after a version was seen is shown no older one.

use std::collections::HashMap;

use sale::id::TicketId;

use super::shown::Reading;
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};
use crate::history::Way;

/// Across all ways. Each version keeps when it was seen first and when the last of its readers
/// asked, so the order of the events in the file does not matter, and answers that crossed on
/// their way accuse nobody.
pub(super) fn judge(told: &Told<'_>, findings: &mut Findings) {
    for older in &told.states {
        let newer = told.states.iter().filter(|state| state.version > older.version);
        let Some(newer) = newer.min_by_key(|state| state.first_at) else { continue };
        if older.last_asked > newer.first_at {
            findings.add(Violation {
                kind: Kind::VersionWentBack,
                says: format!(
                    "version {} was shown to a question of {} µs, version {} was seen at {} µs (event {})",
                    older.version, older.last_asked, newer.version, newer.first_at, newer.event
                ),
                buyer: Some(told.buyer.to_string()),
                ticket: Some(told.id),
                event: Some(older.last_event),
            });
        }
    }
}

/// Within one stream: the readings of a ticket on one way that were asked for at one moment.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<(TicketId, Way, u64), u32>);

impl Streams {
    pub(super) fn take(&mut self, reading: Reading<'_>, findings: &mut Findings) {
        let way = match reading.way {
            Some(way @ (Way::Socket | Way::Events)) => way,
            Some(Way::LongPoll | Way::Poll) | None => return,
        };
        let version = reading.shown.version;
        let highest = self.0.entry((reading.shown.id, way, reading.asked)).or_insert(version);
        if version < *highest {
            findings.add(Violation {
                kind: Kind::VersionWentBack,
                says: format!("one stream showed version {highest}, then version {version}"),
                buyer: Some(reading.buyer.to_string()),
                ticket: Some(reading.shown.id),
                event: Some(reading.event),
            });
        }
        *highest = version.max(*highest);
    }
}
