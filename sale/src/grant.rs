//! The grant: what the gate answers to one claim. The pure decision, shared by the local gate
//! and, as its model, by the script that runs in Redis.

use crate::id::{BuyerId, TicketId};
use crate::record::Record;
use crate::terms::{Phase, Terms};
use crate::ticket::TicketState;
use crate::time::Timestamp;
use crate::units::Units;

/// One buyer's request for units, with the id that its ticket has or would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The derived ticket id.
    pub ticket: TicketId,
    /// Who claims.
    pub buyer: BuyerId,
    /// How many units.
    pub units: Units,
}

/// What the gate answers to one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Units were taken for it; the ticket is pending.
    Granted(TicketState),
    /// This very claim was granted before; so stands its ticket.
    Standing(TicketState),
    /// This request id was used for another number of units.
    UnitsDiffer(TicketState),
    /// The window has not opened.
    NotOpen,
    /// The window is over, or the sale was closed by hand.
    Closed,
    /// The buyer would hold more than the limit, or has had [`Record::MOST`] tickets. These
    /// are the ones he holds.
    LimitReached(Vec<(TicketId, TicketState)>),
    /// Nothing is left.
    SoldOut,
    /// Something is left, but fewer than were asked for.
    TooFewLeft(u32),
    /// The outbox of the round is full: the ledger is far behind. Nothing was taken.
    OutboxFull,
}

/// What a claim is decided against.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// The terms of the round.
    pub terms: &'a Terms,
    /// Units that nobody holds; below zero it is a debt that stops grants.
    pub available: i64,
    /// Orders that the outbox still has room for.
    pub outbox_room: usize,
    /// The gate's clock.
    pub now: Timestamp,
}

