//! `GET /v1/tickets/{id}`: who may read, what is answered, and how a poll is held.

mod support;

use std::time::Duration;

use sale::time::Timestamp;
use serde_json::Value;
use store::clock;
use support::http::{Answered, get, get_as};
use support::{House, create, jwt, jwt_until, quiet};

#[tokio::test]
async fn the_token_and_the_owners_jwt_show_the_ticket() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    for bearer in [ada.token.clone(), jwt("ada")] {
        let answer = get_as(&house, &id, &bearer, &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, house.pending(&ada).to_json());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("dibs-poll-after-ms"), Some("1000"));
    }
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    for bearer in [ada.token.clone(), jwt("ada")] {
        let answer = get_as(&house, &id, &bearer, &[]).await;
        assert_eq!(answer.body, ticket.to_json());
        assert_eq!(answer.header("etag"), Some("\"2\""));
        assert_eq!(answer.header("dibs-poll-after-ms"), None);
    }
}

#[tokio::test]
async fn what_opens_no_ticket_is_answered_with_the_same_bytes() {
    let house = House::open(quiet()).await;
    let (ada, bob) = (house.grant_one("ada").await, house.grant_one("bob").await);
    let decided = house.grant_one("cyd").await;
    house.finish(std::slice::from_ref(&decided)).await;
    let id = ada.id().to_string();
    let mut neighbour = ada.id();
    neighbour.0[15] ^= 1;
    let mut elsewhere = ada.id();
    elsewhere.0[0] ^= 0x40;
    let mut torn = ada.token.clone();
    torn.pop();
    let mut forged = ada.token.clone().into_bytes();
    forged[60] = if forged[60] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let expired = jwt_until("ada", clock::now().millis() / 1000 - 1);
    let cases = [
        (id.as_str(), bob.token.as_str()),
        (&id, &torn),
        (&id, &forged),
        (&id, "x"),
        (&id, "a.b.c"),
        (&id, &jwt("bob")),
        (&decided.id().to_string(), &jwt("bob")),
        (&id, &expired),
        (&neighbour.to_string(), &jwt("ada")),
        (&neighbour.to_string(), &ada.token),
        (&elsewhere.to_string(), &jwt("ada")),
        ("no-such-id", &ada.token),
        ("no-such-id", &jwt("ada")),
        ("%FF%FE", &ada.token),
    ];
    let mut answers = Vec::new();
    for (id, bearer) in cases {
        answers.push(get_as(&house, id, bearer, &[]).await);
        answers.push(get_as(&house, &format!("{id}/events"), bearer, &[]).await);
        let hold = [("prefer", "wait=5"), ("if-none-match", "\"1\"")];
        answers.push(get_as(&house, id, bearer, &hold).await);
    }
    answers.push(get(&house, &id, &[("authorization", "Basic YTpi")]).await);
    let what = |answer: &Answered| {
        let mut headers: Vec<_> = answer.headers.iter().collect();
        headers.retain(|(name, _)| *name != "date");
        headers.sort_by_key(|(name, _)| name.to_string());
        format!("{} {headers:?} {}", answer.status, answer.body)
    };
    let first = what(&answers[0]);
    assert!(first.starts_with("404") && first.contains("/problems/not-found"), "{first}");
    for answer in &answers {
        assert_eq!(what(answer), first);
    }
    assert_eq!(house.push.watched(), 0);
}

#[tokio::test]
async fn random_ids_show_nothing_to_a_buyer() {
    let house = House::open(quiet()).await;
    house.grant_one("ada").await;
    let bob = jwt("bob");
    let client = reqwest::Client::new();
    for n in 0..500 {
        let mut id = sale::id::TicketId(rand::random());
        if n % 2 == 0 {
            id.0[..4].copy_from_slice(&house.sale.round.0.to_be_bytes());
            id.0[4] = 0;
        }
        let answer = client.get(house.url(id)).bearer_auth(&bob).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
}

#[tokio::test]
async fn a_read_without_credentials_is_401() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    for path in [ada.id().to_string(), format!("{}/events", ada.id()), "no-such-id".into()] {
        let answer = get(&house, &path, &[]).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.body.contains("/problems/unauthenticated"));
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_known() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let answer = reqwest::Client::new().delete(house.url(ada.id())).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_forged_token_touches_no_store() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let (id, forged) = (ada.id().to_string(), "AQ".repeat(60));
    let before = get_as(&house, &id, &forged, &[]).await;
    house.lose_the_gate().await;
    house.lose_the_ledger().await;
    let after = get_as(&house, &id, &forged, &[]).await;
    assert_eq!((after.status, after.body), (before.status, before.body));
    assert_eq!(before.status, 404);
}

