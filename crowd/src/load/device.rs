//! One device of a buyer: it claims until there is a yes or a no, and follows the ticket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Answer, Claim, Client, Error, Refusal, RequestId, Units, Why, pause_after};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{sleep, sleep_until};

use super::buyer::Buyer;
use super::tally::{self, Claimed, Life};
use crate::history::{Did, Way};

/// How long who was too early waits at least, whatever the clocks say.
const NOT_YET: Duration = Duration::from_millis(200);

pub(super) struct Device {
    pub(super) buyer: Arc<Buyer>,
    /// The door that it goes to first.
    door: usize,
    pub(super) way: Way,
    pub(super) dice: StdRng,
    pub(super) life: Life,
}

/// Something that he wants, as he asks for it.
pub(super) struct Wanted {
    intent: u32,
    pub(super) claim: Claim,
    /// How often he has asked.
    attempts: u64,
}

impl Device {
    pub(super) fn new(buyer: &Arc<Buyer>, door: usize, dice: &mut StdRng) -> Self {
        let mut dice = StdRng::seed_from_u64(dice.random());
        let way = buyer.market.plan.mix.way(&mut dice);
        Self { buyer: buyer.clone(), door, way, dice, life: Life::default() }
    }

    /// What it reads and watches with.
    pub(super) fn client(&self) -> &Client {
        self.buyer.market.client(self.door)
    }

    /// Buys, from this moment on.
    pub(super) async fn buy(mut self, tap: Instant) -> Life {
        let give_up = tap + self.buyer.market.plan.patience;
        let mut due = tap;
        while let Some(again) = self.want(due, give_up).await {
            sleep_until(again.into()).await;
            due = again;
        }
        self.life
    }

    /// Claims something, and follows it to its end. Too early, it tells when to want it again.
    async fn want(&mut self, due: Instant, give_up: Instant) -> Option<Instant> {
        let mut wanted = self.wanted();
        let behaviour = self.buyer.market.plan.behaviour;
        let twice = behaviour.double_tap.has(&mut self.dice);
        // Who was too early has his whole patience again.
        let until = due + self.buyer.market.plan.patience;
        let answer = self.claim(&mut wanted, twice, until).await;
        let at = Instant::now();
        let (mut again, mut held) = (None, None);
        let answer = match answer {
            None => {
                self.unanswered(&wanted).await;
                None
            }
            Some(Answer::Refused(refusal)) => {
                again = self.opening(&refusal).filter(|again| *again < give_up);
                self.read_held(&refusal).await;
                Some((at, tally::Answer::Refused(refusal.problem)))
            }
            Some(Answer::Ticket(ticket)) => {
                let known = self.follow(&mut wanted, &ticket).await;
                held = Some(ticket);
                Some((at, tally::Answer::Granted(known)))
            }
        };
        if again.is_none() && behaviour.foreign.has(&mut self.dice) {
            self.pry(held.as_ref()).await;
        }
        self.life.claims.push(Claimed { due, attempts: wanted.attempts, answer });
        again
    }

    fn wanted(&mut self) -> Wanted {
        let Buyer { market, sale, who, .. } = &*self.buyer;
        let most = market.plan.most_units.min(sale.limit).get();
        let request = format!("{:032x}", self.dice.random::<u128>());
        let claim = Claim {
            sale: sale.id.clone(),
            round: Some(sale.round),
            request: RequestId::new(&request).expect("32 hexadecimal digits are visible ASCII"),
            units: Units::new(self.dice.random_range(1..=most.into()))
                .expect("a limit is one of units"),
            jwt: who.jwt.clone(),
        };
        Wanted { intent: self.buyer.intent(), claim, attempts: 0 }
    }

    /// Asks until there is an answer, each time at the next door; the first time with both thumbs,
    /// if `twice`.
    pub(super) async fn claim(
        &mut self,
        wanted: &mut Wanted,
        twice: bool,
        give_up: Instant,
    ) -> Option<Answer> {
        for tries in 0.. {
            let taps = if twice && tries == 0 { 2 } else { 1 };
            wanted.attempts += taps as u64;
            let (mut best, mut failed) = (None, None);
            let doors = (0..taps).map(|tap| self.door + tries as usize + tap);
            for result in join_all(doors.map(|door| self.attempt(wanted, door))).await {
                match result {
                    Ok(ticket @ Answer::Ticket(_)) => best = Some(ticket),
                    Ok(refused) => best = best.or(Some(refused)),
                    Err(error) => {
                        self.life.note(&self.buyer.market, &error);
                        failed = Some(error);
                    }
                }
            }
            if best.is_some() {
                return best;
            }
            let error = failed?;
            let pause = pause_after(&error, tries);
            if !error.is_worth_another_try() || Instant::now() + pause >= give_up {
                return None;
            }
            sleep(pause).await;
        }
        None
    }

    /// Sends the claim once.
    async fn attempt(&self, wanted: &Wanted, door: usize) -> Result<Answer, Error> {
        let market = &self.buyer.market;
        let Wanted { intent, claim, .. } = wanted;
        let (sale, request) = (claim.sale.as_str().to_owned(), claim.request.as_str().to_owned());
        let (intent, units) = (*intent, u32::from(claim.units.get()));
        let did = Did::Claim { sale: sale.clone(), intent, request: request.clone(), units };
        self.buyer.did(did).await;
        let asked = market.recorder.now();
        let answer = market.client(door).claim_once(claim).await;
        let did = match &answer {
            Ok(Answer::Ticket(held)) => {
                market.progress.granted();
                let ticket = held.ticket.bytes.to_string();
                Did::Granted { sale, intent, request, asked, ticket }
            }
            Ok(Answer::Refused(Refusal { problem, .. })) => {
                market.progress.refused();
                Did::Refused { sale, intent, request, problem: problem.clone() }
            }
            Err(error) => Did::Unsure { sale, intent, request, why: error.to_string() },
        };
        self.buyer.did(did).await;
        answer
    }

    async fn unanswered(&self, Wanted { intent, claim, .. }: &Wanted) {
        let (sale, request) = (claim.sale.as_str().to_owned(), claim.request.as_str().to_owned());
        self.buyer.did(Did::Unanswered { sale, intent: *intent, request }).await;
    }

    /// When the sale opens, if that is why it was refused.
    fn opening(&self, refusal: &Refusal) -> Option<Instant> {
        match refusal.why {
            Why::NotOpen { opens_at } => {
                Some(self.buyer.market.moment(opens_at?).max(Instant::now() + NOT_YET))
            }
            Why::Closed
            | Why::SoldOut
            | Why::TooFewLeft { .. }
            | Why::LimitReached
            | Why::UnitsDiffer
            | Why::Other => None,
        }
    }
}
