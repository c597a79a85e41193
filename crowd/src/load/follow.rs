//! What a device does with its ticket: follow it to the final result, and look at it again.

use std::time::{Duration, Instant};

use client::{Answer, Ask, Error, Held, News, Refusal, Seen, Status, Ways};
use rand::RngExt as _;
use tokio::time::timeout_at;

use super::device::{Device, Wanted};
use super::tally::{Final, WAYS};
use crate::history::{Did, Way};

/// How long after the answer the page is loaded again, at most.
const RELOADED_WITHIN: Duration = Duration::from_millis(400);

impl Device {
    /// Follows a ticket until its final result, and looks at it again afterwards.
    pub(super) async fn follow(&mut self, wanted: &mut Wanted, held: &Held) -> Option<Final> {
        let market = self.buyer.market.clone();
        market.show(&self.buyer.who.buyer, held.id(), &mut self.dice);
        let behaviour = market.plan.behaviour;
        let give_up = Instant::now() + market.plan.patience;
        let mut known = told(&held.ticket, None);
        if known.is_none() && behaviour.reload.has(&mut self.dice) {
            let reload_at = Instant::now() + RELOADED_WITHIN.mul_f64(self.dice.random());
            known = self.watch(held, self.way, reload_at.min(give_up)).await;
            if known.is_none() {
                known = self.reload(wanted, held, give_up).await;
            }
        }
        if known.is_none() {
            known = self.watch(held, self.way, give_up).await;
        }
        let Some(known) = known else {
            self.buyer.did(Did::GaveUp { id: held.id().to_string() }).await;
            return None;
        };
        market.progress.known();
        if behaviour.again.has(&mut self.dice) {
            let other = WAYS[self.dice.random_range(0..WAYS.len())];
            self.watch(held, other, give_up).await;
        }
        if known.confirmed && behaviour.look.has(&mut self.dice) {
            self.look(held).await;
        }
        Some(known)
    }

    /// Claims as before, as the page does when it is loaded again, and reads the ticket.
    async fn reload(
        &mut self,
        wanted: &mut Wanted,
        held: &Held,
        give_up: Instant,
    ) -> Option<Final> {
        match self.claim(wanted, false, give_up).await? {
            Answer::Ticket(again) => match told(&again.ticket, None) {
                None => self.read(held).await,
                known => known,
            },
            Answer::Refused(_) => None,
        }
    }

    /// Watches on one way until the final result, or until this moment.
    async fn watch(&mut self, held: &Held, way: Way, until: Instant) -> Option<Final> {
        let ways = Ways::only(on_the_wire(way)).everything();
        let mut watch = self.client().watch(held, &ways);
        loop {
            match timeout_at(until.into(), watch.next()).await {
                Err(_) | Ok(None) => return None,
                Ok(Some(Ok(News { seen, begun, .. }))) => {
                    self.saw(way, begun, &seen).await;
                    if let Some(known) = told(&seen, Some(way)) {
                        return Some(known);
                    }
                }
                Ok(Some(Err(error))) => {
                    self.failed(held, way, &error).await;
                    return None;
                }
            }
        }
    }

    /// Reads a ticket once.
    async fn read(&mut self, held: &Held) -> Option<Final> {
        let begun = Instant::now();
        match self.client().read(held.id(), &held.token, Ask::default()).await {
            Ok(read) => {
                let seen = read.seen?;
                self.saw(Way::Poll, begun, &seen).await;
                told(&seen, Some(Way::Poll))
            }
            Err(error) => {
                self.failed(held, Way::Poll, &error).await;
                None
            }
        }
    }

    /// Reads what a buyer at his limit has already.
    pub(super) async fn read_held(&mut self, refusal: &Refusal) {
        for held in &refusal.held {
            self.read(held).await;
        }
    }

    /// Asks for a ticket of somebody else, with what opens his own, or with who he is.
    pub(super) async fn pry(&mut self, held: Option<&Held>) {
        let buyer = self.buyer.clone();
        let Some(id) = buyer.market.stranger(&buyer.who.buyer, &mut self.dice) else { return };
        let token = held.filter(|_| self.dice.random()).map(|held| &held.token);
        let credentials = token.unwrap_or(&buyer.who.jwt);
        let shown = match self.client().read(id, credentials, Ask::default()).await {
            Ok(read) => read.seen.map(|seen| seen.bytes.to_string()),
            Err(Error::NotFound(_) | Error::Unauthorized(_)) => None,
            Err(error) => return self.life.note(&buyer.market, &error),
        };
        buyer.did(Did::Foreign { id: id.to_string(), way: Way::Poll, shown }).await;
    }

    /// Looks into the ledger, after he was told that he has it.
    async fn look(&mut self, held: &Held) {
        let market = self.buyer.market.clone();
        let Some(ledger) = &market.plan.ledger else { return };
        let asked = market.recorder.now();
        match ledger.ticket(&self.buyer.sale.id, held.id()).await {
            Ok(found) => {
                let found = found.map(|entry| entry.ticket.bytes.to_string());
                self.buyer.did(Did::Looked { id: held.id().to_string(), asked, found }).await;
            }
            Err(error) => self.life.note(&market, &error),
        }
    }

    async fn saw(&self, way: Way, begun: Instant, seen: &Seen) {
        let asked = self.buyer.market.recorder.at(begun);
        self.buyer.did(Did::Saw { way, asked, ticket: seen.bytes.to_string() }).await;
    }

    async fn failed(&mut self, held: &Held, way: Way, error: &Error) {
        if matches!(error, Error::NotFound(_)) {
            self.buyer.did(Did::NotFound { id: held.id().to_string(), way }).await;
        }
        self.life.note(&self.buyer.market, error);
    }
}

fn on_the_wire(way: Way) -> client::Way {
    match way {
        Way::Socket => client::Way::Socket,
        Way::Events => client::Way::Events,
        Way::LongPoll => client::Way::LongPoll,
        Way::Poll => client::Way::Poll,
    }
}

/// The final result, if that is what the ticket tells.
fn told(seen: &Seen, way: Option<Way>) -> Option<Final> {
    let at = Instant::now();
    let confirmed = seen.ticket.status == Status::Confirmed;
    seen.ticket.is_final.then_some(Final { at, way, confirmed })
}
