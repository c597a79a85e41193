//! No result is missed, whatever comes first, whoever is slow, and whatever has failed.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sale::id::InstallId;
use sale::outcome::Outcome;
use sale::ticket::Ticket;
use support::http::{Events, event, get_as};
use support::ws::Client;
use support::{Granted, House, buyers, quiet, within};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// Streams that are open at a time.
const AT_ONCE: usize = 60;

/// A moment somewhere around the publication: the order of the two is what is tried out.
async fn any_moment() {
    let moment = Duration::from_micros(rand::random_range(0..4_000));
    tokio::time::sleep(moment).await;
}

async fn by_socket(house: &House, granted: &Granted) -> String {
    let mut client = Client::connect(house).await;
    client.watch(&[&granted.token]).await;
    loop {
        let text = client.next_text().await;
        if text.contains(r#""final":true"#) {
            return text;
        }
    }
}

async fn by_events(house: &House, granted: &Granted) -> String {
    let mut events = Events::open(house, &granted.id().to_string(), &granted.token, &[]).await;
    loop {
        let block = events.next().await.expect("the final comes before the end");
        if block.contains(r#""final":true"#) {
            assert_eq!(events.next().await, None);
            return block;
        }
    }
}

async fn by_held_poll(house: &House, granted: &Granted) -> String {
    let headers = [("if-none-match", "\"1\""), ("prefer", "wait=30")];
    get_as(house, &granted.id().to_string(), &granted.token, &headers).await.body
}

/// Finals come while the streams open, and no refresher makes up for what a stream misses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_final_is_missed_that_is_published_around_the_subscribe() {
    let house = Arc::new(House::open(quiet()).await);
    let granted = house.grant(&buyers("b", 2_400)).await;
    for part in granted.chunks(AT_ONCE) {
        let mut readers = JoinSet::new();
        for (n, granted) in part.iter().cloned().enumerate() {
            let house = house.clone();
            readers.spawn(async move {
                any_moment().await;
                let shown = match n % 3 {
                    0 => within(by_socket(&house, &granted)).await,
                    1 => within(by_events(&house, &granted)).await,
                    _ => by_held_poll(&house, &granted).await,
                };
                (granted.id(), shown)
            });
        }
        let mut tickets: Vec<Ticket> = Vec::new();
        for few in part.chunks(6) {
            any_moment().await;
            tickets.extend(house.finish(few).await);
        }
        while let Some(shown) = within(readers.join_next()).await {
            let (id, shown) = shown.unwrap();
            let ticket = tickets.iter().find(|ticket| ticket.id == id).unwrap();
            assert!(shown.contains(&ticket.to_json()), "{shown}");
        }
    }
    house.is_deserted().await;
}

/// Says when a further read waits for the ledger: the house then tells polls to come later.
struct Waiting<'a> {
    house: &'a House,
    known: Granted,
}

impl Waiting<'_> {
    async fn poll_after(&self) -> u32 {
        let Self { house, known } = self;
        let answer = get_as(house, &known.id().to_string(), &known.token, &[]).await;
        let told = answer.header("dibs-poll-after-ms").expect("it is pending");
        told.parse().expect("it is a number of ms")
    }

    async fn until_more_than(&self, before: u32) {
        within(async { while self.poll_after().await <= before {} }).await;
    }
}

