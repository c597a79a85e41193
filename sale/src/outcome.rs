//! What the log carries from ledger to watchers: versions of tickets.

use serde::{Deserialize, Serialize};

use crate::id::{InstallId, SaleId, TicketId};
use crate::ticket::{Ticket, TicketState};

/// One version of a ticket's state, as decided by the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Message", into = "Message")]
pub struct Outcome {
    /// The database that decided.
    pub install: InstallId,
    /// The ticket at this version.
    pub ticket: Ticket,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Message {
    #[serde(rename = "outcome.v1")]
    V1(OutcomeV1),
}

#[derive(Serialize, Deserialize)]
struct OutcomeV1 {
    install: InstallId,
    ticket: TicketId,
    sale: SaleId,
    #[serde(flatten)]
    state: TicketState,
}

impl Outcome {
    /// The message's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an outcome has text keys and plain values only")
    }

    /// Reads a message's text, of any version that was ever written.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

impl From<Outcome> for Message {
    fn from(outcome: Outcome) -> Self {
        let Outcome { install, ticket: Ticket { id: ticket, sale, state } } = outcome;
        Self::V1(OutcomeV1 { install, ticket, sale, state })
    }
}

impl From<Message> for Outcome {
    fn from(message: Message) -> Self {
        let Message::V1(OutcomeV1 { install, ticket: id, sale, state }) = message;
        Self { install, ticket: Ticket { id, sale, state } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Move, Reason};
    use crate::time::Timestamp;
    use crate::units::Units;

    fn outcome(by: Move) -> Outcome {
        let granted_at = Timestamp::from_millis(1_767_323_045_678).unwrap();
        let decided_at = Timestamp::from_millis(1_767_323_045_999).unwrap();
        let state = TicketState::pending(Units::ONE, granted_at).after(by, decided_at).unwrap();
        let sale = SaleId::new("demo").unwrap();
        let ticket = Ticket { id: TicketId([1; 16]), sale, state };
        Outcome { install: InstallId([9; 16]), ticket }
    }

    #[test]
    fn the_text_of_an_outcome_is_the_golden_file_and_is_read_for_ever() {
        let golden = include_str!("../golden/outcome.v1.jsonl");
        let outcomes = [outcome(Move::Confirm), outcome(Move::Reject(Reason::SoldOut))];
        assert_eq!(golden.lines().count(), outcomes.len());
        for (line, outcome) in golden.lines().zip(outcomes) {
            assert_eq!(outcome.to_json(), line);
            assert_eq!(Outcome::from_json(line.as_bytes()).unwrap(), outcome);
        }
    }

    #[test]
    fn an_unknown_version_or_status_is_refused() {
        let text = outcome(Move::Confirm).to_json();
        for (from, to) in [("outcome.v1", "outcome.v2"), ("confirmed", "maybe")] {
            assert!(Outcome::from_json(text.replace(from, to).as_bytes()).is_err());
        }
    }
}
