//! How soon buyers were served again.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::{Did, Event, Reader};

/// Counted from the moment in which the fault was undone: an engine is up again, a process is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Until claims were granted at every door, those of a probe that waits for no answer before
    /// it claims again; none if they were not in time.
    pub first_answer: Option<Duration>,
    /// Until the last of those who waited for their result at that moment was told it; none if
    /// somebody was not.
    pub all_decided: Option<Duration>,
    /// How many they were.
    pub waiting: usize,
}

/// As much of a ticket as matters here.
#[derive(Deserialize)]
struct Ticket {
    id: String,
    #[serde(rename = "final")]
    is_final: bool,
}

/// What was read so far of a history.
#[derive(Debug, Default)]
struct Reading {
    healed: u64,
    granted: HashSet<String>,
    decided: HashSet<String>,
    /// Who waited at that moment, and is not told yet.
    waiting: Option<HashSet<String>>,
    recovery: Recovery,
}

impl Recovery {
    /// Reads from a history who waited; `healed` is on its clock. The probe has told the rest.
    ///
    /// # Errors
    /// The history cannot be read.
    pub async fn read(
        history: &Path,
        healed: u64,
        first_answer: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let mut events = Reader::open(history).await?;
        let mut reading = Reading { healed, ..Reading::default() };
        while let Some(event) = events.next().await? {
            reading.add(event)?;
        }
        Ok(Self { first_answer, ..reading.end() })
    }
}

impl Reading {
    fn add(&mut self, Event { at, did, .. }: Event) -> serde_json::Result<()> {
        if at >= self.healed {
            self.heal();
        }
        match did {
            Did::Granted { ticket, .. } | Did::Saw { ticket, .. } => {
                let ticket = serde_json::from_str(&ticket)?;
                self.show(at, ticket);
            }
            Did::Claim { .. }
            | Did::Refused { .. }
            | Did::Unsure { .. }
            | Did::Unanswered { .. }
            | Did::NotFound { .. }
            | Did::Foreign { .. }
            | Did::Looked { .. }
            | Did::GaveUp { .. } => {}
        }
        Ok(())
    }

    fn heal(&mut self) {
        if self.waiting.is_none() {
            let waiting: HashSet<_> = self.granted.difference(&self.decided).cloned().collect();
            self.recovery.waiting = waiting.len();
            self.recovery.all_decided = waiting.is_empty().then_some(Duration::ZERO);
            self.waiting = Some(waiting);
        }
    }

    fn show(&mut self, at: u64, Ticket { id, is_final }: Ticket) {
        if is_final {
            self.decided.insert(id.clone());
            if let Some(waiting) = &mut self.waiting
                && waiting.remove(&id)
                && waiting.is_empty()
            {
                let since = at.saturating_sub(self.healed);
                self.recovery.all_decided = Some(Duration::from_micros(since));
            }
        }
        self.granted.insert(id);
    }

    fn end(mut self) -> Recovery {
        self.heal();
        self.recovery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Way;

    fn event(at: u64, did: Did) -> Event {
        Event { at, buyer: "ada".to_owned(), did }
    }

    fn granted(at: u64, request: &str, id: &str) -> Event {
        let (sale, request) = ("cups".to_owned(), request.to_owned());
        let ticket = format!(r#"{{"id":"{id}","final":false}}"#);
        event(at, Did::Granted { sale, intent: 0, request, asked: 0, ticket })
    }

    fn told(at: u64, id: &str) -> Event {
        let ticket = format!(r#"{{"id":"{id}","final":true}}"#);
        event(at, Did::Saw { way: Way::Socket, asked: 0, ticket })
    }

    fn read(healed: u64, events: Vec<Event>) -> Recovery {
        let mut reading = Reading { healed, ..Reading::default() };
        for event in events {
            reading.add(event).unwrap();
        }
        reading.end()
    }

    #[test]
    fn all_are_decided_when_the_last_who_waited_at_healing_is_told() {
        let events = vec![
            granted(10, "1", "a"),
            granted(20, "2", "b"),
            granted(30, "3", "c"),
            told(40, "a"),
            told(130, "b"),
            granted(140, "4", "d"),
            told(160, "c"),
            told(190, "d"),
        ];
        let recovery = read(100, events);
        assert_eq!(recovery.all_decided, Some(Duration::from_micros(60)));
        assert_eq!(recovery.waiting, 2);
    }

    #[test]
    fn who_is_never_told_leaves_no_figure() {
        let recovery = read(100, vec![granted(10, "1", "a"), told(150, "other")]);
        assert_eq!((recovery.all_decided, recovery.waiting), (None, 1));
    }
}
