//! The times of one gate, brought into a form that is the same on both sides if the gates are
//! alike.

use std::collections::HashMap;

use sale::grant::{Answer, Claim};
use sale::id::TicketId;
use sale::order::{Batch, OrderV1};
use sale::terms::Window;
use sale::ticket::TicketState;
use sale::time::Timestamp;

/// The times that one gate has answered or was given.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) granted_at: HashMap<TicketId, Timestamp>,
    /// Each with the hours from the gate's clock that it was made of.
    windows: Vec<(Window, (i64, i64))>,
}

/// The moment that every grant is moved to.
pub(crate) fn origin() -> Timestamp {
    Timestamp::from_millis(1_767_323_000_000).unwrap()
}

fn hours(from: Timestamp, hours: i64) -> Timestamp {
    Timestamp::from_millis(from.millis() + hours * 3_600_000).unwrap()
}

fn window((opens, closes): (i64, i64), now: Timestamp) -> Window {
    Window::new(hours(now, opens), hours(now, closes)).unwrap()
}

impl Times {
    /// A window so many hours from this gate's clock.
    pub(crate) fn window(&mut self, hours: (i64, i64), now: Timestamp) -> Window {
        let window = window(hours, now);
        self.windows.push((window, hours));
        window
    }

    /// The same window around the origin.
    pub(crate) fn relative(&self, given: Window) -> Window {
        let found = self.windows.iter().find(|(window, _)| *window == given);
        window(found.expect("a window that was given").1, origin())
    }

    /// The state with its times moved, so that the grant is at the origin.
    pub(crate) fn state(&self, ticket: TicketId, state: &TicketState) -> TicketState {
        assert_eq!(state.granted_at, self.granted_at[&ticket], "of {ticket}");
        let decided_at = state.decided_at.map(|at| origin().plus(at.since(state.granted_at)));
        TicketState { granted_at: origin(), decided_at, ..*state }
    }

    pub(crate) fn answer(&self, claim: &Claim, answer: &Answer) -> Answer {
        let of_claim = |state| self.state(claim.ticket, state);
        match answer {
            Answer::Granted(state) => Answer::Granted(of_claim(state)),
            Answer::Standing(state) => Answer::Standing(of_claim(state)),
            Answer::UnitsDiffer(state) => Answer::UnitsDiffer(of_claim(state)),
            Answer::LimitReached(held) => {
                let held = held.iter().map(|(ticket, state)| (*ticket, self.state(*ticket, state)));
                Answer::LimitReached(held.collect())
            }
            Answer::NotOpen
            | Answer::Closed
            | Answer::SoldOut
            | Answer::TooFewLeft(_)
            | Answer::OutboxFull => answer.clone(),
        }
    }

    pub(crate) fn batch(&self, batch: &Batch) -> Batch {
        let order = |order: &OrderV1| {
            let granted_at = self.state(order.ticket, &order.pending()).granted_at;
            OrderV1 { granted_at, ..order.clone() }
        };
        let orders = batch.orders().iter().map(order).collect();
        Batch::new(batch.install, batch.id, batch.sequence, orders).unwrap()
    }
}
