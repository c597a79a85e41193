//! One of the two gates, with what the history knows of it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::sample::Index;
use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, RoundId, SaleId, Salt, TicketId};
use sale::order::Batch;
use sale::status::Status;
use sale::terms::{Restock, Terms};
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sale::units::Units;
use store::gate::{Decided, Figures, Gate, GateError, Settlement, Slot, Snapshot};

use super::step::{Ask, Named, Step, Verdict};
use super::times::{Times, origin};

/// What a call answered; that a round is not loaded or has lost writes is an answer too.
type Answered<T> = Result<T, Refused>;

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    NotWarm(RoundId),
    Recovering(RoundId),
}

/// What a step answered, and how the gate stood after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    said: Answered<Said>,
    figures: Answered<Figures>,
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Done,
    Answers(Vec<Answer>, Option<Batch>),
    States(Vec<Option<TicketState>>),
    Batches(BTreeMap<BatchId, Batch>),
    /// So many batches; which ones is left to the gate.
    Some(usize),
    Applied(i32),
    Warmed(bool),
}

/// What stands in the end: every ticket, and every batch that is overdue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    tickets: Answered<Said>,
    batches: Answered<Said>,
}

/// One gate, and the round in it.
pub(crate) struct Side {
    gate: Gate,
    terms: Terms,
    incarnation: u32,
    tickets: Vec<Claim>,
    times: Times,
    undecided: Vec<Decided>,
    decided: Vec<Decided>,
    /// The grants of the batches in the outbox.
    outbox: BTreeMap<BatchId, Timestamp>,
    restocks: Vec<(String, i32)>,
    /// What a rebuild is made of.
    remembered: Vec<Settlement>,
}

fn answered<T>(result: Result<T, GateError>) -> Answered<T> {
    result.map_err(|error| match error {
        GateError::NotWarm(round) => Refused::NotWarm(round),
        GateError::Recovering(round) => Refused::Recovering(round),
        error @ (GateError::Unavailable(_) | GateError::NotKnown) => {
            panic!("no engine fails in these tests: {error}")
        }
    })
}

/// More batches than a history makes.
const ALL: usize = 1_000;

/// A window around the gate's clock.
const OPEN: (i64, i64) = (-1, 1);

/// The id of the batch of one step, on both sides.
pub(crate) fn batch(round: RoundId, step: usize) -> BatchId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&round.0.to_be_bytes());
    id[8..].copy_from_slice(&(step as u64).to_be_bytes());
    BatchId(id)
}

/// The buyers of a history; those that come often have ids of all kinds.
fn buyer(n: u8) -> BuyerId {
    let text = match n {
        0 => "\0\"\\ é🦀\n{1:0}".to_owned(),
        1 => "x".repeat(64),
        2 => "1".to_owned(),
        n => format!("buyer {n}"),
    };
    BuyerId::new(&text).unwrap()
}

impl Side {
    pub(crate) fn new(gate: Gate, round: RoundId) -> Self {
        let mut times = Times::default();
        let window = times.window(OPEN, gate.now());
        let sale = SaleId::new("s").unwrap();
        let limit = Units::new(3).unwrap();
        Self {
            gate,
            terms: Terms { sale, round, limit, window, closed: false, version: 1 },
            incarnation: 0,
            tickets: Vec::new(),
            times,
            undecided: Vec::new(),
            decided: Vec::new(),
            outbox: BTreeMap::new(),
            restocks: Vec::new(),
            remembered: Vec::new(),
        }
    }

    /// Takes one step.
    pub(crate) async fn take(&mut self, step: &Step, batch: BatchId) -> Seen {
        let said = match step {
            Step::Claim(asks) => self.claim(asks, batch).await,
            Step::Settle { states, decided } => self.settle(states, decided).await,
            Step::Restock { key, change } => self.restock(*key, *change).await,
            Step::Terms { newer, window, closed, limit } => {
                self.set_terms(*newer, *window, *closed, *limit).await
            }
            Step::Read(picks) => self.read(picks).await,
            Step::Resend(most) => self.resend(*most).await,
            Step::Retire => self.retire().await,
            Step::Warm { available } => self.warm(*available, None).await,
            Step::Freeze { older } => self.freeze(*older).await,
            Step::Expect { incarnations, writes } => self.expect(*incarnations, *writes).await,
            Step::Rebuild { available, drained, unmoved } => {
                self.rebuild(*available, *drained, *unmoved).await
            }
            Step::Probe => answered(self.gate.probe().await).map(|()| Said::Done),
        };
        Seen { said, figures: self.figures().await }
    }

