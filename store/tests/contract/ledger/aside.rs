use std::time::Duration;

use sale::id::TicketId;
use sale::order::OrderV1;
use sale::status::{Reason, Status};
use sale::time::Timestamp;
use store::ledger::{DeadlineFrom, Ledger, Reached, Retry, SetAside};

use tokio::task::JoinSet;

use super::{at, audit, create, crowd, deadline, order, state};

async fn set_aside(ledger: &Ledger, order: &OrderV1, now: Timestamp) {
    ledger.set_aside(&[(order.clone(), "it failed".to_owned())], now).await.unwrap();
}

async fn take(ledger: &Ledger, now: Timestamp) -> Vec<Retry> {
    ledger.take_due(&deadline(), now, 100).await.unwrap()
}

async fn find(ledger: &Ledger, ticket: TicketId) -> Option<SetAside> {
    let all = ledger.aside(None, 1_000).await.unwrap();
    all.into_iter().find(|one| one.order.ticket == ticket)
}

fn again(order: &OrderV1) -> [Retry; 1] {
    [Retry { order: order.clone(), reject: None }]
}

fn rejecting(order: &OrderV1, reason: Reason) -> [Retry; 1] {
    [Retry { order: order.clone(), reject: Some(reason) }]
}

pub(crate) async fn an_order_climbs_the_ladder_and_is_parked(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let ada = order(&sale, "ada", "", 1);
    set_aside(ledger, &ada, at(10_000)).await;
    let expected = SetAside {
        order: ada.clone(),
        attempts: 1,
        retry_at: Some(at(15_000)),
        error: "it failed".to_owned(),
        reject: false,
    };
    assert_eq!(find(ledger, ada.ticket).await, Some(expected.clone()));
    let steps = [(15_000, Some(25_000)), (25_000, Some(55_000)), (55_000, None)];
    for (n, (due, next)) in steps.into_iter().enumerate() {
        assert_eq!(take(ledger, at(due - 1)).await, []);
        assert_eq!(take(ledger, at(due)).await, again(&ada));
        // The try is counted although nothing has become of it yet, as after a crash.
        let found = find(ledger, ada.ticket).await.unwrap();
        assert_eq!((found.attempts as usize, found.retry_at), (n + 2, next.map(at)));
        assert_eq!(take(ledger, at(due)).await, [], "taken up by one");
    }
    assert_eq!(take(ledger, at(300_000)).await, [], "parked");
    assert_eq!(ledger.read(&[ada.ticket]).await.unwrap(), [None], "and still without a verdict");
}

pub(crate) async fn set_aside_again_it_stays_as_it_is(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let orders = crowd(&sale, 2);
    set_aside(ledger, &orders[0], at(10_000)).await;
    take(ledger, at(15_000)).await;
    let before = find(ledger, orders[0].ticket).await;
    let failed = orders.clone().into_iter().map(|order| (order, "x".repeat(9_000)));
    ledger.set_aside(&failed.collect::<Vec<_>>(), at(16_000)).await.unwrap();
    assert_eq!(find(ledger, orders[0].ticket).await, before);
    let other = find(ledger, orders[1].ticket).await.unwrap();
    assert_eq!((other.attempts, other.retry_at), (1, Some(at(21_000))));
    assert!(other.error.len() < 1_000, "what the engine says is cut short");
    ledger.note_failure(orders[0].ticket, "another fault").await.unwrap();
    assert_eq!(find(ledger, orders[0].ticket).await.unwrap().error, "another fault");
    ledger.set_aside(&[], at(16_000)).await.unwrap();
}

pub(crate) async fn a_verdict_takes_the_order_back_in(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let orders = crowd(&sale, 3);
    for order in &orders {
        set_aside(ledger, order, at(10_000)).await;
    }
    let decided =
        ledger.decide(&orders[..1], &Reached::default(), &deadline(), at(11_000)).await.unwrap();
    assert_eq!(state(&decided[0]).status, Status::Confirmed);
    ledger.reject(&orders[1], Reason::Unprocessable, at(11_000)).await.unwrap();
    assert_eq!(take(ledger, at(15_000)).await, again(&orders[2]));
    set_aside(ledger, &orders[0], at(16_000)).await;
    ledger.decide(&orders[..1], &Reached::default(), &deadline(), at(17_000)).await.unwrap();
    assert_eq!(find(ledger, orders[0].ticket).await, None, "also one that stood before");
    audit(ledger, &sale).await;
}

async fn parked(ledger: &Ledger, order: &OrderV1) {
    set_aside(ledger, order, at(10_000)).await;
    for due in [15_000, 25_000, 55_000] {
        assert_eq!(take(ledger, at(due)).await, again(order));
    }
    assert_eq!(find(ledger, order.ticket).await.unwrap().retry_at, None);
}

pub(crate) async fn an_operator_sends_a_parked_order_again(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let ada = order(&sale, "ada", "", 1);
    parked(ledger, &ada).await;
    assert!(ledger.release(ada.ticket, false, at(60_000)).await.unwrap());
    assert_eq!(take(ledger, at(60_000)).await, again(&ada));
    let found = find(ledger, ada.ticket).await.unwrap();
    assert_eq!((found.attempts, found.retry_at), (1, Some(at(65_000))), "from the start");
    let nobody = order(&sale, "bo", "", 1).ticket;
    assert!(!ledger.release(nobody, false, at(60_000)).await.unwrap());
    assert!(!ledger.release(nobody, true, at(60_000)).await.unwrap());
}

