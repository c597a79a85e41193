//! All that buyers were told of one ticket, in constant space.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sale::id::TicketId;
use sale::status::Status;

use super::shown::Reading;
use crate::books::Sale;

/// The most states that are kept of a ticket. No ticket moves so often; further ones are passed over.
const STATES: usize = 16;

/// A ticket, as buyers were told of it.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) id: TicketId,
    pub(super) sale: &'a Sale,
    /// Who was told first, and the number of that event.
    pub(super) buyer: Arc<str>,
    pub(super) event: u64,
    pub(super) units: u64,
    /// Each state that was shown, in the order in which it was shown first.
    pub(super) states: Vec<State>,
}

/// A version and a status that were shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) version: u32,
    pub(super) status: Status,
    /// Its bytes, where it was shown first.
    pub(super) text: Box<str>,
    /// When it was shown first, and the number of that event.
    pub(super) first_at: u64,
    pub(super) event: u64,
    /// When the last of those asked who were shown it, and the number of that event.
    pub(super) last_asked: u64,
    pub(super) last_event: u64,
}

/// Every ticket that buyers were told of.
#[derive(Debug, Default)]
pub(super) struct Tickets<'a>(HashMap<TicketId, Told<'a>>);

impl<'a> Tickets<'a> {
    /// Takes a reading in; the ticket as it was told so far.
    pub(super) fn take(&mut self, reading: Reading<'_>, sale: &'a Sale) -> &Told<'a> {
        let told = match self.0.entry(reading.shown.id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Told {
                id: reading.shown.id,
                sale,
                buyer: reading.buyer.clone(),
                event: reading.event,
                units: reading.shown.units,
                states: Vec::new(),
            }),
        };
        told.take(reading);
        told
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Told<'a>> {
        self.0.values()
    }
}

impl Told<'_> {
    fn take(&mut self, reading: Reading<'_>) {
        let Reading { event, at, asked, text, shown, .. } = reading;
        let known = (self.states.iter_mut())
            .find(|state| (state.version, state.status) == (shown.version, shown.status));
        if let Some(state) = known {
            if at < state.first_at {
                (state.first_at, state.event) = (at, event);
            }
            if asked > state.last_asked {
                (state.last_asked, state.last_event) = (asked, event);
            }
        } else if self.states.len() < STATES {
            self.states.push(State {
                version: shown.version,
                status: shown.status,
                text: text.into(),
                first_at: at,
                event,
                last_asked: asked,
                last_event: event,
            });
        }
    }

    /// The final states that were shown.
    pub(super) fn finals(&self) -> impl Iterator<Item = &State> {
        self.states.iter().filter(|state| state.status.is_final())
    }

    /// Where "yours" was told first.
    pub(super) fn confirmed(&self) -> Option<&State> {
        let confirmed = self.states.iter().filter(|state| state.status == Status::Confirmed);
        confirmed.min_by_key(|state| state.first_at)
    }

    /// The newest state that was shown.
    pub(super) fn newest(&self) -> Option<&State> {
        self.states.iter().max_by_key(|state| state.version)
    }
}
