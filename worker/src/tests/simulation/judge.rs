//! What must hold at every moment, and at rest.

use std::collections::HashMap;

use sale::grant::Answer;
use sale::id::{BatchId, BuyerId};
use sale::status::Status;
use store::Seams;
use store::ledger::Row;

use super::world::{LIMIT, STOCK, World};
use crate::tests::bench::{eventually, in_time};
use crate::tests::recovering::eager;

impl World {
    /// What must hold at every moment.
    pub(super) async fn check(&mut self) {
        let (ledger, round) = (&self.bench.seams.ledger, self.sale.round);
        let counts = patiently(async || ledger.counts(round).await).await.unwrap();
        let rows = patiently(async || ledger.tickets(round, None, None, 100).await).await;
        let mut held = HashMap::<BuyerId, u32>::new();
        for Row { buyer, ticket } in &rows {
            assert!(ticket.state.status.is_final(), "{ticket:?}");
            *held.entry(buyer.clone()).or_default() += ticket.state.held();
            let first = self.finals.entry(ticket.id).or_insert(ticket.state);
            assert_eq!(*first, ticket.state, "a result changed");
        }
        assert_eq!(rows.len(), self.finals.len(), "a result is gone");
        assert!(held.values().all(|units| *units <= LIMIT), "{held:?}");
        let confirmed: u32 = held.values().sum();
        assert!(confirmed <= STOCK, "{confirmed} are confirmed");
        assert_eq!((counts.stock, counts.sold()), (STOCK, confirmed));
        if !self.lost {
            let rejected = rows.iter().find(|row| row.ticket.state.status != Status::Confirmed);
            assert!(rejected.is_none(), "a gate that lost nothing granted it: {rejected:?}");
        }
        let gate = &self.bench.seams.gate;
        if let Ok(figures) = gate.figures(self.slot()).await {
            let taken = i64::try_from(figures.held + figures.sold).unwrap();
            assert_eq!(figures.available + taken, i64::from(STOCK), "{figures:?}");
            assert!(self.lost || figures.available >= 0, "{figures:?}");
        }
        let asked: Vec<_> =
            self.claims.iter().map(|claim| (claim.ticket, claim.buyer.clone())).collect();
        let told = gate.read(self.slot(), &asked).await.unwrap_or_default();
        for ((claim, told), token) in self.claims.iter().zip(told).zip(&self.tokens) {
            assert!(self.lost || !token || told.is_some(), "the gate forgot {claim:?}");
            if let Some(told) = told.filter(|told| told.status.is_final()) {
                assert_eq!(self.finals.get(&claim.ticket), Some(&told), "the ledger has it so");
            }
        }
    }

    /// Two whole workers, a sweeper and the readers of all tokens, without a further fault.
    pub(super) async fn comes_to_rest(mut self) {
        self.workers.clear();
        self.poison(false).await;
        let _sweeper = self.bench.sweep(&self.sale);
        let running = [self.bench.start(eager()), self.bench.start(eager())];
        eventually("rest", async || {
            for claim in 0..self.claims.len() {
                self.reread(claim).await;
            }
            self.try_all_again().await;
            self.is_at_rest().await
        })
        .await;
        for worker in running {
            worker.end().await;
        }
        self.check().await;
        let tokens = self.claims.iter().zip(&self.tokens).filter(|(_, token)| **token);
        for (claim, _) in tokens {
            let (gate, again) = (&self.bench.seams.gate, std::slice::from_ref(claim));
            let id = BatchId(rand::random());
            let grants = patiently(async || gate.grant(self.slot(), id, again).await).await;
            let stands = Answer::Standing(self.finals[&claim.ticket]);
            assert_eq!(grants.answers, [stands], "the same request finds the same ticket");
        }
    }

    /// What is set aside is due at once, as when an operator has it sent again.
    async fn try_all_again(&self) {
        let Seams { gate, ledger, .. } = &self.bench.seams;
        for row in patiently(async || ledger.aside(None, 100).await).await {
            let ticket = row.order.ticket;
            patiently(async || ledger.release(ticket, false, gate.now()).await).await;
        }
    }

    async fn is_at_rest(&self) -> bool {
        let seams = &self.bench.seams;
        let asked: Vec<_> = self.claims.iter().map(|claim| claim.ticket).collect();
        let (ledger, round) = (&seams.ledger, self.sale.round);
        let rows = patiently(async || ledger.read(&asked).await).await;
        let decided = rows.iter().zip(&self.tokens).all(|(row, token)| row.is_some() || !token);
        let row = patiently(async || ledger.sale_of(round).await).await.unwrap();
        let counts = patiently(async || ledger.counts(round).await).await.unwrap();
        let Ok(gate) = seams.gate.figures(self.slot()).await else { return false };
        decided
            && row.loaded
            && !gate.frozen
            && gate.incarnation == row.incarnation
            && (gate.undecided, gate.held) == (0, 0)
            && gate.available == i64::from(counts.available)
            && gate.sold == u64::from(counts.sold())
    }
}

/// Asks until there is an answer: a busy machine may take longer than a call may.
async fn patiently<T, E>(call: impl AsyncFn() -> Result<T, E>) -> T {
    in_time("an answer", async {
        loop {
            if let Ok(answer) = call().await {
                return answer;
            }
        }
    })
    .await
}