impl Round<'_> {
    /// Decides one claim of the buyer with this record. The order of the questions is part of
    /// the contract: a retry finds its ticket whatever else is true by now.
    ///
    /// A caller that gets [`Answer::Granted`] takes the state into the record and its units
    /// from the stock before it decides the next claim.
    pub fn answer(&self, claim: &Claim, record: &Record) -> Answer {
        if let Some(standing) = record.find(claim.ticket) {
            return if standing.units == claim.units {
                Answer::Standing(*standing)
            } else {
                Answer::UnitsDiffer(*standing)
            };
        }
        match self.terms.phase(self.now) {
            Phase::Upcoming => return Answer::NotOpen,
            Phase::Closed => return Answer::Closed,
            Phase::Open => {}
        }
        let units = u32::from(claim.units.get());
        if record.held() + units > u32::from(self.terms.limit.get()) || !record.has_room() {
            return Answer::LimitReached(record.live().copied().collect());
        }
        match u32::try_from(self.available) {
            Err(_) | Ok(0) => Answer::SoldOut,
            Ok(left) if left < units => Answer::TooFewLeft(left),
            Ok(_) if self.outbox_room == 0 => Answer::OutboxFull,
            Ok(_) => Answer::Granted(TicketState::pending(claim.units, self.now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{RequestId, RoundId, SaleId, Salt, Shard};
    use crate::status::{Move, Reason};
    use crate::terms::Window;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    fn terms(limit: u64) -> Terms {
        Terms {
            sale: SaleId::new("s").unwrap(),
            round: RoundId(1),
            limit: Units::new(limit).unwrap(),
            window: Window::new(at(100), at(200)).unwrap(),
            closed: false,
            version: 1,
        }
    }

    fn claim(buyer: &str, request: &str, units: u64) -> Claim {
        let buyer = BuyerId::new(buyer).unwrap();
        let request = RequestId::new(request).unwrap();
        Claim {
            ticket: TicketId::derive(RoundId(1), Shard::FIRST, &Salt([0; 32]), &buyer, &request),
            buyer,
            units: Units::new(units).unwrap(),
        }
    }

    fn round(terms: &Terms, available: i64, now: i64) -> Round<'_> {
        Round { terms, available, outbox_room: 10, now: at(now) }
    }

    fn holding(claim: &Claim) -> Record {
        let mut record = Record::default();
        record.take(claim.ticket, TicketState::pending(claim.units, at(150)));
        record
    }

    #[test]
    fn the_window_opens_and_closes_by_the_gates_clock() {
        let terms = terms(1);
        let claim = claim("ada", "", 1);
        let answer = |now| round(&terms, 5, now).answer(&claim, &Record::default());
        assert_eq!(answer(99), Answer::NotOpen);
        assert_eq!(answer(100), Answer::Granted(TicketState::pending(Units::ONE, at(100))));
        assert_eq!(answer(200), Answer::Closed);
    }

    #[test]
    fn a_winners_retry_finds_his_ticket_when_all_is_sold_and_closed() {
        let terms = terms(1);
        let claim = claim("ada", "", 1);
        let record = holding(&claim);
        for (available, now) in [(0, 150), (0, 250), (-3, 50)] {
            let answer = round(&terms, available, now).answer(&claim, &record);
            assert!(matches!(answer, Answer::Standing(_)), "{answer:?}");
        }
    }

    #[test]
    fn the_same_request_id_with_other_units_is_an_error_of_its_own() {
        let terms = terms(4);
        let record = holding(&claim("ada", "r", 1));
        let answer = round(&terms, 9, 150).answer(&claim("ada", "r", 2), &record);
        assert!(matches!(answer, Answer::UnitsDiffer(_)));
    }

    #[test]
    fn the_limit_counts_units_and_shows_what_is_held() {
        let terms = terms(3);
        let first = claim("ada", "r1", 2);
        let record = holding(&first);
        let round = round(&terms, 9, 150);
        assert!(matches!(round.answer(&claim("ada", "r2", 1), &record), Answer::Granted(_)));
        let Answer::LimitReached(held) = round.answer(&claim("ada", "r2", 2), &record) else {
            panic!("two more units are over the limit of three");
        };
        assert_eq!(held.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first.ticket]);
    }

    #[test]
    fn after_a_rejection_a_new_request_id_may_try_again_up_to_the_records_bound() {
        let terms = terms(1);
        let round = round(&terms, 9, 150);
        let mut record = Record::default();
        for n in 0..Record::MOST {
            let claim = claim("ada", &format!("r{n}"), 1);
            let Answer::Granted(state) = round.answer(&claim, &record) else {
                panic!("try {n} is granted");
            };
            record.take(claim.ticket, state);
            let rejected = state.after(Move::Reject(Reason::Deadline), at(160)).unwrap();
            record.take(claim.ticket, rejected);
        }
        let answer = round.answer(&claim("ada", "one-more", 1), &record);
        assert_eq!(answer, Answer::LimitReached(vec![]));
    }

    #[test]
    fn sold_out_is_said_only_at_zero() {
        let terms = terms(4);
        let answer = |available, units| {
            round(&terms, available, 150).answer(&claim("ada", "r", units), &Record::default())
        };
        assert_eq!(answer(0, 1), Answer::SoldOut);
        assert_eq!(answer(-2, 1), Answer::SoldOut, "a debt stops grants");
        assert_eq!(answer(1, 2), Answer::TooFewLeft(1));
        assert!(matches!(answer(2, 2), Answer::Granted(_)));
    }

    #[test]
    fn a_full_outbox_takes_nothing() {
        let terms = terms(1);
        let mut round = round(&terms, 5, 150);
        round.outbox_room = 0;
        let record = Record::default();
        assert_eq!(round.answer(&claim("ada", "", 1), &record), Answer::OutboxFull);
        round.available = 0;
        assert_eq!(round.answer(&claim("ada", "", 1), &record), Answer::SoldOut);
    }

    proptest! {
        #[test]
        fn units_are_conserved_and_no_limit_is_passed(
            stock in 0_i64..30,
            limit in 1_u64..5,
            claims in prop::collection::vec((0..6_u8, 0..4_u8, 1..4_u64, any::<bool>()), 0..200),
        ) {
            let terms = terms(limit);
            let mut available = stock;
            let mut records = HashMap::<BuyerId, Record>::new();
            for (buyer, request, units, reject) in claims {
                let claim = claim(&format!("b{buyer}"), &format!("r{request}"), units);
                let record = records.entry(claim.buyer.clone()).or_default();
                if let Answer::Granted(state) =
                    round(&terms, available, 150).answer(&claim, record)
                {
                    record.take(claim.ticket, state);
                    available -= i64::from(state.held());
                    if reject {
                        let rejected =
                            state.after(Move::Reject(Reason::Deadline), at(160)).unwrap();
                        for _ in 0..2 {
                            if let crate::record::Taken::Newer { before: Some(before) } =
                                record.take(claim.ticket, rejected)
                            {
                                available += i64::from(before.held() - rejected.held());
                            }
                        }
                    }
                }
                prop_assert!(available >= 0);
                let held: u32 = records.values().map(Record::held).sum();
                prop_assert_eq!(available + i64::from(held), stock);
                for record in records.values() {
                    prop_assert!(u64::from(record.held()) <= limit);
                    prop_assert!(record.tickets().len() <= Record::MOST);
                }
            }
        }
    }
}