    /// All that stands in the end.
    pub(crate) async fn rest(&self) -> Rest {
        let tickets = self.tickets.iter().map(|claim| (claim.ticket, claim.buyer.clone()));
        let tickets = self.states(tickets.collect()).await;
        Rest { tickets, batches: self.resend(usize::MAX).await }
    }

    fn slot(&self) -> Slot {
        Slot::first(self.terms.round)
    }

    fn claim_of(&self, ask: &Ask) -> Claim {
        let buyer = buyer(ask.buyer);
        let request = RequestId::new(&"r".repeat(ask.request.into())).unwrap();
        let Slot { round, shard } = self.slot();
        let ticket = TicketId::derive(round, shard, &Salt([1; 32]), &buyer, &request);
        Claim { ticket, buyer, units: Units::new(ask.units).unwrap() }
    }

    /// Keeps a ticket in mind, granted at this time.
    fn note(&mut self, claim: Claim, granted_at: Timestamp) {
        self.times.granted_at.insert(claim.ticket, granted_at);
        self.tickets.retain(|known| known.ticket != claim.ticket);
        self.tickets.push(claim);
    }

    async fn claim(&mut self, asks: &[Ask], id: BatchId) -> Answered<Said> {
        let claims: Vec<_> = asks.iter().map(|ask| self.claim_of(ask)).collect();
        let grants = answered(self.gate.grant(self.slot(), id, &claims).await)?;
        assert_eq!(grants.answers.len(), claims.len());
        for (claim, answer) in claims.iter().zip(&grants.answers) {
            if matches!(answer, Answer::Granted(_)) {
                self.note(claim.clone(), grants.now);
            }
        }
        self.undecided.extend(grants.batch.as_deref().map(Decided::from));
        self.outbox.extend(grants.batch.as_deref().map(|batch| (batch.id, grants.now)));
        let batch = grants.batch.map(|batch| self.times.batch(&batch));
        let answers = claims.iter().zip(&grants.answers);
        let answers = answers.map(|(claim, answer)| self.times.answer(claim, answer)).collect();
        Ok(Said::Answers(answers, batch))
    }

    async fn settle(&mut self, states: &[Verdict], named: &[Named]) -> Answered<Said> {
        let states: Vec<_> = states.iter().filter_map(|verdict| self.settlement(verdict)).collect();
        let decided: Vec<_> = named.iter().filter_map(|named| self.decided(named)).collect();
        answered(self.gate.settle(self.slot(), &states, &decided).await)?;
        for Decided { batch, .. } in decided {
            self.outbox.remove(&batch);
        }
        Ok(Said::Done)
    }

    fn settlement(&mut self, verdict: &Verdict) -> Option<Settlement> {
        let claim = match &verdict.ticket {
            Ok(_) if self.tickets.is_empty() => return None,
            Ok(index) => index.get(&self.tickets).clone(),
            Err(ask) => {
                let claim = self.claim_of(ask);
                if !self.times.granted_at.contains_key(&claim.ticket) {
                    self.note(claim.clone(), self.gate.now());
                }
                self.tickets.iter().find(|known| known.ticket == claim.ticket)?.clone()
            }
        };
        let granted_at = self.times.granted_at[&claim.ticket];
        let later = granted_at.plus(Duration::from_millis(verdict.version.into()));
        let state = TicketState {
            units: claim.units,
            status: verdict.status,
            version: verdict.version,
            granted_at,
            decided_at: (verdict.status != Status::Pending).then_some(later),
        };
        Some(Settlement { ticket: claim.ticket, buyer: claim.buyer, state })
    }

    fn decided(&mut self, named: &Named) -> Option<Decided> {
        let from = if named.again { &self.decided } else { &self.undecided };
        if from.is_empty() {
            return None;
        }
        let place = named.batch.index(from.len());
        let mut decided = from[place];
        if !named.by_its_own_id {
            decided.batch.0[7] = 1;
        } else if !named.again {
            self.decided.push(self.undecided.remove(place));
        }
        Some(decided)
    }

    async fn restock(&mut self, key: u8, change: i32) -> Answered<Said> {
        let (key, change) = (format!("k{key}"), Restock::new(change).unwrap());
        let applied = answered(self.gate.restock(self.slot(), &key, &change).await)?;
        self.restocks.retain(|(known, _)| *known != key);
        self.restocks.push((key, applied));
        Ok(Said::Applied(applied))
    }

    async fn set_terms(
        &mut self,
        newer: bool,
        hours: (i64, i64),
        closed: bool,
        limit: u64,
    ) -> Answered<Said> {
        let window = self.times.window(hours, self.gate.now());
        let version = if newer { self.terms.version + 1 } else { self.terms.version };
        let limit = Units::new(limit).unwrap();
        let terms = Terms { limit, window, closed, version, ..self.terms.clone() };
        answered(self.gate.set_terms(terms.clone()).await)?;
        if newer {
            self.terms = terms;
        }
        Ok(Said::Done)
    }

