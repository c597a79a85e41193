//! Random histories of calls, cut by crashes while checkpoints are being taken.

use std::collections::{HashMap, HashSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sale::grant::{Answer, Claim};
use sale::id::BatchId;
use sale::status::{Move, Reason};
use sale::terms::Restock;
use sale::ticket::TicketState;
use store::gate::local::Settings;
use store::gate::{Decided, Figures, Gate, GateError, Settlement, Slot, Snapshot};

use super::contract::{self, Round};
use super::{copy_as_a_crash_would, intruder, number, open, open_with};

/// One round under a random history of calls, and what it must be after a crash.
struct Played {
    snapshot: Snapshot,
    round: Round,
    live: bool,
    frozen: bool,
    tickets: Vec<(Claim, TicketState)>,
    /// What a rebuild did not know of.
    forgotten: Vec<Claim>,
    undecided: HashMap<BatchId, Vec<usize>>,
}

impl Played {
    async fn new(gate: &Gate) -> Self {
        let snapshot = contract::snapshot(gate, 40, 2);
        let slot = Slot::first(snapshot.terms.round);
        let round = Round { gate: gate.clone(), slot, stock: 40 };
        Self {
            snapshot,
            round,
            live: false,
            frozen: false,
            tickets: vec![],
            forgotten: vec![],
            undecided: HashMap::new(),
        }
    }

    /// One call, whichever it is.
    async fn play(&mut self, random: &mut StdRng, n: usize) {
        let gate = self.round.gate.clone();
        match random.random_range(0..20) {
            _ if self.frozen && self.undecided.is_empty() => self.rebuild().await,
            _ if self.frozen => self.decide_one().await,
            _ if !self.live => {
                assert!(gate.warm(self.snapshot.clone(), None).await.unwrap());
                (self.live, self.round.stock) = (true, 40);
                self.tickets.clear();
                self.undecided.clear();
            }
            0 => {
                gate.retire(self.round.slot.round).await.unwrap();
                self.snapshot.incarnation += 1;
                self.live = false;
            }
            1 => {
                gate.freeze(self.round.slot, self.snapshot.incarnation).await.unwrap();
                self.frozen = true;
            }
            2 => {
                let change = Restock::new(random.random_range(1..9) * [1, -1][n % 2]).unwrap();
                let applied = gate.restock(self.round.slot, &format!("k{n}"), &change).await;
                self.round.stock += i64::from(applied.unwrap());
            }
            3 => {
                self.snapshot.terms.version += 1;
                gate.set_terms(self.snapshot.terms.clone()).await.unwrap();
            }
            4..12 => {
                let buyers = random.random_range(1..6);
                let claims: Vec<_> =
                    (0..buyers).map(|b| self.round.claim(&format!("b{n}-{b}"), "", 1)).collect();
                let grants = self.round.grant(&claims).await;
                let mut granted = Vec::new();
                for (claim, answer) in claims.into_iter().zip(grants.answers) {
                    if let Answer::Granted(state) = answer {
                        granted.push(self.tickets.len());
                        self.tickets.push((claim, state));
                    }
                }
                if let Some(batch) = grants.batch {
                    self.undecided.insert(batch.id, granted);
                }
            }
            _ => self.decide_one().await,
        }
    }

    /// Takes the verdicts on one batch in, if there is one.
    async fn decide_one(&mut self) {
        let Some(id) = self.undecided.keys().next().copied() else { return };
        let mut verdicts = Vec::new();
        for ticket in self.undecided.remove(&id).unwrap() {
            let (claim, state) = &mut self.tickets[ticket];
            let by = if ticket % 3 == 0 { Move::Reject(Reason::Deadline) } else { Move::Confirm };
            let verdict = self.round.verdict(claim, state, by);
            *state = verdict.state;
            verdicts.push(verdict);
        }
        self.round.settle(&verdicts, &[Decided { batch: id, sequence: 0 }]).await;
    }

    /// Puts the next incarnation in the place of a gate that is frozen and drained; the ledger
    /// has lost one of its tickets.
    async fn rebuild(&mut self) {
        let drained = self.round.audit().await;
        self.snapshot.incarnation += 1;
        let mut available = drained.available;
        if let Some((claim, state)) = self.tickets.pop() {
            available += i64::from(state.held());
            self.forgotten.push(claim);
        }
        let tickets = self.tickets.iter().map(|(claim, state)| Settlement {
            ticket: claim.ticket,
            buyer: claim.buyer.clone(),
            state: *state,
        });
        let snapshot = Snapshot { tickets: tickets.collect(), available, ..self.snapshot.clone() };
        assert!(self.round.gate.warm(snapshot, Some(drained.sequence)).await.unwrap());
        self.frozen = false;
    }

    async fn figures(&self) -> Option<Figures> {
        if self.live { Some(self.round.audit().await) } else { None }
    }

    /// The round in a gate that was rebuilt is the round in the one that lives.
    async fn is_the_same_in(&self, rebuilt: &Gate) {
        let mirror =
            Round { gate: rebuilt.clone(), slot: self.round.slot, stock: self.round.stock };
        let Some(figures) = self.figures().await else {
            let gone = rebuilt.figures(mirror.slot).await;
            assert!(matches!(gone, Err(GateError::NotWarm(_))), "{gone:?}");
            return;
        };
        assert_eq!(mirror.audit().await, figures);
        for (claim, state) in self.tickets.iter().filter(|_| !self.frozen) {
            let read = rebuilt.read(mirror.slot, &[(claim.ticket, claim.buyer.clone())]).await;
            assert_eq!(read.unwrap(), [Some(*state)]);
        }
        for claim in self.forgotten.iter().filter(|_| !self.frozen) {
            assert_eq!(mirror.read(claim).await, None);
        }
        let overdue = rebuilt.resend(mirror.slot, 10_000).await.unwrap();
        let overdue: HashSet<_> = overdue.iter().map(|batch| batch.id).collect();
        assert_eq!(overdue, self.undecided.keys().copied().collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_history_is_rebuilt_whatever_a_checkpoint_has_seen_of_it() {
    for seed in 0..3 {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { checkpoint_after: 1, ..Settings::default() };
        let gate = open_with(folder.path(), settings).await;
        let mut rounds = Vec::new();
        for _ in 0..3 {
            rounds.push(Played::new(&gate).await);
        }
        let mut counted = HashSet::new();
        for n in 0..400 {
            let which = random.random_range(0..rounds.len());
            rounds[which].play(&mut random, n).await;
            if random.random_range(0..20) > 0 {
                continue;
            }
            let crashed = tempfile::tempdir().unwrap();
            copy_as_a_crash_would(folder.path(), crashed.path()).await;
            let rebuilt = open(crashed.path()).await;
            for round in &rounds {
                round.is_the_same_in(&rebuilt).await;
            }
            rebuilt.close().await;
            let mut file = intruder(crashed.path()).await;
            counted.insert(number(&mut file, "SELECT generation FROM head").await);
        }
        assert!(counted.len() > 1, "checkpoints went on meanwhile: {counted:?}");
        gate.close().await;
    }
}
