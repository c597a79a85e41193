//! A buyer as a good client is: he asks again under the same key until he is answered.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::Value;

use crate::eyes::{Eyes, Way};
use crate::harness::PATIENCE;
use crate::harness::claimer::Claim;
use crate::market::{Market, Stall};
use crate::memory::{parsed, text};

/// One client of the server, who acts for a new buyer at each visit.
pub(crate) struct Buyer {
    number: u64,
    market: Arc<Market>,
    dice: StdRng,
    eyes: Eyes,
    /// Claims that have a ticket, with its id.
    had: Vec<(Stall, Claim, String)>,
}

impl Buyer {
    pub(crate) fn new(number: u64, market: Arc<Market>, way: Way, seed: u64) -> Self {
        let dice = StdRng::seed_from_u64(seed.wrapping_add(number));
        Self { number, eyes: Eyes::new(market.clone(), way), market, dice, had: Vec::new() }
    }

    /// Buys until the market closes.
    pub(crate) async fn shop(mut self) {
        for visit in 0.. {
            if self.market.closing.is_cancelled() {
                return;
            }
            if self.dice.random_bool(0.2) && !self.had.is_empty() {
                self.ask_again().await;
            } else {
                self.visit(visit).await;
            }
        }
    }

    async fn visit(&mut self, visit: u64) {
        let stall = self.market.stalls[self.dice.random_range(0..self.market.stalls.len())];
        let buyer = format!("{}-{visit}", self.number);
        for claim in stall.claims(&buyer, &mut self.dice) {
            let Some(id) = self.claim(stall, &claim, None).await else { continue };
            self.had.push((stall, claim, id.clone()));
            if self.dice.random_bool(0.75) {
                self.follow(&id).await;
            }
        }
    }

    /// A claim from before, perhaps of another life of the server: the same ticket.
    async fn ask_again(&mut self) {
        let (stall, claim, id) = self.had[self.dice.random_range(0..self.had.len())].clone();
        self.claim(stall, &claim, Some(&id)).await;
    }

    /// Claims until there is an answer; the ticket, if it is one. `had` is the ticket that an
    /// earlier answer to this claim has named.
    async fn claim(&mut self, stall: Stall, claim: &Claim, had: Option<&str>) -> Option<String> {
        let mut doubtful = had.is_some();
        loop {
            let failed = match self.send(claim).await {
                Ok((StatusCode::SERVICE_UNAVAILABLE, body)) => body,
                Ok((status, body)) => {
                    self.market.count_answer();
                    return self.answered(stall, claim, status, &body, had, doubtful);
                }
                Err(error) => format!("{error:?}"),
            };
            self.market.memory().unanswered.push(failed);
            doubtful = true;
            self.market.back_off(&mut self.dice).await;
        }
    }

    /// The ticket that this answer gives, if it is one. `doubtful` if an earlier one did not
    /// come.
    fn answered(
        &self,
        stall: Stall,
        claim: &Claim,
        status: StatusCode,
        body: &str,
        had: Option<&str>,
        doubtful: bool,
    ) -> Option<String> {
        let forgetful = self.market.memory().forgetful;
        if status == StatusCode::ACCEPTED || status == StatusCode::OK {
            let granted = status == StatusCode::ACCEPTED;
            assert!(!granted || had.is_none() || forgetful, "granted a second time: {body}");
            assert!(granted || doubtful, "granted before it was asked: {body}");
            let id = self.market.memory().answered(claim, body);
            assert!(had.is_none_or(|had| had == id), "another ticket: {body}");
            return Some(id);
        }
        assert_eq!(status, StatusCode::CONFLICT, "{claim:?}: {body}");
        assert!(had.is_none() || forgetful, "a winner was refused: {body}");
        self.refused(stall, claim, &parsed(body));
        None
    }

    async fn send(&self, claim: &Claim) -> reqwest::Result<(StatusCode, String)> {
        let answer = claim.prepare(&self.market.http, self.market.to_claim()).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    fn refused(&self, stall: Stall, claim: &Claim, problem: &Value) {
        assert_eq!(stall.may_say(), Some(text(&problem["type"])), "{claim:?}: {problem}");
        let mut memory = self.market.memory();
        if let Some(held) = problem["held"].as_array()
            && !memory.forgetful
        {
            let mut named: Vec<_> = held
                .iter()
                .map(|held| (text(&held["ticket"]["id"]), text(&held["token"])))
                .collect();
            named.sort_unstable();
            assert_eq!(named, memory.held_by(&claim.buyer), "what he holds: {problem}");
        }
        memory.refused.push(claim.clone());
    }

    /// Watches a ticket until its result is final, across any number of broken connections.
    async fn follow(&mut self, id: &str) {
        let watching = async {
            let until_final = |market: &Market| !market.memory().told[id].is_final();
            while until_final(&self.market) {
                if self.eyes.look(id).await.is_err() {
                    self.market.back_off(&mut self.dice).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, watching)
            .await
            .unwrap_or_else(|_| panic!("{id} stays without a final result"));
    }
}
