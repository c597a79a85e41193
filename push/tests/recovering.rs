//! A gate that is not to be trusted: finals come from the ledger, what has none stays pending, and
//! nobody sees a version go back.

mod support;

use std::time::Duration;

use sale::outcome::Outcome;
use sale::time::Timestamp;
use store::clock;
use support::http::{Events, event, get_as};
use support::ws::Client;
use support::{House, jwt, quiet, within};

#[tokio::test]
async fn while_a_round_recovers_the_ledger_answers_and_no_order_is_published_again() {
    let settings = push::Settings { resend_after: Duration::from_millis(1), ..quiet() };
    let house = House::open(settings).await;
    let mut orders = house.log.orders().await.unwrap();
    let (won, waits) = (house.grant_one("ada").await, house.grant_one("bob").await);
    let long_ago = Timestamp::from_millis(clock::now().millis() - 60_000).unwrap();
    let lost = house.unheard("cyd", long_ago);
    let decided = house.decide(std::slice::from_ref(&won)).await.remove(0);

    for came_back_empty in [false, true] {
        if came_back_empty {
            house.lose_the_gate().await;
        } else {
            house.gate.freeze(house.slot(), 1).await.unwrap();
        }
        for bearer in [won.token.clone(), jwt("ada")] {
            let shown = get_as(&house, &won.id().to_string(), &bearer, &[]).await;
            assert_eq!(shown.body, decided.to_json());
        }
        for pending in [&waits, &lost] {
            let id = pending.id().to_string();
            let shown = get_as(&house, &id, &pending.token, &[]).await;
            assert_eq!(
                (shown.status.as_u16(), shown.body),
                (200, house.pending(pending).to_json())
            );
            let unproved = get_as(&house, &id, &jwt(pending.order.buyer.as_str()), &[]).await;
            assert_eq!(unproved.status, 503, "it may be there: {}", unproved.body);
        }
    }

    house.rebuild().await;
    let shown = get_as(&house, &lost.id().to_string(), &lost.token, &[]).await;
    assert_eq!(shown.body, house.pending(&lost).to_json());
    let mut published = Vec::new();
    while published.is_empty() {
        published = within(orders.next(100)).await.unwrap();
    }
    let orders: Vec<_> = published.iter().flat_map(|it| it.batch().unwrap().orders()).collect();
    assert_eq!(orders, [&lost.order], "once, when gate and ledger had both answered");
}

#[tokio::test]
async fn who_has_seen_a_version_is_not_shown_an_older_one_by_a_gate_that_was_set_back() {
    let settings = push::Settings { hold_most: Duration::from_millis(50), ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    // Such a gate has forgotten what the ledger decided.
    let ticket = house.decide(std::slice::from_ref(&ada)).await.remove(0);
    for bearer in [ada.token.clone(), jwt("ada")] {
        let poll = [("if-none-match", "\"2\""), ("prefer", "wait=30")];
        for headers in [&poll[..1], &poll] {
            let same = get_as(&house, &id, &bearer, headers).await;
            assert_eq!((same.status.as_u16(), same.header("etag")), (304, Some("\"2\"")));
        }
        let resumed = [("last-event-id", "2")];
        let mut events = Events::open(&house, &id, &bearer, &resumed).await;
        assert_eq!((events.status.as_u16(), events.next().await), (200, None));
        let beyond = get_as(&house, &id, &bearer, &[("if-none-match", "\"99\"")]).await;
        assert_eq!(beyond.body, ticket.to_json());
    }
    house.lose_the_ledger().await;
    let unsure = get_as(&house, &id, &ada.token, &[("if-none-match", "\"2\"")]).await;
    assert_eq!(unsure.status, 503, "{}", unsure.body);
}

#[tokio::test]
async fn who_says_nothing_of_what_he_has_seen_is_shown_what_the_gate_was_not_told() {
    let settings = push::Settings { overdue_after: Duration::ZERO, ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let pending = get_as(&house, &id, &ada.token, &[]).await;
    assert_eq!(pending.body, house.pending(&ada).to_json(), "there is no verdict yet");
    let ticket = house.decide(std::slice::from_ref(&ada)).await.remove(0);

    for bearer in [ada.token.clone(), jwt("ada")] {
        for headers in [&[][..], &[("prefer", "wait=30")]] {
            assert_eq!(get_as(&house, &id, &bearer, headers).await.body, ticket.to_json());
        }
        let mut events = Events::open(&house, &id, &bearer, &[]).await;
        assert_eq!(events.next().await, Some(event(&ticket)));
    }
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&ticket).await;

    let bob = house.grant_one("bob").await;
    house.lose_the_ledger().await;
    let shown = get_as(&house, &bob.id().to_string(), &bob.token, &[]).await;
    assert_eq!(shown.body, house.pending(&bob).to_json(), "without the ledger he waits");
}

#[tokio::test]
async fn what_the_gate_was_not_told_is_found_when_watched_tickets_are_read_again() {
    let again = Duration::from_millis(20);
    let settings = push::Settings { overdue_after: Duration::ZERO, reread_every: again, ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    let ticket = house.decide(std::slice::from_ref(&ada)).await.remove(0);
    client.expect(&ticket).await;
}

#[tokio::test]
async fn what_the_feed_has_brought_to_a_watcher_is_shown_to_every_reader_of_the_node() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    let ticket = house.decide(std::slice::from_ref(&ada)).await.remove(0);
    let outcome = Outcome { install: house.ledger.install(), ticket: ticket.clone() };
    house.log.publish_outcomes(vec![outcome]).await.unwrap();
    client.expect(&ticket).await;
    for headers in [&[][..], &[("prefer", "wait=30")]] {
        let shown = get_as(&house, &ada.id().to_string(), &ada.token, headers).await;
        assert_eq!(shown.body, ticket.to_json());
    }
}