    async fn read(&self, picks: &[(Index, bool)]) -> Answered<Said> {
        let unknown = [self.claim_of(&Ask { buyer: 250, request: 1, units: 1 })];
        let known = if self.tickets.is_empty() { &unknown[..] } else { &self.tickets };
        let pick = |(index, of_another): &(Index, bool)| {
            let place = index.index(known.len());
            let owner = (place + usize::from(*of_another)) % known.len();
            (known[place].ticket, known[owner].buyer.clone())
        };
        self.states(picks.iter().map(pick).collect()).await
    }

    async fn states(&self, tickets: Vec<(TicketId, BuyerId)>) -> Answered<Said> {
        let states = answered(self.gate.read(self.slot(), &tickets).await)?;
        let timeless = |(state, (ticket, _)): (Option<TicketState>, &(TicketId, _))| {
            state.map(|state| self.times.state(*ticket, &state))
        };
        Ok(Said::States(states.into_iter().zip(&tickets).map(timeless).collect()))
    }

    async fn resend(&self, most: usize) -> Answered<Said> {
        // A freeze makes all of them due at once, and then what one call takes the next one lacks.
        let frozen = answered(self.gate.figures(self.slot()).await)?.frozen;
        let most = if frozen { ALL } else { most.min(ALL) };
        let batches = answered(self.gate.resend(self.slot(), most).await)?;
        assert!(batches.len() <= most);
        if most < ALL {
            return Ok(Said::Some(batches.len()));
        }
        let batches = batches.iter().map(|batch| (batch.id, self.times.batch(batch)));
        Ok(Said::Batches(batches.collect()))
    }

    async fn retire(&mut self) -> Answered<Said> {
        let tickets: Vec<_> =
            self.tickets.iter().map(|claim| (claim.ticket, claim.buyer.clone())).collect();
        if let Ok(states) = answered(self.gate.read(self.slot(), &tickets).await) {
            let standing = tickets.into_iter().zip(states).enumerate();
            // A ledger has not heard of every ticket that is pending.
            let remembered = standing.filter_map(|(n, ((ticket, buyer), state))| {
                let state = state.filter(|state| n % 2 == 0 || state.status.is_final())?;
                Some(Settlement { ticket, buyer, state })
            });
            self.remembered = remembered.collect();
        }
        answered(self.gate.retire(self.terms.round).await)?;
        Ok(Said::Done)
    }

    async fn freeze(&self, older: bool) -> Answered<Said> {
        let meant = self.incarnation - u32::from(older);
        answered(self.gate.freeze(self.slot(), meant).await).map(|()| Said::Done)
    }

    async fn expect(&self, incarnations: u32, writes: u64) -> Answered<Said> {
        let found = answered(self.gate.figures(self.slot()).await)?;
        let (incarnation, sequence) = (found.incarnation + incarnations, found.sequence + writes);
        self.gate.expect(self.slot(), incarnation, sequence);
        Ok(Said::Done)
    }

    async fn rebuild(&mut self, available: i64, drained: bool, unmoved: bool) -> Answered<Said> {
        let frozen = answered(self.gate.figures(self.slot()).await)?.frozen;
        if frozen && drained {
            let decided = std::mem::take(&mut self.undecided);
            answered(self.gate.settle(self.slot(), &[], &decided).await)?;
            self.decided.extend(decided);
            self.outbox.clear();
        }
        let found = answered(self.gate.figures(self.slot()).await)?;
        self.warm(available, Some(found.sequence + u64::from(!unmoved))).await
    }

    async fn warm(&mut self, available: i64, over: Option<u64>) -> Answered<Said> {
        let window = self.times.window(OPEN, self.gate.now());
        let terms = Terms { window, closed: false, ..self.terms.clone() };
        let snapshot = Snapshot {
            terms: terms.clone(),
            incarnation: self.incarnation + 1,
            available,
            tickets: self.remembered.clone(),
            restocks: self.restocks.iter().skip(1).cloned().collect(),
        };
        let warmed = answered(self.gate.warm(snapshot, over).await)?;
        if warmed {
            self.terms = terms;
            self.incarnation += 1;
            self.outbox.clear();
        }
        Ok(Said::Warmed(warmed))
    }

    async fn figures(&self) -> Answered<Figures> {
        let mut figures = answered(self.gate.figures(self.slot()).await)?;
        figures.terms.window = self.times.relative(figures.terms.window);
        assert_eq!(figures.oldest, self.outbox.values().min().copied());
        figures.oldest = figures.oldest.map(|_| origin());
        figures.oldest = figures.oldest.map(|_| origin());
        Ok(figures)
    }
}
