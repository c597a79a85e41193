//! Keys that somebody else has damaged: what a call says that found one on its way.

use redis::aio::MultiplexedConnection;
use sale::terms::Terms;
use store::gate::{Decided, GateError, Snapshot};

use super::contract::{self, Round, fresh_batch};
use super::engine::{Place, connection};
use super::place;

/// A round with one ticket, in a gate whose batches are always due, and a way to its keys.
struct Damaged {
    place: Place,
    round: Round,
    batch: Decided,
    redis: MultiplexedConnection,
}

impl Damaged {
    async fn new() -> Self {
        let place = place();
        let gate = place.open(contract::always_due()).await;
        let round = Round::warm(&gate, 10, 1).await;
        let batch = round.grant(&[round.claim("ada", "", 1)]).await.batch.unwrap();
        let redis = connection(&place.url).await;
        Self { place, round, batch: (&*batch).into(), redis }
    }

    fn key(&self, name: &str) -> String {
        let slot = self.round.slot;
        format!("{}:{{{}:{}}}:{name}", self.place.prefix, slot.round, slot.shard.0)
    }

    /// One command on one of the keys of the round.
    async fn command<T: redis::FromRedisValue>(
        &mut self,
        word: &str,
        key: &str,
        rest: &[&[u8]],
    ) -> T {
        let mut command = redis::cmd(word);
        command.arg(self.key(key)).arg(rest);
        command.query_async(&mut self.redis).await.unwrap()
    }

    async fn end(self) {
        self.round.gate.close().await;
        self.place.clear().await;
    }
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_batch_that_is_due_and_gone_is_dropped_and_keeps_no_other_back() {
    let mut damaged = Damaged::new().await;
    let round = damaged.round.clone();
    let left = round.grant(&[round.claim("bob", "", 1)]).await.batch.unwrap();
    let id = format!("{}-0", damaged.batch.sequence);
    assert_eq!(damaged.command::<u8>("XDEL", "outbox", &[id.as_bytes()]).await, 1);
    assert_eq!(damaged.command::<u8>("ZCARD", "due", &[]).await, 2);
    assert_eq!(round.gate.resend(round.slot, 9).await.unwrap(), [left]);
    assert_eq!(damaged.command::<u8>("ZCARD", "due", &[]).await, 1);
    damaged.end().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_round_whose_last_batch_is_gone_without_a_verdict_is_drained_and_gives_way() {
    let mut damaged = Damaged::new().await;
    let Round { gate, slot, .. } = damaged.round.clone();
    let id = format!("{}-0", damaged.batch.sequence);
    assert_eq!(damaged.command::<u8>("XDEL", "outbox", &[id.as_bytes()]).await, 1);
    damaged.round.settle(&[], &[damaged.batch]).await;
    assert_eq!(damaged.command::<u8>("HGET", "stock", &[b"orders"]).await, 1, "it is counted");
    gate.freeze(slot, 1).await.unwrap();
    let drained = damaged.round.audit().await;
    assert_eq!((drained.undecided, drained.undecided_units, drained.held), (0, 0, 1));
    let fresh = contract::snapshot(&gate, 10, 1);
    let terms = Terms { round: slot.round, ..fresh.terms };
    let next = Snapshot { terms, incarnation: 2, ..fresh };
    assert!(gate.warm(next, Some(drained.sequence)).await.unwrap());
    assert_eq!(damaged.round.audit().await.available, 10);
    damaged.end().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_grant_that_failed_after_its_first_write_is_not_known() {
    let mut damaged = Damaged::new().await;
    let Round { gate, slot, .. } = damaged.round.clone();
    damaged.command::<()>("SET", "outbox", &[b"of another kind"]).await;
    let claims = [damaged.round.claim("bob", "", 1)];
    let cut_short = gate.grant(slot, fresh_batch(), &claims).await;
    assert!(matches!(cut_short, Err(GateError::NotKnown)), "{cut_short:?}");
    assert_eq!(damaged.command::<i64>("HGET", "stock", &[b"available"]).await, 8, "it was taken");
    damaged.end().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_grant_whose_answer_cannot_be_read_is_not_known_and_a_read_that_cannot_is_refused() {
    let mut damaged = Damaged::new().await;
    let Round { gate, slot, .. } = damaged.round.clone();
    let ada = damaged.round.claim("ada", "", 1);
    // Of a status that there is not.
    let entry = [&ada.ticket.0[..], &[0, 0, 0, 1, 1, 1, 0, 99], &[1; 12]].concat();
    damaged.command::<u8>("HSET", "records:0", &[b"ada", &entry]).await;
    let claims = [ada.clone(), damaged.round.claim("bob", "", 1)];
    let unreadable = gate.grant(slot, fresh_batch(), &claims).await;
    assert!(matches!(unreadable, Err(GateError::NotKnown)), "{unreadable:?}");
    assert_eq!(damaged.round.audit().await.held, 2, "bob has his ticket");
    let read = gate.read(slot, &[(ada.ticket, ada.buyer)]).await;
    assert!(matches!(read, Err(GateError::Unavailable(_))), "{read:?}");
    damaged.end().await;
}