#[tokio::test]
async fn without_the_gates_record_and_a_verdict_a_token_shows_its_own_order() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    house.lose_the_gate().await;
    let shown = get_as(&house, &id, &ada.token, &[]).await;
    assert_eq!((shown.status.as_u16(), shown.body), (200, house.pending(&ada).to_json()));
    let refused = get_as(&house, &id, &jwt("ada"), &[]).await;
    assert_eq!(refused.status, 503, "a JWT proves no order");
}

#[tokio::test]
async fn without_stores_nobody_is_shown_a_version_that_may_be_outdated() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    house.finish(std::slice::from_ref(&ada)).await;
    assert!(get_as(&house, &id, &ada.token, &[]).await.body.contains(r#""version":2"#));
    house.lose_the_gate().await;
    house.lose_the_ledger().await;
    for bearer in [&ada.token, &jwt("ada")] {
        let refused = get_as(&house, &id, bearer, &[]).await;
        assert_eq!(refused.status, 503);
        assert!(refused.body.contains("/problems/unavailable"), "{}", refused.body);
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("dibs-poll-after-ms"), Some("1000"));
    }
}

#[tokio::test]
async fn one_store_is_enough_to_read_and_to_be_ready() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    let id = ada.id().to_string();
    house.lose_the_gate().await;
    let shown = get_as(&house, &id, &jwt("ada"), &[]).await;
    assert_eq!(shown.body, ticket.to_json());
    assert_eq!(house.push.ready().await, Ok(()));

    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    house.lose_the_ledger().await;
    let shown = get_as(&house, &id, &jwt("ada"), &[]).await;
    assert_eq!(shown.body, house.pending(&ada).to_json());
    assert_eq!(house.push.ready().await, Ok(()));
}

#[tokio::test]
async fn a_round_that_is_not_loaded_is_no_answer_and_a_retired_one_is_the_ledgers() {
    let house = House::open(quiet()).await;
    let cold = create(&house.ledger, "cold").await;
    let mut id = house.unheard("ada", clock::now()).id();
    id.0[..4].copy_from_slice(&cold.round.0.to_be_bytes());
    let id = id.to_string();
    assert_eq!(get_as(&house, &id, &jwt("ada"), &[]).await.status, 503);
    house.ledger.retire(cold.round).await.unwrap();
    assert_eq!(get_as(&house, &id, &jwt("ada"), &[]).await.status, 404);

    let won = house.grant_one("ada").await;
    let ticket = house.finish(std::slice::from_ref(&won)).await.remove(0);
    house.ledger.retire(house.sale.round).await.unwrap();
    house.gate.retire(house.sale.round).await.unwrap();
    let shown = get_as(&house, &won.id().to_string(), &jwt("ada"), &[]).await;
    assert_eq!(shown.body, ticket.to_json());
}

#[tokio::test]
async fn a_poll_that_has_the_version_gets_304_and_a_bad_cursor_counts_as_none() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    for same in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = get_as(&house, &id, &ada.token, &[("if-none-match", same)]).await;
        assert_eq!(answer.status, 304, "{same}");
        assert_eq!((answer.header("etag"), answer.body.as_str()), (Some("\"1\""), ""));
        assert_eq!(answer.header("dibs-poll-after-ms"), Some("1000"));
    }
    for (cursor, wait) in
        [("\"99\"", "wait=30"), ("garbage", "wait=30"), ("\"0\"", "wait=30"), ("\"1\"x", "wait=30")]
    {
        let headers = [("if-none-match", cursor), ("prefer", wait)];
        let answer = get_as(&house, &id, &ada.token, &headers).await;
        assert_eq!(answer.status, 200, "{cursor}");
        assert_eq!(answer.body, house.pending(&ada).to_json());
    }
    let answer = get_as(&house, &id, &ada.token, &[("prefer", "wait=30")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("preference-applied"), Some("wait"));
}

#[tokio::test]
async fn a_held_poll_is_answered_with_the_next_version() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let hold = [("if-none-match", "\"1\""), ("prefer", "wait=30")];
    let poll = get_as(&house, &id, &ada.token, &hold);
    let verdict = async {
        support::until("the poll is held", || house.push.watched() == 1).await;
        house.finish(std::slice::from_ref(&ada)).await.remove(0)
    };
    let (answer, ticket) = tokio::join!(poll, verdict);
    assert_eq!((answer.status.as_u16(), answer.body), (200, ticket.to_json()));
    assert_eq!(answer.headers["etag"], "\"2\"");
    assert_eq!(answer.headers["preference-applied"], "wait");
    house.is_deserted().await;
}