pub(crate) async fn an_operator_rejects_a_parked_order(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let ada = order(&sale, "ada", "", 1);
    parked(ledger, &ada).await;
    assert!(ledger.release(ada.ticket, true, at(60_000)).await.unwrap());
    assert!(find(ledger, ada.ticket).await.unwrap().reject);
    let retry = rejecting(&ada, Reason::Unprocessable);
    assert_eq!(take(ledger, at(60_000)).await, retry);
    assert_eq!(take(ledger, at(89_999)).await, [], "a rejection that fails is not hot");
    assert_eq!(take(ledger, at(90_000)).await, retry, "and is never given up");
    let rejected = ledger.reject(&ada, Reason::Unprocessable, at(90_000)).await.unwrap();
    assert_eq!(state(&rejected).status, Status::Rejected(Reason::Unprocessable));
    assert_eq!(take(ledger, at(900_000)).await, []);
    audit(ledger, &sale).await;
}

pub(crate) async fn the_deadline_of_an_order_set_aside_is_kept(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let (ada, bo) = (order(&sale, "ada", "", 1), order(&sale, "bo", "", 1));
    parked(ledger, &ada).await;
    let passed = 1_000 + 300_001;
    set_aside(ledger, &bo, at(passed - 2_000)).await;
    assert_eq!(take(ledger, at(passed - 1)).await, []);
    let back = DeadlineFrom { reachable_since: at(5_000) };
    let excused = ledger.take_due(&back, at(passed), 100).await.unwrap();
    assert_eq!(excused, [], "time without a ledger does not count");
    let mut late = take(ledger, at(passed)).await;
    late.sort_by_key(|retry| retry.order.buyer.clone());
    let both = [rejecting(&ada, Reason::Deadline), rejecting(&bo, Reason::Deadline)].concat();
    assert_eq!(late, both, "also the one whose next try is not due yet");
    assert_eq!(take(ledger, at(passed + 29_999)).await, []);
    assert_eq!(take(ledger, at(passed + 30_000)).await.len(), 2);
}

pub(crate) async fn an_order_of_an_unknown_round_has_no_deadline(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let mut lost = order(&sale, "ada", "", 1);
    lost.ticket.0[..4].copy_from_slice(&[0xff; 4]);
    parked(ledger, &lost).await;
    assert_eq!(take(ledger, at(9_000_000)).await, []);
    assert_eq!(find(ledger, lost.ticket).await.unwrap().order, lost);
}

pub(crate) async fn what_is_set_aside_is_taken_and_listed_in_parts(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let orders = crowd(&sale, 10);
    let failed = orders.iter().map(|order| (order.clone(), "no".to_owned()));
    ledger.set_aside(&failed.collect::<Vec<_>>(), at(10_000)).await.unwrap();
    let mut listed: Vec<TicketId> = Vec::new();
    loop {
        let page = ledger.aside(listed.last().copied(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|one| one.order.ticket));
    }
    let mut taken = Vec::new();
    for most in [4, 4, 4] {
        let part = ledger.take_due(&deadline(), at(15_000), most).await.unwrap();
        taken.push(part.len());
    }
    let mut expected: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    expected.sort();
    assert_eq!((listed, taken), (expected, vec![4, 4, 2]));
}

pub(crate) async fn workers_side_by_side_take_up_each_order_once(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let orders = crowd(&sale, 200);
    // What the engine said may hold anything, and more of it than is kept.
    let failed = orders.iter().map(|order| (order.clone(), "🎉 \0'".repeat(200)));
    ledger.set_aside(&failed.collect::<Vec<_>>(), at(10_000)).await.unwrap();
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let ledger = ledger.clone();
        workers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let part = ledger.take_due(&deadline(), at(15_000), 7).await.unwrap();
                taken.extend(part.into_iter().map(|retry| retry.order.ticket));
                let all = ledger.aside(None, 1_000).await.unwrap();
                if all.iter().all(|one| one.attempts == 2) {
                    break;
                }
            }
            taken
        });
    }
    let mut taken: Vec<TicketId> = workers.join_all().await.into_iter().flatten().collect();
    let mut expected: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    taken.sort();
    expected.sort();
    assert_eq!(taken, expected);
}

pub(crate) async fn contacts_far_apart_begin_a_new_run(ledger: &Ledger) {
    let contact = async |now| ledger.contact(at(now), Duration::from_secs(10)).await.unwrap();
    assert_eq!(contact(1_000).await, at(1_000));
    assert_eq!(contact(11_000).await, at(1_000), "a gap of ten seconds is none");
    assert_eq!(contact(12_000).await, at(1_000));
    assert_eq!(contact(22_001).await, at(22_001));
    assert_eq!(contact(22_001).await, at(22_001));
    assert_eq!(contact(20_000).await, at(20_000), "a clock set back begins no run in the future");
    assert_eq!(contact(25_000).await, at(20_000));
}
