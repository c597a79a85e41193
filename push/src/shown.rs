//! A version of a ticket, rendered once and shared by everyone it is shown to.

use bytes::Bytes;
use sale::id::TicketId;
use sale::ticket::Ticket;
use sale::time::Timestamp;
use tokio_tungstenite::tungstenite::Utf8Bytes;

const HEAD: &str = r#"{"type":"ticket","ticket":"#;
const TAIL: &str = "}";

/// One version of a ticket, in the bytes that every path sends.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) id: TicketId,
    pub(crate) version: u32,
    pub(crate) is_final: bool,
    /// When the ticket was granted, if this is the final result that somebody waited for.
    pub(crate) awaited_since: Option<Timestamp>,
    frame: Utf8Bytes,
}

impl Shown {
    pub(crate) fn new(ticket: &Ticket) -> Self {
        Self {
            id: ticket.id,
            version: ticket.state.version,
            is_final: ticket.state.status.is_final(),
            awaited_since: None,
            frame: [HEAD, &ticket.to_json(), TAIL].concat().into(),
        }
    }

    /// The same for those who wait for it.
    pub(crate) fn awaited(ticket: &Ticket) -> Self {
        let shown = Self::new(ticket);
        Self { awaited_since: shown.is_final.then_some(ticket.state.granted_at), ..shown }
    }

    /// The ticket as one JSON object.
    pub(crate) fn json(&self) -> Bytes {
        let frame: &Bytes = self.frame.as_ref();
        frame.slice(HEAD.len()..frame.len() - TAIL.len())
    }

    /// The same object inside the WebSocket frame that tells it.
    pub(crate) fn frame(&self) -> Utf8Bytes {
        self.frame.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::frame::ServerFrame;
    use sale::id::SaleId;
    use sale::ticket::TicketState;
    use sale::units::Units;

    #[test]
    fn the_frame_is_the_protocols_and_holds_the_very_bytes_of_the_ticket() {
        let granted_at = Timestamp::from_millis(1_767_323_045_678).unwrap();
        let ticket = Ticket {
            id: TicketId([1; 16]),
            sale: SaleId::new("demo").unwrap(),
            state: TicketState::pending(Units::ONE, granted_at),
        };
        let shown = Shown::new(&ticket);
        assert_eq!(shown.frame().as_str(), ServerFrame::Ticket { ticket: &ticket }.to_json());
        assert_eq!(shown.json(), ticket.to_json());
    }
}