#[tokio::test]
async fn a_held_poll_ends_with_304_when_its_time_is_up() {
    let settings = push::Settings { hold_most: Duration::from_millis(50), ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let hold = [("if-none-match", "\"1\""), ("prefer", "wait=99999")];
    let answer = get_as(&house, &id, &ada.token, &hold).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (304, ""));
    assert_eq!(house.push.watched(), 0);
}

#[tokio::test]
async fn a_held_poll_whose_client_goes_leaves_nothing_behind() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let hold = [("if-none-match", "\"1\""), ("prefer", "wait=30")];
    let poll = get_as(&house, &id, &ada.token, &hold);
    tokio::select! {
        _ = poll => panic!("there was no news"),
        () = support::until("the poll is held", || house.push.watched() == 1) => {}
    }
    house.is_deserted().await;
}

#[tokio::test]
async fn a_lost_order_shows_as_pending_and_is_published_once_a_turn() {
    let settings = push::Settings { resend_after: Duration::from_millis(200), ..quiet() };
    let house = House::open(settings).await;
    let mut orders = house.log.orders().await.unwrap();
    let long_ago = Timestamp::from_millis(clock::now().millis() - 60_000).unwrap();
    let lost = house.unheard("ada", long_ago);
    let id = lost.id().to_string();
    let pending = house.pending(&lost).to_json();
    // A fresh token may be ahead of its order: nothing is brought back for it.
    let fresh = house.unheard("bob", clock::now().plus(Duration::from_secs(60)));
    let shown = get_as(&house, &fresh.id().to_string(), &fresh.token, &[]).await;
    assert_eq!(shown.body, house.pending(&fresh).to_json());
    for _ in 0..5 {
        let shown = get_as(&house, &id, &lost.token, &[]).await;
        assert_eq!((shown.status.as_u16(), shown.body.as_str()), (200, pending.as_str()));
    }
    // Its owner's JWT proves no order.
    assert_eq!(get_as(&house, &id, &jwt("ada"), &[]).await.status, 404);
    let deliveries = support::within(orders.next(100)).await.unwrap();
    assert_eq!(deliveries[0].batch().unwrap().orders(), std::slice::from_ref(&lost.order));
    let published_again = async {
        loop {
            get_as(&house, &id, &lost.token, &[]).await;
            tokio::select! {
                more = orders.next(100) => return more.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    };
    let more = support::within(published_again).await;
    assert_eq!(more[0].batch().unwrap().orders(), std::slice::from_ref(&lost.order));
    assert_ne!(more[0].batch().unwrap().id, deliveries[0].batch().unwrap().id);

    // Once it is decided, its token shows the verdict.
    let ticket = house.decide(std::slice::from_ref(&lost)).await.remove(0);
    let shown = get_as(&house, &id, &lost.token, &[]).await;
    assert_eq!(shown.body, ticket.to_json());
}

#[tokio::test]
async fn reads_beyond_the_ledgers_queue_are_told_to_come_back_while_the_gate_still_answers() {
    let settings = push::Settings {
        ledger_calls: 0,
        ledger_queue: 1,
        read_within: Duration::from_millis(50),
        ..quiet()
    };
    let house = House::open(settings).await;
    let known = house.grant_one("ada").await;
    let lost = house.unheard("bob", clock::now());
    let id = lost.id().to_string();
    let waited = get_as(&house, &id, &lost.token, &[]).await;
    assert_eq!(waited.status, 503);
    assert!(waited.body.contains("/problems/unavailable"), "{}", waited.body);
    // It has not given its place in the queue back: the ledger has not come to it.
    let busy = get_as(&house, &id, &lost.token, &[]).await;
    assert_eq!(busy.status, 503);
    let problem: Value = serde_json::from_str(&busy.body).unwrap();
    assert_eq!(problem["type"], "/problems/busy");
    assert_eq!(busy.header("retry-after"), Some("10"));
    assert_eq!(busy.header("dibs-poll-after-ms"), Some("10000"));
    let shown = get_as(&house, &known.id().to_string(), &known.token, &[]).await;
    assert_eq!(shown.body, house.pending(&known).to_json());
}

#[tokio::test]
async fn pages_of_listed_origins_may_read_and_no_other() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let allow = async |origin| {
        let answer = get_as(&house, &id, &ada.token, &[("origin", origin)]).await;
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allow("https://shop.example").await.as_deref(), Some("https://shop.example"));
    for foreign in ["https://evil.example", "https://shop.example.evil.example", "null"] {
        assert_eq!(allow(foreign).await, None);
    }
}