/// The final is published while the stream's own read is under way and will bring no more than
/// the pending state. Only who watches before he reads hears of it.
#[tokio::test]
async fn a_final_that_overtakes_the_first_read_is_told_on_every_stream() {
    let settings = push::Settings {
        ledger_calls: 0,
        ledger_queue: 10,
        read_within: Duration::from_millis(500),
        ..quiet()
    };
    let house = House::open(settings).await;
    let waiting = Waiting { house: &house, known: house.grant_one("known").await };
    let lost: Vec<Granted> =
        buyers("b", 3).iter().map(|b| house.unheard(b, store::clock::now())).collect();
    let verdict = async |before, lost: &Granted| {
        waiting.until_more_than(before).await;
        let ticket = house.decide(std::slice::from_ref(lost)).await.remove(0);
        let outcome = Outcome { install: house.ledger.install(), ticket: ticket.clone() };
        house.log.publish_outcomes(vec![outcome]).await.unwrap();
        ticket
    };
    let before = waiting.poll_after().await;
    let (shown, ticket) =
        tokio::join!(within(by_socket(&house, &lost[0])), verdict(before, &lost[0]));
    assert_eq!(shown, format!(r#"{{"type":"ticket","ticket":{}}}"#, ticket.to_json()));
    let before = waiting.poll_after().await;
    let (shown, ticket) =
        tokio::join!(within(by_events(&house, &lost[1])), verdict(before, &lost[1]));
    assert_eq!(shown, event(&ticket));
    let before = waiting.poll_after().await;
    let (shown, ticket) =
        tokio::join!(within(by_held_poll(&house, &lost[2])), verdict(before, &lost[2]));
    assert_eq!(shown, ticket.to_json());
}

#[tokio::test]
async fn all_four_paths_show_the_same_bytes() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    let plain = get_as(&house, &ada.id().to_string(), &ada.token, &[]).await.body;
    assert_eq!(plain, ticket.to_json());
    assert_eq!(by_held_poll(&house, &ada).await, plain);
    assert_eq!(by_events(&house, &ada).await, event(&ticket));
    let frame = by_socket(&house, &ada).await;
    assert_eq!(frame, format!(r#"{{"type":"ticket","ticket":{plain}}}"#));
}

#[tokio::test]
async fn with_a_dead_feed_the_refresher_still_brings_the_result() {
    let settings = push::Settings { reread_every: Duration::from_millis(20), ..quiet() };
    let house = House::open(settings).await;
    let granted = house.grant(&buyers("b", 3)).await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&granted[0].token]).await;
    client.expect(&house.pending(&granted[0])).await;
    let jwt = support::jwt("b-1");
    let mut events = Events::open(&house, &granted[1].id().to_string(), &jwt, &[]).await;
    events.next().await;
    let poll = by_held_poll(&house, &granted[2]);
    let verdict = async {
        support::until("the poll is held", || house.push.watched() == 3).await;
        // Settled, and no word of it.
        house.settle(&granted).await
    };
    let (polled, tickets) = tokio::join!(poll, verdict);
    client.expect(&tickets[0]).await;
    assert_eq!(events.next().await, Some(event(&tickets[1])));
    assert_eq!(polled, tickets[2].to_json());
}

#[tokio::test]
async fn the_refresher_finds_the_verdict_in_the_ledger_when_the_gate_has_lost_the_round() {
    let settings = push::Settings { reread_every: Duration::from_millis(20), ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    house.lose_the_gate().await;
    let ticket = house.decide(std::slice::from_ref(&ada)).await.remove(0);
    client.expect(&ticket).await;
}

#[tokio::test]
async fn a_watched_order_that_is_lost_is_brought_back() {
    let settings = push::Settings {
        reread_every: Duration::from_millis(20),
        resend_after: Duration::from_millis(50),
        ..quiet()
    };
    let house = House::open(settings).await;
    let mut orders = house.log.orders().await.unwrap();
    let lost = house.unheard("ada", store::clock::now());
    let mut client = Client::connect(&house).await;
    client.watch(&[&lost.token]).await;
    client.expect(&house.pending(&lost)).await;
    let deliveries = within(orders.next(1)).await.unwrap();
    assert_eq!(deliveries[0].batch().unwrap().orders(), std::slice::from_ref(&lost.order));
    let ticket = house.decide(std::slice::from_ref(&lost)).await.remove(0);
    client.expect(&ticket).await;
}

#[tokio::test]
async fn an_outcome_of_another_install_is_not_believed() {
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", 2)).await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&granted[0].token, &granted[1].token]).await;
    client.next_json().await;
    client.next_json().await;
    let tickets = house.decide(&granted).await;
    let outcome = |install, ticket: &Ticket| Outcome { install, ticket: ticket.clone() };
    let foreign = outcome(InstallId([7; 16]), &tickets[0]);
    let own = outcome(house.ledger.install(), &tickets[1]);
    house.log.publish_outcomes(vec![foreign, own]).await.unwrap();
    client.expect(&tickets[1]).await;
    client.is_silent().await;
}

/// Lag of the feed, stalled readers, and readers that come and go: the others miss nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_readers_and_a_lagging_feed_cost_nobody_a_result() {
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", 6_400)).await;
    let mut stalled = Vec::new();
    for part in granted[..640].chunks(64) {
        let mut client = Client::connect(&house).await;
        for tokens in part.chunks(16) {
            let tokens: Vec<_> = tokens.iter().map(|granted| granted.token.as_str()).collect();
            client.watch(&tokens).await;
        }
        stalled.push(client);
    }
    let mut clients = Vec::new();
    for part in granted.chunks(64) {
        let mut client = Client::connect(&house).await;
        for tokens in part.chunks(16) {
            let tokens: Vec<_> = tokens.iter().map(|granted| granted.token.as_str()).collect();
            client.watch(&tokens).await;
        }
        clients.push(client);
    }
    let tickets = house.settle(&granted).await;
    // One message a ticket: more than the feed holds for a slow follower.
    let install = house.ledger.install();
    for ticket in &tickets {
        let outcome = Outcome { install, ticket: ticket.clone() };
        house.log.publish_outcomes(vec![outcome]).await.unwrap();
    }
    let finals = clients.iter_mut().map(async |client| {
        let mut finals = 0;
        while finals < 64 {
            if client.next_json().await["ticket"]["final"] == true {
                finals += 1;
            }
        }
    });
    join_all(finals).await;
    for mut client in stalled.drain(..) {
        let _ = client.socket.get_mut().shutdown().await;
    }
    drop(clients);
    house.is_deserted().await;
}
