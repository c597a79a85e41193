use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sale::id::{BuyerId, RoundId, TicketId};
use sale::order::OrderV1;
use sale::status::{Reason, Status};
use store::ledger::{DeadlineFrom, Decision, Ledger, LedgerError, Reached};
use tokio::task::JoinSet;

use super::{all_tickets, at, audit, create, crowd, deadline, order, state, statuses};

const SOLD_OUT: Status = Status::Rejected(Reason::SoldOut);
const LIMIT: Status = Status::Rejected(Reason::Limit);
const LATE: Status = Status::Rejected(Reason::Deadline);

pub(crate) async fn the_first_thirty_of_a_hundred_are_confirmed(ledger: &Ledger) {
    let sale = create(ledger, 30, 1).await;
    let orders = crowd(&sale, 100);
    let decisions =
        ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    for (n, (order, decision)) in orders.iter().zip(&decisions).enumerate() {
        let Decision::Stands { buyer, ticket } = decision else { panic!("{decision:?}") };
        assert_eq!((buyer, ticket.id, &ticket.sale), (&order.buyer, order.ticket, &sale.id));
        let expected = if n < 30 { Status::Confirmed } else { SOLD_OUT };
        assert_eq!((ticket.state.status, ticket.state.version), (expected, 2));
        assert_eq!(ticket.state.granted_at, order.granted_at);
        assert_eq!(ticket.state.decided_at, Some(at(2_000)));
    }
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    assert_eq!((counts.stock, counts.available, counts.rejected), (30, 0, 70));
    audit(ledger, &sale).await;
}

