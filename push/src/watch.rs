//! Watching tickets: what every stream is built on.
//!
//! The order is always the same: watch first, then read by a read that is sent after that, then
//! the versions above it. So nothing falls between the read and the first news.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sale::id::TicketId;
use tokio::sync::Notify;

use crate::hub::Hub;
use crate::shown::Shown;

/// One stream's watched tickets. Dropping it leaves the hub.
pub(crate) struct Watch {
    hub: Arc<Hub>,
    outbox: Arc<Outbox>,
}

/// A stream's outgoing side: of each watched ticket the newest version that was not taken yet.
/// A slow reader skips versions, never results, and its memory is bounded by what it watches.
#[derive(Default)]
pub(crate) struct Outbox {
    slots: Mutex<Vec<Slot>>,
    news: Notify,
}

struct Slot {
    ticket: TicketId,
    taken: u32,
    newest: Option<Arc<Shown>>,
}

impl Watch {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, outbox: Arc::default() }
    }

    /// Watches a ticket; one that is watched already stays as it is.
    pub(crate) fn add(&self, ticket: TicketId) {
        {
            let mut slots = self.outbox.slots();
            if slots.iter().any(|slot| slot.ticket == ticket) {
                return;
            }
            slots.push(Slot { ticket, taken: 0, newest: None });
        }
        self.hub.join(ticket, self.outbox.clone());
    }

    /// Watches a ticket no longer.
    pub(crate) fn remove(&self, ticket: TicketId) {
        let known = {
            let mut slots = self.outbox.slots();
            let before = slots.len();
            slots.retain(|slot| slot.ticket != ticket);
            slots.len() < before
        };
        if known {
            self.hub.leave(ticket, &self.outbox);
        }
    }

    pub(crate) fn has(&self, ticket: TicketId) -> bool {
        self.outbox.slots().iter().any(|slot| slot.ticket == ticket)
    }

    /// How many tickets are watched.
    pub(crate) fn len(&self) -> usize {
        self.outbox.slots().len()
    }

    /// Counts a version as taken: the reader has it from an earlier stream.
    pub(crate) fn skip(&self, ticket: TicketId, version: u32) {
        let mut slots = self.outbox.slots();
        if let Some(slot) = slots.iter_mut().find(|slot| slot.ticket == ticket) {
            slot.taken = slot.taken.max(version);
            let taken = slot.taken;
            slot.newest.take_if(|newest| newest.version <= taken);
        }
    }

    /// The newest version of a watched ticket that was told and not taken; it stays to be taken.
    pub(crate) fn heard(&self, ticket: TicketId) -> Option<Arc<Shown>> {
        self.outbox.slots().iter().find(|slot| slot.ticket == ticket)?.newest.clone()
    }

    /// Waits for a version above those taken before, of any watched ticket. Cancel safe.
    pub(crate) async fn changed(&self) -> Arc<Shown> {
        loop {
            if let Some(shown) = self.outbox.take() {
                return shown;
            }
            self.outbox.news.notified().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut *self.outbox.slots());
        for slot in slots {
            self.hub.leave(slot.ticket, &self.outbox);
        }
    }
}

impl Outbox {
    pub(crate) fn offer(&self, shown: &Arc<Shown>) {
        {
            let mut slots = self.slots();
            let Some(slot) = slots.iter_mut().find(|slot| slot.ticket == shown.id) else { return };
            let known = slot.newest.as_ref().map_or(slot.taken, |newest| newest.version);
            if shown.version <= known {
                return;
            }
            slot.newest = Some(shown.clone());
        }
        self.news.notify_one();
    }

