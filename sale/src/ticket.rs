//! What a buyer sees: the ticket, and the state in it that moves.

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{SaleId, TicketId};
use crate::status::{IllegalMove, Move, Status};
use crate::time::{Timestamp, millis};
use crate::units::Units;

/// The part of a ticket that gate and ledger keep. Each move of the status adds one to
/// `version`, so of two states of a ticket the higher version is the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketState {
    /// What was claimed; it stays also when the ticket is rejected.
    pub units: Units,
    /// Where it stands.
    #[serde(flatten)]
    pub status: Status,
    /// 1 when granted.
    pub version: u32,
    /// When the gate granted it, by the gate's clock.
    #[serde(with = "millis")]
    pub granted_at: Timestamp,
    /// When the ledger reached the verdict.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
}

impl TicketState {
    /// A ticket as the gate grants it.
    pub fn pending(units: Units, granted_at: Timestamp) -> Self {
        Self { units, status: Status::Pending, version: 1, granted_at, decided_at: None }
    }

    /// The same ticket after a move, with the next version.
    pub fn after(self, by: Move, at: Timestamp) -> Result<Self, IllegalMove> {
        Ok(Self {
            status: self.status.after(by)?,
            version: self.version + 1,
            decided_at: Some(at),
            ..self
        })
    }

    /// Whether it is pending for this long. Such a ticket of a gate may be decided: the gate was
    /// set back, or has not been told.
    pub fn is_overdue(&self, after: Duration, now: Timestamp) -> bool {
        self.status == Status::Pending && now.since(self.granted_at) >= after
    }

    /// The units that it keeps away from others at present.
    pub fn held(&self) -> u32 {
        if self.status.holds_units() { u32::from(self.units.get()) } else { 0 }
    }
}

/// A ticket as every path shows it: one JSON object, the same bytes at the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its id, which also names the round.
    pub id: TicketId,
    /// The sale it belongs to.
    pub sale: SaleId,
    /// Its state.
    pub state: TicketState,
}

impl Ticket {
    /// The JSON text. Both `GET` and every stream send exactly this.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a ticket has text keys and plain values only")
    }
}

impl Serialize for Ticket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ticket = serializer.serialize_struct("Ticket", 10)?;
        ticket.serialize_field("id", &self.id)?;
        ticket.serialize_field("sale", &self.sale)?;
        ticket.serialize_field("round", &self.id.round())?;
        ticket.serialize_field("units", &self.state.units)?;
        ticket.serialize_field("status", self.state.status.name())?;
        ticket.serialize_field("reason", &self.state.status.reason())?;
        ticket.serialize_field("version", &self.state.version)?;
        ticket.serialize_field("final", &self.state.status.is_final())?;
        ticket.serialize_field("granted_at", &self.state.granted_at)?;
        ticket.serialize_field("decided_at", &self.state.decided_at)?;
        ticket.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Reason;

    fn ticket() -> Ticket {
        Ticket {
            id: TicketId([1; 16]),
            sale: SaleId::new("demo").unwrap(),
            state: TicketState::pending(
                Units::ONE,
                Timestamp::parse("2026-01-02T03:04:05.678Z").unwrap(),
            ),
        }
    }

    #[test]
    fn the_json_of_a_ticket_is_the_contract() {
        assert_eq!(
            ticket().to_json(),
            r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"demo","round":"16843009","units":1,"status":"pending","reason":null,"version":1,"final":false,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":null}"#
        );
        let mut rejected = ticket();
        let at = Timestamp::parse("2026-01-02T03:04:06Z").unwrap();
        rejected.state = rejected.state.after(Move::Reject(Reason::SoldOut), at).unwrap();
        assert_eq!(
            rejected.to_json(),
            r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"demo","round":"16843009","units":1,"status":"rejected","reason":"sold_out","version":2,"final":true,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":"2026-01-02T03:04:06.000Z"}"#
        );
    }

    #[test]
    fn a_rejected_ticket_holds_no_units_but_still_tells_what_was_asked() {
        let state = ticket().state;
        let rejected = state.after(Move::Reject(Reason::Limit), state.granted_at).unwrap();
        assert_eq!((rejected.held(), rejected.units), (0, Units::ONE));
        assert!(rejected.after(Move::Confirm, state.granted_at).is_err());
    }
}
