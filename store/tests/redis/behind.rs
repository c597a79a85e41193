//! A Redis that has lost writes: who finds it out, and what the log tells of it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use sale::grant::Claim;
use store::gate::Bounds;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::contract::{Round, recovering};
use super::engine::Place;
use super::insisting::until_answered;
use super::server::Server;

/// A Redis that was saved when one ticket stood in it and is set back to that, after a second
/// was answered: the round as one saw it who was there before, and that ticket.
async fn set_back() -> (Server, Place, Round, Claim) {
    let mut server = Server::start(&[]);
    let place = Place::new(&server.url());
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 10, 1).await;
    let ada = round.claim("ada", "", 1);
    round.granted(&ada).await;
    server.command(&["SAVE"]).await;
    round.granted(&round.claim("bob", "", 1)).await;
    server.kill();
    server.start_again();
    until_answered(|| gate.probe()).await;
    (server, place, round, ada)
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_redis_that_was_set_back_is_found_behind_by_who_was_there_before() {
    let (_server, place, round, ada) = set_back().await;
    let late = Round { gate: place.open(Bounds::default()).await, ..round.clone() };
    assert_eq!(late.audit().await.held, 1, "to a newcomer all is well");
    recovering::refuses_all(&round, &ada).await;
    recovering::refuses_all(&late, &ada).await;
    for gate in [round.gate, late.gate] {
        gate.close().await;
    }
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_redis_that_was_set_back_is_found_behind_by_who_has_read_the_ledger() {
    let (_server, place, round, ada) = set_back().await;
    round.gate.close().await;
    let late = Round { gate: place.open(Bounds::default()).await, ..round };
    // Ada's grant was the first write, bob's the second.
    late.gate.expect(late.slot, 1, 1);
    assert!(late.read(&ada).await.is_some());
    late.gate.expect(late.slot, 1, 2);
    recovering::refuses_all(&late, &ada).await;
    late.gate.close().await;
}

/// What a test's own thread logs as a warning or worse.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(self));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        unreachable!("no span is enabled")
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message<'a>(&'a Lines);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_gate_that_is_behind_is_told_of_once_and_so_is_that_it_cannot_be_frozen() {
    let server = Server::start(&[]);
    let gate = Place::new(&server.url()).open(Bounds::default()).await;
    let round = Round::warm(&gate, 5, 1).await;
    let lines = Lines::default();
    let _logs = tracing::subscriber::set_default(lines.clone());
    gate.expect(round.slot, 1, 99);
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    for _ in 0..3 {
        assert!(!round.figures().await.frozen, "it takes no writes");
    }
    let told = lines.take();
    assert!(told.len() == 1 && told[0].contains("could not be frozen"), "{told:?}");
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    for _ in 0..3 {
        assert!(round.figures().await.frozen);
    }
    gate.freeze(round.slot, 1).await.unwrap();
    let told = lines.take();
    assert!(told.len() == 1 && told[0].contains("grants no more"), "{told:?}");
    gate.close().await;
}