pub(crate) async fn a_double_is_answered_once_a_call_and_always_the_same(ledger: &Ledger) {
    let sale = create(ledger, 2, 4).await;
    let one = order(&sale, "ada", "a", 2);
    let doubles = [one.clone(), one.clone(), order(&sale, "ada", "b", 2), one.clone()];
    let first = ledger.decide(&doubles, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert_eq!(statuses(&first), [Status::Confirmed, SOLD_OUT]);
    let again =
        ledger.decide(&doubles, &Reached::default(), &deadline(), at(400_000)).await.unwrap();
    assert_eq!(again, first, "also long after the deadline");
    let reversed = [doubles[2].clone(), doubles[0].clone()];
    let again =
        ledger.decide(&reversed, &Reached::default(), &deadline(), at(3_000)).await.unwrap();
    assert_eq!(again, [first[1].clone(), first[0].clone()]);
    audit(ledger, &sale).await;
}

pub(crate) async fn orders_given_to_several_deciders_stand_once(ledger: &Ledger) {
    let sale = create(ledger, 300, 1).await;
    let orders = crowd(&sale, 500);
    let mut backwards = orders.clone();
    backwards.reverse();
    let mut tasks = JoinSet::new();
    for batch in [orders.clone(), backwards.clone(), orders[100..400].to_vec(), backwards] {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            ledger.decide(&batch, &Reached::default(), &deadline(), at(2_000)).await.unwrap()
        });
    }
    let mut answers: Vec<Decision> = tasks.join_all().await.into_iter().flatten().collect();
    answers
        .extend(ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap());
    let different: HashSet<_> = answers
        .iter()
        .map(|decision| match decision {
            Decision::Stands { ticket, .. } => (ticket.id, ticket.state.status),
            other @ (Decision::Foreign(_) | Decision::Failed(..)) => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(different.len(), 500, "nobody was told two things");
    let confirmed = different.iter().filter(|(_, status)| *status == Status::Confirmed);
    assert_eq!(confirmed.count(), 300);
    assert_eq!(all_tickets(ledger, &sale).await.len(), 500);
    audit(ledger, &sale).await;
}

pub(crate) async fn the_limit_counts_units_of_this_call_and_of_earlier_ones(ledger: &Ledger) {
    let sale = create(ledger, 100, 3).await;
    let decide = async |orders: &[OrderV1]| {
        statuses(&ledger.decide(orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap())
    };
    let ada = |request, units| order(&sale, "ada", request, units);
    assert_eq!(decide(&[ada("a", 2)]).await, [Status::Confirmed]);
    assert_eq!(decide(&[ada("b", 2), ada("c", 1)]).await, [LIMIT, Status::Confirmed]);
    assert_eq!(decide(&[ada("d", 1), order(&sale, "bo", "", 4)]).await, [LIMIT, LIMIT]);
    audit(ledger, &sale).await;
}

pub(crate) async fn an_order_met_after_its_deadline_is_rejected(ledger: &Ledger) {
    let sale = create(ledger, 10, 4).await;
    let granted = 1_000;
    let ada = |request| [order(&sale, "ada", request, 1)];
    let (just, late) = (at(granted + 300_000), at(granted + 300_001));
    let decided = ledger.decide(&ada("a"), &Reached::default(), &deadline(), just).await.unwrap();
    assert_eq!(statuses(&decided), [Status::Confirmed]);
    let decided = ledger.decide(&ada("b"), &Reached::default(), &deadline(), late).await.unwrap();
    assert_eq!(statuses(&decided), [LATE]);
    let back = DeadlineFrom { reachable_since: at(200_000) };
    let decided = ledger.decide(&ada("c"), &Reached::default(), &back, late).await.unwrap();
    assert_eq!(statuses(&decided), [Status::Confirmed], "time out of reach does not count");
    audit(ledger, &sale).await;
}

pub(crate) async fn a_ticket_of_another_buyer_is_an_alarm_and_writes_nothing(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let ada = order(&sale, "ada", "", 1);
    let mallory = OrderV1 { buyer: BuyerId::new("mallory").unwrap(), ..ada.clone() };
    let both = [ada.clone(), mallory.clone()];
    let decided = ledger.decide(&both, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert_eq!(state(&decided[0]).status, Status::Confirmed);
    assert_eq!(decided[1..], [Decision::Foreign(ada.ticket)]);
    let decided = ledger
        .decide(std::slice::from_ref(&mallory), &Reached::default(), &deadline(), at(2_000))
        .await
        .unwrap();
    assert_eq!(decided, [Decision::Foreign(ada.ticket)]);
    let rejected = ledger.reject(&mallory, Reason::Unprocessable, at(2_000)).await.unwrap();
    assert_eq!(rejected, Decision::Foreign(ada.ticket));
    let rows = all_tickets(ledger, &sale).await;
    assert_eq!((rows.len(), &rows[0].buyer), (1, &ada.buyer));
    audit(ledger, &sale).await;
}

pub(crate) async fn an_order_of_an_unknown_round_delays_nobody(ledger: &Ledger) {
    let sale = create(ledger, 100, 1).await;
    let mut orders = crowd(&sale, 20);
    let mut lost = orders[0].clone();
    lost.ticket.0[..4].copy_from_slice(&[0xff; 4]);
    orders.insert(7, lost.clone());
    let decided =
        ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert_eq!(decided.len(), 21);
    assert!(
        matches!(&decided[7], Decision::Failed(order, why) if *order == lost && !why.is_empty())
    );
    for (n, decision) in decided.iter().enumerate().filter(|(n, _)| *n != 7) {
        assert_eq!(state(decision).status, Status::Confirmed, "{n}");
    }
    let rejected = ledger.reject(&lost, Reason::Deadline, at(2_000)).await;
    assert!(matches!(rejected, Err(LedgerError::Refused(_))), "{rejected:?}");
    assert_eq!(lost.ticket.round(), RoundId(u32::MAX));
    audit(ledger, &sale).await;
}

pub(crate) async fn two_sales_in_one_call_are_counted_apart(ledger: &Ledger) {
    let (old, new) = (create(ledger, 5, 1).await, create(ledger, 3, 2).await);
    let mut orders = Vec::new();
    for (first, second) in crowd(&old, 10).into_iter().zip(crowd(&new, 10)) {
        orders.extend([first, second]);
    }
    let decided =
        ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    for (sale, stock) in [(&old, 5), (&new, 3)] {
        let own: Vec<Decision> = decided
            .iter()
            .filter(|one| matches!(one, Decision::Stands { ticket, .. } if ticket.sale == sale.id))
            .cloned()
            .collect();
        let confirmed = |status: &Status| *status == Status::Confirmed;
        assert_eq!(own.len(), 10);
        assert!(statuses(&own)[..stock].iter().all(confirmed));
        assert!(!statuses(&own)[stock..].iter().any(confirmed));
        audit(ledger, sale).await;
    }
}

pub(crate) async fn a_rejection_takes_no_units_and_a_verdict_stays(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let [ada, bo] = ["ada", "bo"].map(|buyer| order(&sale, buyer, "", 1));
    let rejected = ledger.reject(&ada, Reason::Unprocessable, at(2_000)).await.unwrap();
    assert_eq!(state(&rejected).status, Status::Rejected(Reason::Unprocessable));
    assert_eq!((state(&rejected).version, state(&rejected).decided_at), (2, Some(at(2_000))));
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    assert_eq!((counts.available, counts.rejected), (10, 1));
    let decided = ledger
        .decide(&[ada, bo.clone()], &Reached::default(), &deadline(), at(3_000))
        .await
        .unwrap();
    assert_eq!(decided[0], rejected);
    let kept = ledger.reject(&bo, Reason::Deadline, at(4_000)).await.unwrap();
    assert_eq!(kept, decided[1]);
    assert_eq!(state(&kept).status, Status::Confirmed);
    audit(ledger, &sale).await;
}

pub(crate) async fn a_call_of_any_size_is_decided(ledger: &Ledger) {
    let sale = create(ledger, 9_000, 2).await;
    let orders: Vec<OrderV1> = (0..5_000).map(|n| order(&sale, &format!("b{n}"), "", 2)).collect();
    let decided =
        ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let confirmed = |status: &&Status| **status == Status::Confirmed;
    assert_eq!(statuses(&decided).iter().filter(confirmed).count(), 4_500);
    assert_eq!(ledger.decide(&[], &Reached::default(), &deadline(), at(2_000)).await.unwrap(), []);
    let ids: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    assert!(ledger.read(&ids).await.unwrap().iter().all(Option::is_some));
    audit(ledger, &sale).await;
}

pub(crate) async fn any_history_of_calls_ends_as_the_simple_model_says(ledger: &Ledger) {
    let call = prop::collection::vec((0..6_u8, 0..4_u8, 1..4_u64), 1..12);
    let history = (1..12_u32, 1..5_u64, prop::collection::vec(call, 1..6));
    let runtime = tokio::runtime::Handle::current();
    let ledger = ledger.clone();
    let run = move || {
        let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
        runner.run(&history, |(stock, limit, calls)| {
            runtime.block_on(compare(&ledger, stock, limit, &calls))
        })
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
}

async fn compare(
    ledger: &Ledger,
    stock: u32,
    limit: u64,
    calls: &[Vec<(u8, u8, u64)>],
) -> Result<(), TestCaseError> {
    let sale = create(ledger, stock, limit).await;
    let mut verdicts = std::collections::HashMap::new();
    let (mut left, mut held) = (u64::from(stock), [0; 6]);
    for call in calls {
        // A claim is its buyer and request; the units of a repeated one do not count.
        let orders: Vec<OrderV1> = call
            .iter()
            .map(|(buyer, request, units)| {
                order(&sale, &format!("b{buyer}"), &format!("r{request}"), *units)
            })
            .collect();
        for ((buyer, _, units), order) in call.iter().zip(&orders) {
            let held = &mut held[usize::from(*buyer)];
            verdicts.entry(order.ticket).or_insert_with(|| {
                if *held + units > limit {
                    return LIMIT;
                }
                if left < *units {
                    return SOLD_OUT;
                }
                *held += units;
                left -= units;
                Status::Confirmed
            });
        }
        for decision in
            ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap()
        {
            let Decision::Stands { ticket, .. } = decision else { panic!("{decision:?}") };
            prop_assert_eq!(ticket.state.status, verdicts[&ticket.id]);
        }
    }
    audit(ledger, &sale).await;
    prop_assert_eq!(all_tickets(ledger, &sale).await.len(), verdicts.len());
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    prop_assert_eq!(u64::from(counts.available), left);
    Ok(())
}

/// One order that the engine refuses, that of buyer-321, is found among 500; once it is healed, it
/// is decided like the others.
pub(crate) async fn one_poisoned_order_of_five_hundred_fails_alone(
    ledger: &Ledger,
    heal: impl AsyncFnOnce(),
) {
    let sale = create(ledger, 500, 1).await;
    let orders = crowd(&sale, 500);
    let decided =
        ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    for (order, decision) in orders.iter().zip(&decided) {
        if order.buyer.as_str() == "buyer-321" {
            let Decision::Failed(failed, why) = decision else { panic!("{decision:?}") };
            assert!(failed == order && why.contains("poison"), "{why}");
        } else {
            assert_eq!(state(decision).status, Status::Confirmed);
        }
    }
    heal().await;
    let healed = ledger.decide(&orders, &Reached::default(), &deadline(), at(3_000)).await.unwrap();
    assert!(healed.iter().all(|decision| state(decision).status == Status::Confirmed));
    audit(ledger, &sale).await;
}
