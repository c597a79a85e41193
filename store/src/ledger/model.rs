//! The ledger as a value, for the model: the rows of one round in memory, and the ledger's own
//! decisions on them. A write that a real ledger would refuse is refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sale::id::{BuyerId, Salt, TicketId};
use sale::order::OrderV1;
use sale::terms::{SaleName, Terms};
use sale::time::Timestamp;

use super::recovering::{Unmoved, bit};
use super::sitting::{Holdings, OpenRound, Sitting};
use super::{DeadlineFrom, Decision, LedgerError, Reached, Sale, isolated};
use crate::gate::{Settlement, Snapshot};

/// The rows of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) terms: Terms,
    pub(crate) stock: u32,
    pub(crate) available: u32,
    pub(crate) rejected: u32,
    pub(crate) incarnation: u32,
    pub(crate) sequence: u64,
    pub(crate) loaded: bool,
    pub(crate) fences: i64,
    pub(crate) orders: BTreeMap<TicketId, Settlement>,
    /// The ticket that each unit of each buyer belongs to.
    pub(crate) holdings: BTreeMap<(BuyerId, u8), TicketId>,
}

impl Books {
    /// A round that was just loaded into its gate.
    pub(crate) fn new(terms: Terms, stock: u32) -> Self {
        Self {
            terms,
            stock,
            available: stock,
            rejected: 0,
            incarnation: 1,
            sequence: 0,
            loaded: true,
            fences: 0,
            orders: BTreeMap::new(),
            holdings: BTreeMap::new(),
        }
    }

    /// Units that are confirmed.
    pub(crate) fn sold(&self) -> u32 {
        self.stock - self.available
    }

    /// The row of the round with its sale.
    pub(crate) fn sale(&self) -> Sale {
        Sale {
            id: self.terms.sale.clone(),
            name: SaleName::new(self.terms.sale.to_string()).expect("it is short"),
            round: self.terms.round,
            salt: Salt([3; 32]),
            limit: self.terms.limit,
            window: self.terms.window,
            closed: self.terms.closed,
            terms_version: self.terms.version,
            incarnation: self.incarnation,
            sequence: self.sequence,
            loaded: self.loaded,
            fences: self.fences.unsigned_abs(),
            lease: None,
            retired: false,
        }
    }

    /// Decides orders, in parts if one is refused: `None`, as only a key or a check kept it from
    /// being written.
    pub(crate) fn decide(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
        now: Timestamp,
        answer_within: Duration,
    ) -> Option<(Vec<Decision>, Self)> {
        let books = RefCell::new(self.clone());
        let refused = Cell::new(false);
        let decided = isolated(orders, |part| {
            let sat = books.borrow().sit(part, reached, now, answer_within);
            refused.set(refused.get() || sat.is_err());
            ready(sat.map(|(decisions, after)| {
                *books.borrow_mut() = after;
                decisions
            }))
        });
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(decisions)) = pin!(decided).poll(&mut context) else {
            panic!("rows in memory are always there");
        };
        (!refused.get()).then(|| (decisions, books.into_inner()))
    }

    /// One transaction of verdicts.
    fn sit(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
        now: Timestamp,
        answer_within: Duration,
    ) -> Result<(Vec<Decision>, Self), LedgerError> {
        let stands = |order: &OrderV1| self.orders.get(&order.ticket).cloned();
        let standing = orders.iter().filter_map(stands).map(|found| (found.ticket, found));
        let mut holdings = Holdings::default();
        for (buyer, n) in self.holdings.keys() {
            if orders.iter().any(|order| order.buyer == *buyer) {
                holdings.add(self.terms.round, buyer.clone(), *n);
            }
        }
        let deadline = DeadlineFrom { reachable_since: Timestamp::from_millis(0).expect("1970") };
        let row = self.row(answer_within);
        let mut sitting =
            Sitting::open(vec![row], standing.collect(), holdings, reached, &deadline, now)?;
        let hear = |order| sitting.hear(order, None);
        let decisions = orders.iter().map(hear).collect::<Result<_, _>>()?;
        let after = self.written(&sitting)?;
        sitting.close();
        Ok((decisions, after))
    }

    fn row(&self, answer_within: Duration) -> OpenRound {
        OpenRound {
            round: self.terms.round.0,
            sale: self.terms.sale.as_str().into(),
            available: self.available,
            per_buyer: self.terms.limit.get(),
            answer_within: u64::try_from(answer_within.as_millis()).expect("it is short"),
            incarnation: self.incarnation,
            sequence: self.sequence,
            loaded: self.loaded,
            retired: false,
        }
    }

    /// What a sitting decided, under the unique keys and the check of what is left.
    fn written(&self, sitting: &Sitting<'_>) -> Result<Self, LedgerError> {
        let refused = |why: &str| LedgerError::Refused(why.to_owned());
        let mut after = self.clone();
        for (order, state) in &sitting.decided {
            let row =
                Settlement { ticket: order.ticket, buyer: order.buyer.clone(), state: *state };
            if after.orders.insert(order.ticket, row).is_some() {
                return Err(refused("a second row of one ticket"));
            }
        }
        for (order, n) in &sitting.taken {
            if after.holdings.insert((order.buyer.clone(), *n), order.ticket).is_some() {
                return Err(refused("a second holder of one unit"));
            }
        }
        for tally in sitting.rounds.values() {
            let left = after.available.checked_sub(tally.confirmed);
            after.available = left.ok_or_else(|| refused("more than is left"))?;
            after.rejected += tally.rejected;
            after.sequence = tally.sequence;
            if tally.recovers {
                after = after.recovered(tally.incarnation);
            }
        }
        Ok(after)
    }

    /// Moves a loaded round to recovering.
    pub(crate) fn recovered(&self, incarnation: u32) -> Self {
        if !self.loaded || self.incarnation != incarnation {
            return self.clone();
        }
        let (incarnation, sequence) = (self.incarnation + 1, 0);
        Self { incarnation, sequence, loaded: false, fences: 0, ..self.clone() }
    }

    /// The fence of a partition has come back.
    pub(crate) fn fence_passed(&self, incarnation: u32, partition: u8) -> Self {
        if self.loaded || self.incarnation != incarnation {
            return self.clone();
        }
        let fences = self.fences | bit(partition).expect("partitions are few");
        Self { fences, ..self.clone() }
    }

    /// One view of the round.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            terms: self.terms.clone(),
            incarnation: self.incarnation,
            available: self.available.into(),
            tickets: self.orders.values().cloned().collect(),
            restocks: Vec::new(),
        }
    }

    /// Marks the round as loaded, if nothing has changed since the snapshot.
    pub(crate) fn set_loaded(&self, snapshot: &Snapshot) -> Option<Self> {
        let Unmoved { stock, available, rejected, restocks } = Unmoved::since(snapshot);
        let stands =
            (i64::from(self.stock), i64::from(self.available), i64::from(self.rejected), 0)
                == (stock, available, rejected, restocks);
        let same = self.incarnation == snapshot.incarnation && !self.loaded;
        (same && stands).then(|| Self { loaded: true, ..self.clone() })
    }
}
