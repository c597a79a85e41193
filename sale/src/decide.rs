//! The verdict: what the ledger decides on orders, from what stands in it. The pure decision,
//! shared by every database; the caller holds the rows of the rounds locked.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::id::BuyerId;
use crate::order::OrderV1;
use crate::status::Reason;
use crate::time::Timestamp;
use crate::units::Units;

/// Until when orders are answered on their merits.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// How long after its grant an order may be decided.
    pub answer_within: Duration,
    /// Since when the ledger has been within reach; waiting before that does not count.
    pub reachable_since: Timestamp,
}

impl Deadline {
    /// Whether an order granted then is too old to be decided now.
    pub fn has_passed(&self, granted_at: Timestamp, now: Timestamp) -> bool {
        now.since(granted_at.max(self.reachable_since)) > self.answer_within
    }
}

/// What a round has left, and who holds what, as the ledger's rows say and as the orders
/// decided in the same transaction add to it.
#[derive(Debug, Clone)]
pub struct Book {
    available: i64,
    limit: Units,
    holdings: HashMap<BuyerId, BTreeSet<u8>>,
}

/// What the ledger decides on one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The buyer has it. Each unit is the buyer's n-th of the round: the lowest that were
    /// free, counted from 1.
    Confirmed(Vec<u8>),
    /// He has not.
    Rejected(Reason),
}

impl Book {
    /// A book on a round with so much left and these holdings (the numbers of the units that
    /// each buyer holds).
    pub fn new(available: i64, limit: Units, holdings: HashMap<BuyerId, BTreeSet<u8>>) -> Self {
        Self { available, limit, holdings }
    }

    /// What is left by now.
    pub fn available(&self) -> i64 {
        self.available
    }

    /// Decides the next order, and writes the verdict into the book, so that the orders after
    /// it see its effect.
    pub fn decide(&mut self, order: &OrderV1, deadline: &Deadline, now: Timestamp) -> Verdict {
        if deadline.has_passed(order.granted_at, now) {
            return Verdict::Rejected(Reason::Deadline);
        }
        let units = order.units.get();
        let held = self.holdings.entry(order.buyer.clone()).or_default();
        let free: Vec<u8> =
            (1..=self.limit.get()).filter(|n| !held.contains(n)).take(usize::from(units)).collect();
        if free.len() < usize::from(units) {
            return Verdict::Rejected(Reason::Limit);
        }
        if self.available < i64::from(units) {
            return Verdict::Rejected(Reason::SoldOut);
        }
        self.available -= i64::from(units);
        held.extend(&free);
        Verdict::Confirmed(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TicketId;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    fn order(buyer: &str, units: u64) -> OrderV1 {
        OrderV1 {
            ticket: TicketId([1; 16]),
            buyer: BuyerId::new(buyer).unwrap(),
            units: Units::new(units).unwrap(),
            granted_at: at(1_000),
            incarnation: 1,
        }
    }

    fn deadline(reachable_since: i64) -> Deadline {
        let answer_within = Duration::from_millis(300);
        Deadline { answer_within, reachable_since: at(reachable_since) }
    }

    #[test]
    fn the_first_that_fit_are_confirmed_and_the_rest_rejected() {
        let mut book = Book::new(30, Units::ONE, HashMap::new());
        let verdicts: Vec<_> = (0..100)
            .map(|n| book.decide(&order(&format!("b{n}"), 1), &deadline(0), at(1_001)))
            .collect();
        assert!(verdicts[..30].iter().all(|v| *v == Verdict::Confirmed(vec![1])));
        assert!(verdicts[30..].iter().all(|v| *v == Verdict::Rejected(Reason::SoldOut)));
    }

    #[test]
    fn a_smaller_order_still_fits_after_a_larger_one_did_not() {
        let mut book = Book::new(2, Units::new(3).unwrap(), HashMap::new());
        let now = at(1_001);
        let large = book.decide(&order("ada", 3), &deadline(0), now);
        assert_eq!(large, Verdict::Rejected(Reason::SoldOut));
        let small = book.decide(&order("grace", 2), &deadline(0), now);
        assert_eq!(small, Verdict::Confirmed(vec![1, 2]));
        assert_eq!(book.available(), 0);
    }

    #[test]
    fn units_take_the_lowest_free_numbers_and_none_free_is_the_limit() {
        let held = HashMap::from([(BuyerId::new("ada").unwrap(), BTreeSet::from([2]))]);
        let mut book = Book::new(9, Units::new(3).unwrap(), held);
        let now = at(1_001);
        assert_eq!(
            book.decide(&order("ada", 2), &deadline(0), now),
            Verdict::Confirmed(vec![1, 3])
        );
        assert_eq!(
            book.decide(&order("ada", 1), &deadline(0), now),
            Verdict::Rejected(Reason::Limit)
        );
    }

    #[test]
    fn time_without_a_reachable_ledger_does_not_count_towards_the_deadline() {
        let mut book = Book::new(9, Units::ONE, HashMap::new());
        let late = book.decide(&order("ada", 1), &deadline(0), at(1_301));
        assert_eq!(late, Verdict::Rejected(Reason::Deadline));
        let excused = book.decide(&order("ada", 1), &deadline(1_200), at(1_301));
        assert_eq!(excused, Verdict::Confirmed(vec![1]));
    }

    proptest! {
        #[test]
        fn confirmed_units_never_exceed_stock_or_limit(
            stock in 0_i64..20,
            limit in 1_u64..4,
            orders in prop::collection::vec((0..5_u8, 1..5_u64), 0..100),
        ) {
            let mut book = Book::new(stock, Units::new(limit).unwrap(), HashMap::new());
            let mut sold = HashMap::<u8, u64>::new();
            for (buyer, units) in orders {
                let order = order(&format!("b{buyer}"), units);
                if let Verdict::Confirmed(ns) = book.decide(&order, &deadline(0), at(1_001)) {
                    prop_assert_eq!(ns.len() as u64, units);
                    *sold.entry(buyer).or_default() += units;
                }
            }
            let total: u64 = sold.values().sum();
            prop_assert_eq!(i64::try_from(total).unwrap() + book.available(), stock);
            prop_assert!(book.available() >= 0);
            prop_assert!(sold.values().all(|units| *units <= limit));
        }
    }
}
