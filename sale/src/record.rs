//! What the gate knows of one buyer in one round.

use crate::id::TicketId;
use crate::ticket::TicketState;

/// The tickets of one buyer in one round, at most [`Record::MOST`].
///
/// It answers "the same claim again", counts the limit, guards every give-back, and is where
/// reads find the result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    tickets: Vec<(TicketId, TicketState)>,
}

/// What taking a newer state into a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The state is not newer than the one that stands: nothing changed.
    Stale,
    /// The state stands now. By how much the units that it holds differ from those held
    /// before, the stock moves.
    Newer {
        /// What stood before; `None` if the ticket was unknown.
        before: Option<TicketState>,
    },
}

impl Record {
    /// The most tickets of one buyer in one round, rejected ones included. At the bound a
    /// further claim is answered like one over the limit.
    pub const MOST: usize = 8;

    /// The state of one ticket.
    pub fn find(&self, ticket: TicketId) -> Option<&TicketState> {
        self.tickets.iter().find(|(id, _)| *id == ticket).map(|(_, state)| state)
    }

    /// Every ticket with its state, in the order of their grants.
    pub fn tickets(&self) -> &[(TicketId, TicketState)] {
        &self.tickets
    }

    /// The tickets that hold units.
    pub fn live(&self) -> impl Iterator<Item = &(TicketId, TicketState)> {
        self.tickets.iter().filter(|(_, state)| state.status.holds_units())
    }

    /// The units that this buyer holds, which count towards the limit.
    pub fn held(&self) -> u32 {
        self.tickets.iter().map(|(_, state)| state.held()).sum()
    }

    /// Whether another ticket fits in.
    pub fn has_room(&self) -> bool {
        self.tickets.len() < Self::MOST
    }

    /// Takes a state in if it is newer than the one that stands. The one way to write into a
    /// record: a replay, a second rejection or a late message changes nothing.
    pub fn take(&mut self, ticket: TicketId, state: TicketState) -> Taken {
        match self.tickets.iter_mut().find(|(id, _)| *id == ticket) {
            Some((_, standing)) if standing.version >= state.version => Taken::Stale,
            Some((_, standing)) => {
                let before = Some(*standing);
                *standing = state;
                Taken::Newer { before }
            }
            None => {
                self.tickets.push((ticket, state));
                Taken::Newer { before: None }
            }
        }
    }
}
