//! The hub: which watchers want to hear of which ticket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use sale::id::TicketId;
use sale::ticket::Ticket;

use crate::access::Viewer;
use crate::shown::Shown;
use crate::watch::Outbox;

/// A table of tickets with their watchers. It holds what is watched at present and nothing
/// else, so its bound is what the open streams may watch.
#[derive(Default)]
pub(crate) struct Hub {
    entries: DashMap<TicketId, Entry>,
    joined: AtomicU64,
}

/// When a read was sent, among the watchers that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

#[derive(Default)]
struct Entry {
    watchers: Vec<Watcher>,
    /// Somebody who has shown that he may read the ticket; read again in his name.
    viewer: Option<Viewer>,
    newest: Option<Arc<Shown>>,
}

#[derive(Clone)]
struct Watcher {
    came: u64,
    outbox: Arc<Outbox>,
}

impl Hub {
    /// The present moment; to be taken before a read is sent.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.joined.load(Ordering::Acquire))
    }

    /// Tells a ticket's watchers its state, as one of them has read it since this moment; those
    /// who have heard of this version or a higher one are not disturbed. What is not final is not
    /// told to those who came later: they may have seen more, at another node.
    pub(crate) fn tell(&self, ticket: &Ticket, since: Moment) {
        self.pass_on(ticket, since, Shown::new);
    }

    /// The same for a state that comes by itself to those who wait for it. Answers whether
    /// anybody does.
    pub(crate) fn bring(&self, ticket: &Ticket, since: Moment) -> bool {
        self.pass_on(ticket, since, Shown::awaited)
    }

    fn pass_on(
        &self,
        ticket: &Ticket,
        Moment(since): Moment,
        show: impl Fn(&Ticket) -> Shown,
    ) -> bool {
        if !self.entries.contains_key(&ticket.id) {
            return false;
        }
        let Some((watchers, newest)) = self.take_in(Arc::new(show(ticket))) else { return false };
        for Watcher { came, outbox } in watchers {
            if newest.is_final || came < since {
                outbox.offer(&newest);
            }
        }
        true
    }

    /// What a ticket's watchers were told last, or this reading where it is newer.
    pub(crate) fn newest(&self, read: &Ticket) -> Arc<Shown> {
        let told = self.entries.get(&read.id).and_then(|entry| entry.newest.clone());
        let newer = told.filter(|told| told.version > read.state.version);
        newer.unwrap_or_else(|| Arc::new(Shown::new(read)))
    }

    /// Leaves the table's lock with copies, so that nobody is woken under it.
    fn take_in(&self, shown: Arc<Shown>) -> Option<(Vec<Watcher>, Arc<Shown>)> {
        let mut entry = self.entries.get_mut(&shown.id)?;
        let newest = match entry.newest.take() {
            Some(newest) if newest.version >= shown.version => newest,
            Some(_) | None => shown,
        };
        entry.newest = Some(newest.clone());
        Some((entry.watchers.clone(), newest))
    }

    /// Notes in whose name a watched ticket can be read again.
    pub(crate) fn vouch(&self, viewer: &Viewer) {
        if let Some(mut entry) = self.entries.get_mut(&viewer.ticket()) {
            // A token can do more than its owner's JWT: it brings a lost order back.
            if !matches!(entry.viewer, Some(Viewer::Token(_))) {
                entry.viewer = Some(viewer.clone());
            }
        }
    }

    /// Who is to be asked for among the watched tickets: those without a final.
    pub(crate) fn undecided(&self) -> Vec<Viewer> {
        self.entries
            .iter()
            .filter(|entry| entry.newest.as_ref().is_none_or(|newest| !newest.is_final))
            .filter_map(|entry| entry.viewer.clone())
            .collect()
    }

    /// Tickets that are watched.
    pub(crate) fn watched(&self) -> usize {
        self.entries.len()
    }

    /// Enters a watcher. A final that others were told is told to him too: decided tickets are
    /// not read again, so he would never hear it if his own read failed.
    pub(crate) fn join(&self, ticket: TicketId, outbox: Arc<Outbox>) {
        let newest = {
            let mut entry = self.entries.entry(ticket).or_default();
            let came = self.joined.fetch_add(1, Ordering::AcqRel);
            entry.watchers.push(Watcher { came, outbox: outbox.clone() });
            entry.newest.clone()
        };
        if let Some(decided) = newest.filter(|newest| newest.is_final) {
            outbox.offer(&decided);
        }
    }

    pub(crate) fn leave(&self, ticket: TicketId, outbox: &Arc<Outbox>) {
        self.entries.remove_if_mut(&ticket, |_, entry| {
            entry.watchers.retain(|watcher| !Arc::ptr_eq(&watcher.outbox, outbox));
            entry.watchers.is_empty()
        });
    }
}