    fn take(&self) -> Option<Arc<Shown>> {
        self.slots().iter_mut().find_map(|slot| {
            let shown = slot.newest.take()?;
            slot.taken = shown.version;
            Some(shown)
        })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        // Each change of a slot is one assignment, so a panic elsewhere leaves it whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use sale::id::SaleId;
    use sale::status::Move;
    use sale::ticket::{Ticket, TicketState};
    use sale::time::Timestamp;
    use sale::units::Units;

    fn pending(n: u8) -> Ticket {
        Ticket {
            id: TicketId([n; 16]),
            sale: SaleId::new("s").unwrap(),
            state: TicketState::pending(Units::ONE, Timestamp::from_millis(0).unwrap()),
        }
    }

    fn confirmed(n: u8) -> Ticket {
        let mut ticket = pending(n);
        ticket.state = ticket.state.after(Move::Confirm, ticket.state.granted_at).unwrap();
        ticket
    }

    fn version(watch: &Watch) -> Option<u32> {
        watch.changed().now_or_never().map(|shown| shown.version)
    }

    #[test]
    fn a_slow_reader_skips_versions_and_never_the_result() {
        let hub = Arc::new(Hub::default());
        let watch = Watch::new(hub.clone());
        watch.add(TicketId([1; 16]));
        hub.tell(&pending(1), hub.moment());
        hub.tell(&confirmed(1), hub.moment());
        assert_eq!(version(&watch), Some(2));
        assert_eq!(version(&watch), None);
    }

    #[test]
    fn what_was_told_is_not_told_again_and_an_older_version_is_no_news() {
        let hub = Arc::new(Hub::default());
        let watch = Watch::new(hub.clone());
        watch.add(TicketId([1; 16]));
        hub.tell(&confirmed(1), hub.moment());
        assert_eq!(version(&watch), Some(2));
        hub.tell(&confirmed(1), hub.moment());
        hub.tell(&pending(1), hub.moment());
        assert_eq!(version(&watch), None);
    }

    #[test]
    fn a_second_watcher_gets_the_newest_state_also_when_his_own_read_was_older() {
        let hub = Arc::new(Hub::default());
        let first = Watch::new(hub.clone());
        first.add(TicketId([1; 16]));
        hub.tell(&confirmed(1), hub.moment());
        let second = Watch::new(hub.clone());
        second.add(TicketId([1; 16]));
        hub.tell(&pending(1), hub.moment());
        assert_eq!(version(&second), Some(2));
    }

    #[test]
    fn who_joins_after_the_final_hears_it_without_a_read_of_his_own() {
        let hub = Arc::new(Hub::default());
        let first = Watch::new(hub.clone());
        first.add(TicketId([1; 16]));
        hub.tell(&pending(1), hub.moment());
        let second = Watch::new(hub.clone());
        second.add(TicketId([1; 16]));
        assert_eq!(version(&second), None, "what is pending may have been decided meanwhile");
        hub.tell(&confirmed(1), hub.moment());
        let third = Watch::new(hub.clone());
        third.add(TicketId([1; 16]));
        assert_eq!((version(&second), version(&third)), (Some(2), Some(2)));
    }

    #[test]
    fn who_joins_after_a_read_was_sent_is_told_what_it_found_only_if_that_is_final() {
        let hub = Arc::new(Hub::default());
        let first = Watch::new(hub.clone());
        first.add(TicketId([1; 16]));
        let sent = hub.moment();
        let second = Watch::new(hub.clone());
        second.add(TicketId([1; 16]));
        hub.tell(&pending(1), sent);
        assert_eq!((version(&first), version(&second)), (Some(1), None));
        hub.tell(&confirmed(1), sent);
        assert_eq!((version(&first), version(&second)), (Some(2), Some(2)));
    }

    #[test]
    fn a_version_that_the_reader_brought_is_not_told_and_a_higher_one_is() {
        let hub = Arc::new(Hub::default());
        let watch = Watch::new(hub.clone());
        watch.add(TicketId([1; 16]));
        hub.tell(&pending(1), hub.moment());
        watch.skip(TicketId([1; 16]), 1);
        assert_eq!(version(&watch), None);
        hub.tell(&confirmed(1), hub.moment());
        assert_eq!(version(&watch), Some(2));
    }

    #[test]
    fn the_entry_goes_with_its_last_watcher() {
        let hub = Arc::new(Hub::default());
        let (one, two) = (Watch::new(hub.clone()), Watch::new(hub.clone()));
        one.add(TicketId([1; 16]));
        one.add(TicketId([2; 16]));
        two.add(TicketId([1; 16]));
        assert_eq!(hub.watched(), 2);
        drop(one);
        assert_eq!(hub.watched(), 1);
        two.remove(TicketId([1; 16]));
        assert_eq!(hub.watched(), 0);
        hub.tell(&confirmed(1), hub.moment());
        assert_eq!(version(&two), None);
    }
}
