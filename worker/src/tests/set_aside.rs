//! Orders that cannot be processed.

use std::time::Duration;

use sale::id::TicketId;
use sale::status::{Reason, Status};
use sale::time::Timestamp;
use sqlx::Executor as _;
use store::ledger::{DeadlineFrom, RETRIES_AFTER, Sale, SetAside};

use super::bench::{Bench, buyers, by_hand, outcomes, ticket};
use crate::retry::Retries;

const POISON: &str = "CREATE TRIGGER poison BEFORE INSERT ON holdings WHEN NEW.buyer = 'poison'
     BEGIN SELECT RAISE(ABORT, 'this order is poison'); END";

/// A sale of which one order among fifty is set aside, for whose buyer the ledger fails.
struct Poisoned {
    bench: Bench,
    sale: Sale,
    retries: Retries,
    deadline: DeadlineFrom,
    begun: Timestamp,
}

impl Poisoned {
    async fn new() -> Self {
        let bench = Bench::new().await;
        bench.intruder("ledger.db").await.execute(POISON).await.unwrap();
        let sale = bench.sale("lamp", 100).await;
        let mut feed = bench.feed().await;
        let running = bench.start(by_hand());
        let mut claimants = buyers(50);
        claimants.insert(25, "poison".into());
        bench.order(&sale, &claimants).await;

        let told = outcomes(&mut feed, 50).await;
        assert!(told.iter().all(|outcome| outcome.ticket.state.status == Status::Confirmed));
        running.end().await;

        let figures = bench.figures(&sale).await;
        assert_eq!((figures.sold, figures.held, figures.undecided), (50, 1, 0));
        let begun = bench.seams.gate.now();
        let retries = bench.retries();
        Self { bench, sale, retries, deadline: DeadlineFrom { reachable_since: begun }, begun }
    }

    async fn aside(&self) -> Vec<SetAside> {
        self.bench.seams.ledger.aside(None, 10).await.unwrap()
    }

    async fn try_at(&self, after: Duration) {
        self.retries.try_due(&self.deadline, self.begun.plus(after)).await.unwrap();
    }

    /// Goes up the ladder until the order is parked; answers when that was.
    async fn park(&self) -> Duration {
        let mut after = Duration::ZERO;
        for (n, wait) in RETRIES_AFTER.into_iter().enumerate() {
            let [row] = &self.aside().await[..] else { panic!("one order is set aside") };
            assert!(row.retry_at.is_some(), "not parked before try {}", n + 2);
            after += wait;
            self.try_at(after).await;
        }
        after
    }

    async fn release(&self, reject: bool, after: Duration) {
        let now = self.begun.plus(after);
        assert!(self.bench.seams.ledger.release(self.ticket(), reject, now).await.unwrap());
        self.try_at(after).await;
    }

    fn ticket(&self) -> TicketId {
        ticket(&self.sale, "poison")
    }

    /// What the poison order came to, in gate and ledger alike, with nothing left behind.
    async fn ended(&self) -> Status {
        let state = self.bench.in_gate(&self.sale, "poison").await.unwrap();
        assert_eq!(self.bench.in_ledger(&self.sale, "poison").await, Some(state));
        assert_eq!(self.aside().await, []);
        self.bench.conserved(&self.sale).await;
        state.status
    }
}

#[tokio::test]
async fn a_poison_order_delays_nobody_and_is_parked_after_its_ladder() {
    let poisoned = Poisoned::new().await;
    let [row] = &poisoned.aside().await[..] else { panic!("one order is set aside") };
    assert_eq!(row.order.ticket, poisoned.ticket());
    assert!(row.error.contains("this order is poison"), "{}", row.error);

    poisoned.park().await;

    let [row] = &poisoned.aside().await[..] else { panic!("it stays in the list") };
    assert_eq!((row.retry_at, row.reject), (None, false));
    assert!(row.error.contains("this order is poison"), "{}", row.error);
    let state = poisoned.bench.in_gate(&poisoned.sale, "poison").await.unwrap();
    assert_eq!(state.status, Status::Pending, "its buyer still waits");
}

#[tokio::test]
async fn the_ladder_is_not_climbed_before_its_time() {
    let poisoned = Poisoned::new().await;
    let before = poisoned.aside().await;
    let early = Duration::from_secs(1);
    poisoned.try_at(early).await;
    assert_eq!(poisoned.aside().await, before);
}

#[tokio::test]
async fn a_parked_order_that_is_sent_again_is_confirmed_once_the_cause_is_gone() {
    let poisoned = Poisoned::new().await;
    let mut feed = poisoned.bench.feed().await;
    let after = poisoned.park().await;
    poisoned.bench.intruder("ledger.db").await.execute("DROP TRIGGER poison").await.unwrap();

    poisoned.release(false, after).await;

    let told = outcomes(&mut feed, 1).await;
    assert_eq!(told[0].ticket.id, poisoned.ticket());
    assert_eq!(poisoned.ended().await, Status::Confirmed);
}

#[tokio::test]
async fn a_parked_order_that_an_operator_rejects_gives_its_unit_back() {
    let poisoned = Poisoned::new().await;
    let after = poisoned.park().await;

    poisoned.release(true, after).await;

    assert_eq!(poisoned.ended().await, Status::Rejected(Reason::Unprocessable));
    assert_eq!(poisoned.bench.figures(&poisoned.sale).await.available, 50);
}

#[tokio::test]
async fn a_parked_order_is_rejected_when_its_deadline_has_passed() {
    let poisoned = Poisoned::new().await;
    poisoned.park().await;

    poisoned.try_at(Duration::from_secs(299)).await;
    assert_eq!(poisoned.aside().await.len(), 1, "not before");
    poisoned.try_at(Duration::from_secs(301)).await;

    assert_eq!(poisoned.ended().await, Status::Rejected(Reason::Deadline));
}

#[tokio::test]
async fn a_running_worker_climbs_the_ladder_by_itself() {
    let poisoned = Poisoned::new().await;
    poisoned.bench.intruder("ledger.db").await.execute("DROP TRIGGER poison").await.unwrap();
    let mut feed = poisoned.bench.feed().await;
    let running = poisoned
        .bench
        .start(crate::Settings { retry_every: Duration::from_millis(20), ..by_hand() });
    // Due at once, as after a resend by an operator.
    let now = poisoned.bench.seams.gate.now();
    poisoned.bench.seams.ledger.release(poisoned.ticket(), false, now).await.unwrap();

    outcomes(&mut feed, 1).await;

    running.end().await;
    assert_eq!(poisoned.ended().await, Status::Confirmed);
}
