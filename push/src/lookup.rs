//! What the stores say of tickets, many at once: the gate first, then the ledger for what the
//! gate does not answer.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use moka::sync::Cache;
use sale::id::{BuyerId, RoundId, SaleId, TicketId};
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use store::gate::{Gate, GateError, Slot};
use store::ledger::{Ledger, LedgerError};
use tokio::time::Instant;

use crate::metric;

/// Rounds whose sale is remembered. At the bound the least used is asked for again.
const ROUNDS: u64 = 10_000;

/// A ticket and who asks for it.
pub(crate) type Asked = (TicketId, BuyerId);

/// What gate and ledger say of a ticket together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is there and belongs to the asker.
    Known(Ticket),
    /// Both have answered, and neither has a ticket of this asker by this id.
    Unknown,
    /// The ledger has no verdict on it; the gate gave no answer that counts. If there is such a
    /// ticket, it is pending.
    Undecided,
    /// Not enough answers to say any of these: it may be decided.
    NoAnswer,
}

impl Reading {
    /// Whether it is of a ticket that is pending for this long; see [`TicketState::is_overdue`].
    pub(crate) fn is_overdue(&self, after: Duration, now: Timestamp) -> bool {
        matches!(self, Self::Known(ticket) if ticket.state.is_overdue(after, now))
    }
}

/// Why the gate does not tell a ticket's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It has the round, and no such ticket of this asker.
    Absent,
    /// It does not have the round, or has lost writes of it.
    NotWarm,
    /// It gave no answer, or one that does not count.
    Failed,
}

/// A ticket that the ledger is to be asked for.
pub(crate) struct Doubt {
    pub(crate) asked: Asked,
    pub(crate) silence: Silence,
}

/// Reads of both stores.
pub(crate) struct Lookup {
    gate: Gate,
    ledger: Ledger,
    sales: Cache<RoundId, SaleId>,
}

impl Lookup {
    pub(crate) fn new(gate: Gate, ledger: Ledger) -> Self {
        Self { gate, ledger, sales: Cache::new(ROUNDS) }
    }

    /// The gate's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.gate.now()
    }

    /// Asks the gate, one call a slot. One answer a ticket, in their order.
    pub(crate) async fn gate(&self, asked: &[Asked]) -> Vec<Result<Reading, Silence>> {
        let mut slots: HashMap<Slot, Vec<usize>> = HashMap::new();
        for (at, (ticket, _)) in asked.iter().enumerate() {
            slots.entry(Slot::of(*ticket)).or_default().push(at);
        }
        let calls = slots.into_iter().map(|(slot, places)| async move {
            let part: Vec<Asked> = places.iter().map(|at| asked[*at].clone()).collect();
            (places, self.gate_slot(slot, &part).await)
        });
        let mut readings = vec![Err(Silence::Failed); asked.len()];
        for (places, answers) in join_all(calls).await {
            for (place, answer) in places.into_iter().zip(answers) {
                readings[place] = answer;
            }
        }
        readings
    }

    async fn gate_slot(&self, slot: Slot, asked: &[Asked]) -> Vec<Result<Reading, Silence>> {
        let begun = Instant::now();
        let read = self.gate.read(slot, asked).await;
        let answered =
            matches!(read, Ok(_) | Err(GateError::NotWarm(_) | GateError::Recovering(_)));
        metric::gate_read(asked.len(), answered, begun.elapsed());
        let states = match read {
            Ok(states) => states,
            Err(GateError::NotWarm(_) | GateError::Recovering(_)) => {
                return vec![Err(Silence::NotWarm); asked.len()];
            }
            Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => {
                tracing::debug!(%error, "the gate did not answer a read");
                return vec![Err(Silence::Failed); asked.len()];
            }
        };
        let sale =
            if states.iter().any(Option::is_some) { self.sale_of(slot.round).await } else { None };
        let show = |(state, (id, _)): (Option<TicketState>, &Asked)| match (state, &sale) {
            (Some(state), Some(sale)) => {
                Ok(Reading::Known(Ticket { id: *id, sale: sale.clone(), state }))
            }
            (Some(_), None) => Ok(Reading::NoAnswer),
            (None, _) => Err(Silence::Absent),
        };
        states.into_iter().zip(asked).map(show).collect()
    }

    /// Asks the ledger, in one call. One answer a ticket, in their order.
    pub(crate) async fn ledger(&self, doubts: &[Doubt]) -> Vec<Reading> {
        let begun = Instant::now();
        let read = self.ledger_rows(doubts).await;
        metric::ledger_read(doubts.len(), read.is_ok(), begun.elapsed());
        read.unwrap_or_else(|error| {
            tracing::debug!(%error, "the ledger did not answer a read");
            vec![Reading::NoAnswer; doubts.len()]
        })
    }

    async fn ledger_rows(&self, doubts: &[Doubt]) -> Result<Vec<Reading>, LedgerError> {
        let tickets: Vec<TicketId> = doubts.iter().map(|doubt| doubt.asked.0).collect();
        let rows = self.ledger.read(&tickets).await?;
        let mut answering = HashMap::new();
        let mut readings = Vec::with_capacity(doubts.len());
        for (doubt, row) in doubts.iter().zip(rows) {
            let (ticket, buyer) = &doubt.asked;
            readings.push(match (row, doubt.silence) {
                (Some(row), _) if row.buyer == *buyer => Reading::Known(row.ticket),
                (Some(_), _) | (None, Silence::Absent) => Reading::Unknown,
                (None, Silence::Failed) => Reading::Undecided,
                (None, Silence::NotWarm) => {
                    let round = ticket.round();
                    if self.ledger_alone(round, &mut answering).await? {
                        Reading::Unknown
                    } else {
                        Reading::Undecided
                    }
                }
            });
        }
        Ok(readings)
    }

    /// Whether the ledger alone answers for a round: it is retired, or there is none. A round
    /// that only is not loaded at present is none of both.
    async fn ledger_alone(
        &self,
        round: RoundId,
        known: &mut HashMap<RoundId, bool>,
    ) -> Result<bool, LedgerError> {
        if let Some(alone) = known.get(&round) {
            return Ok(*alone);
        }
        let alone = self.ledger.sale_of(round).await?.is_none_or(|sale| sale.retired);
        known.insert(round, alone);
        Ok(alone)
    }

    /// The sale that a round belongs to, if any store tells it.
    pub(crate) async fn sale_of(&self, round: RoundId) -> Option<SaleId> {
        if let Some(sale) = self.sales.get(&round) {
            return Some(sale);
        }
        let sale = match self.gate.figures(Slot::first(round)).await {
            Ok(figures) => figures.terms.sale,
            Err(
                GateError::NotWarm(_)
                | GateError::Recovering(_)
                | GateError::Unavailable(_)
                | GateError::NotKnown,
            ) => self.ledger.sale_of(round).await.ok()??.id,
        };
        self.sales.insert(round, sale.clone());
        Some(sale)
    }

    /// Whether gate or ledger answers the read of a ticket; otherwise what they said.
    pub(crate) async fn answers(&self) -> Result<(), String> {
        let nowhere = TicketId([0; 16]);
        let gate = match self.gate.read(Slot::of(nowhere), &[]).await {
            Ok(_) | Err(GateError::NotWarm(_) | GateError::Recovering(_)) => return Ok(()),
            Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => error,
        };
        self.ledger.read(&[nowhere]).await.map(drop).map_err(|ledger| format!("{gate}; {ledger}"))
    }
}
