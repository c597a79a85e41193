//! What one transaction knows of its orders and has decided so far, in memory. Pure: each engine
//! reads what it is made of, and writes what comes out of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};
use std::time::Duration;

use sale::decide::{Book, Deadline, Verdict};
use sale::id::{BuyerId, RoundId, SaleId, TicketId};
use sale::order::OrderV1;
use sale::status::{Move, Reason};
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use sale::units::Units;

use super::rows::{readable, text};
use super::{DeadlineFrom, Decision, LedgerError, Reached};
use crate::gate::Settlement;

/// The numbers of the units that each buyer of each round holds.
#[derive(Default)]
pub(super) struct Holdings(HashMap<RoundId, HashMap<BuyerId, BTreeSet<u8>>>);

impl Holdings {
    /// Takes a row in.
    pub(super) fn add(&mut self, round: RoundId, buyer: BuyerId, n: u8) {
        self.0.entry(round).or_default().entry(buyer).or_default().insert(n);
    }
}

/// A round as its row says; nobody else may change it before the transaction ends.
#[derive(sqlx::FromRow)]
pub(super) struct OpenRound {
    pub(super) round: u32,
    pub(super) sale: Vec<u8>,
    pub(super) available: u32,
    pub(super) per_buyer: u8,
    pub(super) answer_within: u64,
    pub(super) incarnation: u32,
    pub(super) sequence: u64,
    pub(super) loaded: bool,
    pub(super) retired: bool,
}

impl OpenRound {
    /// The statement that reads it, up to its condition.
    pub(super) const SELECT: &str = "SELECT round, sale, available, per_buyer, answer_within, \
        incarnation, sequence, loaded, retired FROM rounds WHERE ";
}

/// What was decided for one round.
pub(super) struct Tally {
    sale: SaleId,
    book: Book,
    deadline: Deadline,
    /// Units newly confirmed.
    pub(super) confirmed: u32,
    /// Orders newly rejected.
    pub(super) rejected: u32,
    /// The incarnation of its gate.
    pub(super) incarnation: u32,
    /// A gate of it grants: one that is loaded.
    live: bool,
    /// The highest write sequence of its gate that the row says.
    known: u64,
    /// The highest that is known.
    pub(super) sequence: u64,
    /// The gate granted what does not fit: it is to be rebuilt.
    pub(super) recovers: bool,
}

impl Tally {
    /// Whether the row of the round stays as it is.
    pub(super) fn is_unmoved(&self) -> bool {
        (self.confirmed, self.rejected, self.sequence) == (0, 0, self.known)
    }

    /// Takes note of a new rejection. A gate that agrees with the ledger grants neither more than
    /// there is nor more than a buyer may have.
    fn reject(&mut self, order: &OrderV1, reason: Reason) {
        self.rejected += 1;
        let does_not_fit = match reason {
            Reason::SoldOut | Reason::Limit => true,
            Reason::Unprocessable | Reason::Deadline => false,
        };
        self.recovers |= does_not_fit && self.live && order.incarnation == self.incarnation;
    }
}

/// What one transaction knows and has decided so far.
pub(super) struct Sitting<'a> {
    now: Timestamp,
    standing: HashMap<TicketId, Settlement>,
    /// The rounds, in the order of their ids.
    pub(super) rounds: BTreeMap<RoundId, Tally>,
    /// Orders that have their verdict by this transaction, in its final state.
    pub(super) decided: Vec<(&'a OrderV1, TicketState)>,
    /// Units that were given: the order, and which of its buyer's units it is.
    pub(super) taken: Vec<(&'a OrderV1, u8)>,
}

impl<'a> Sitting<'a> {
    /// Begins with what stands.
    pub(super) fn open(
        rounds: Vec<OpenRound>,
        standing: HashMap<TicketId, Settlement>,
        mut holdings: Holdings,
        reached: &Reached,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let mut tallies = BTreeMap::new();
        for row in rounds {
            let round = RoundId(row.round);
            let limit = readable("rounds", Units::new(row.per_buyer.into()))?;
            let held = holdings.0.remove(&round).unwrap_or_default();
            let tally = Tally {
                sale: readable("rounds", SaleId::new(&text("rounds", row.sale)?))?,
                book: Book::new(row.available.into(), limit, held),
                deadline: deadline.of(Duration::from_millis(row.answer_within)),
                confirmed: 0,
                rejected: 0,
                incarnation: row.incarnation,
                live: row.loaded && !row.retired,
                known: row.sequence,
                sequence: row.sequence.max(reached.by(round, row.incarnation)),
                recovers: false,
            };
            tallies.insert(round, tally);
        }
        Ok(Self { now, standing, rounds: tallies, decided: Vec::new(), taken: Vec::new() })
    }

    /// Answers one order: by what stands, else by the reason given, else on its merits.
    pub(super) fn hear(
        &mut self,
        order: &'a OrderV1,
        reject: Option<Reason>,
    ) -> Result<Decision, LedgerError> {
        let id = order.ticket;
        let round = self.rounds.get_mut(&id.round()).ok_or_else(|| {
            LedgerError::Refused(format!("ticket {id}: there is no round {}", id.round()))
        })?;
        let stands = match self.standing.entry(id) {
            hash_map::Entry::Occupied(stands) => stands.into_mut(),
            hash_map::Entry::Vacant(free) => {
                let verdict = match reject {
                    Some(reason) => Verdict::Rejected(reason),
                    None => round.book.decide(order, &round.deadline, self.now),
                };
                let by = match verdict {
                    Verdict::Confirmed(ns) => {
                        round.confirmed += u32::from(order.units.get());
                        self.taken.extend(ns.into_iter().map(|n| (order, n)));
                        Move::Confirm
                    }
                    Verdict::Rejected(reason) => {
                        round.reject(order, reason);
                        Move::Reject(reason)
                    }
                };
                let state = order.pending().after(by, self.now);
                let state = state.expect("the table allows every move from pending");
                self.decided.push((order, state));
                free.insert(Settlement { ticket: id, buyer: order.buyer.clone(), state })
            }
        };
        if stands.buyer != order.buyer {
            tracing::error!(ticket = %id, "an order names another buyer than the ticket that stands");
            return Ok(Decision::Foreign(id));
        }
        let ticket = Ticket { id, sale: round.sale.clone(), state: stands.state };
        Ok(Decision::Stands { buyer: stands.buyer.clone(), ticket })
    }

    /// Ends a sitting that is committed: it says which gates have turned out wrong.
    pub(super) fn close(self) {
        for (round, tally) in self.rounds.iter().filter(|(_, tally)| tally.recovers) {
            tracing::warn!(
                round = round.0,
                incarnation = tally.incarnation,
                "an order that the gate granted does not fit in the ledger: the gate is rebuilt"
            );
        }
    }
}
