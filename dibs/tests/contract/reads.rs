//! `GET /v1/tickets/{id}` and who may: the token's holder and the owner, and nobody else learns
//! even that the ticket is there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::ask::{problem, seconds, shop_key, signed, text_of};
use crate::harness::Server;
use crate::harness::claimer::{Claim, Owed, jwt};
use crate::ledger::Lock;
use crate::ws::Socket;

#[tokio::test]
async fn a_ticket_is_answered_with_its_version_as_etag_and_when_to_poll_next() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let answer = server.ticket(&owed).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = answer.headers().clone();
    assert_eq!(headers["etag"], "\"1\"");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "application/json");
    let poll_after = headers["dibs-poll-after-ms"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=60_000).contains(&poll_after), "{poll_after}");
    let text = answer.text().await.unwrap();
    assert_eq!(text, text_of(&serde_json::from_str(&text).unwrap()));
    lock.release().await;

    server.result(&owed).await;
    let answer = server.ticket(&owed).send().await.unwrap();
    assert_eq!(answer.headers()["etag"], "\"2\"");
    assert!(!answer.headers().contains_key("dibs-poll-after-ms"), "it does not change any more");
    let text = answer.text().await.unwrap();
    assert_eq!(text, text_of(&serde_json::from_str(&text).unwrap()));
}

#[tokio::test]
async fn the_owners_jwt_opens_it_like_the_token() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    let owner = server.call(Method::GET, &format!("/v1/tickets/{}", owed.id));
    let owner = owner.bearer_auth(jwt("ada")).send().await.unwrap();
    assert_eq!(owner.status(), StatusCode::OK);
    assert_eq!(owner.text().await.unwrap(), server.ticket_text(&owed).await);
}

#[tokio::test]
async fn a_version_that_the_client_has_is_not_sent_again() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    for has in ["\"2\"", "W/\"2\"", "\"1\", \"2\"", "*"] {
        let answer = server.ticket(&owed).header("if-none-match", has).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{has}");
        assert_eq!(answer.headers()["etag"], "\"2\"");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.bytes().await.unwrap(), "");
    }
    for other in ["\"1\"", "\"3\"", "2", "\"\"", "garbage"] {
        let answer = server.ticket(&owed).header("if-none-match", other).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{other}");
    }
}

/// Everything of an answer but its date.
async fn whole(request: RequestBuilder) -> (StatusCode, HeaderMap, String) {
    let answer = request.send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("date");
    (status, headers, answer.text().await.unwrap())
}

/// Ids and credentials that do not open each other, each with what is wrong.
async fn nothing_opens(own: &Owed, others: &Owed) -> Vec<(&'static str, String, String)> {
    let elsewhere = Server::start(&[]).await;
    elsewhere.open_sale("cups", 5, 1).await;
    let foreign = Claim::of("cups", &others.buyer).win(&elsewhere).await;
    let mut bytes = URL_SAFE_NO_PAD.decode(&others.token).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = URL_SAFE_NO_PAD.encode(&bytes);
    let mut neighbour = URL_SAFE_NO_PAD.decode(&others.id).unwrap();
    neighbour[15] ^= 1;
    let neighbour = URL_SAFE_NO_PAD.encode(neighbour);
    // The last of 22 characters holds two bits; another one with the same two is not canonical.
    let last = others.id.chars().last().unwrap();
    let sloppy = format!("{}{}", &others.id[..21], char::from(last as u8 + 1));
    let expired = json!({ "sub": others.buyer, "exp": seconds(-1) });
    let good = json!({ "sub": others.buyer, "exp": seconds(60) });
    let other_key = EncodingKey::from_secret(b"another secret that is long enough too");
    let unsigned = signed(Algorithm::HS256, &shop_key(), &good);
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        unsigned.split('.').nth(1).unwrap()
    );
    let (id, token) = (others.id.clone(), others.token.clone());
    let bearer = |credentials: &str| format!("Bearer {credentials}");
    let mine = bearer(&jwt(&own.buyer));
    let theirs = bearer(&jwt(&others.buyer));
    let cases = vec![
        ("another's, with my token", id.clone(), bearer(&own.token)),
        ("another's, with my JWT", id.clone(), mine.clone()),
        ("mine, with another's token", own.id.clone(), bearer(&token)),
        ("a neighbour, with the token", neighbour.clone(), bearer(&token)),
        ("a neighbour, with its owner's JWT", neighbour, theirs.clone()),
        ("an unknown one", "AAAAAAAAAAAAAAAAAAAAAA".into(), mine.clone()),
        ("not canonical", sloppy, theirs.clone()),
        ("cut off", id[..21].to_owned(), theirs.clone()),
        ("too long", format!("{id}A"), theirs),
        ("no id", "x".into(), mine.clone()),
        ("not UTF-8", "%ff".into(), mine.clone()),
        ("a path", "..%2F..%2Fetc".into(), mine),
        ("a forged token", id.clone(), bearer(&forged)),
        ("a token cut off", id.clone(), bearer(&token[..token.len() - 2])),
        ("half a token", id.clone(), bearer(&token[..token.len() / 2])),
        ("a token and more", id.clone(), bearer(&format!("{token}AA"))),
        ("a token of another install", id.clone(), bearer(&foreign.token)),
        ("that with its own id", foreign.id.clone(), bearer(&foreign.token)),
        ("no token", id.clone(), bearer("x")),
        ("a long text", id.clone(), bearer(&"A".repeat(3000))),
        ("an expired JWT", id.clone(), bearer(&signed(Algorithm::HS256, &shop_key(), &expired))),
        ("a JWT of another key", id.clone(), bearer(&signed(Algorithm::HS256, &other_key, &good))),
        ("a JWT without signature", id.clone(), bearer(&unsigned)),
        ("a JWT that is none", id.clone(), bearer("a.b.c")),
        ("the admin key", id.clone(), bearer(crate::harness::ADMIN_KEY)),
        ("another scheme", id.clone(), format!("Basic {token}")),
        ("no credentials", id, "Bearer ".into()),
    ];
    cases
}

#[tokio::test]
async fn whatever_does_not_open_a_ticket_is_answered_with_the_same_bytes_on_every_path() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let own = Claim::of("cups", "bob").win(&server).await;
    let others = Claim::of("cups", "ada").win(&server).await;
    server.result(&others).await;
    let mut answers = Vec::new();
    for (what, id, authorization) in nothing_opens(&own, &others).await {
        for path in [format!("/v1/tickets/{id}"), format!("/v1/tickets/{id}/events")] {
            let call = server.call(Method::GET, &path).header("authorization", &authorization);
            let polled = call.try_clone().unwrap();
            let polled = polled.header("prefer", "wait=30").header("if-none-match", "\"2\"");
            answers.push((what, whole(call).await));
            answers.push((what, whole(polled).await));
        }
    }
    let (_, first) = &answers[0];
    assert_eq!(first.0, StatusCode::NOT_FOUND);
    assert!(first.2.starts_with(r#"{"type":"/problems/not-found","#), "{}", first.2);
    for (what, answer) in &answers {
        assert_eq!(answer, first, "{what}");
    }
    // None of it was tried on a ticket that cannot be read at all.
    assert_eq!(server.ticket(&others).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_authorization_a_read_is_unauthenticated() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    for id in [&*owed.id, "x"] {
        for path in [format!("/v1/tickets/{id}"), format!("/v1/tickets/{id}/events")] {
            problem(server.get(&path).await, 401, "unauthenticated").await;
        }
    }
}

#[tokio::test]
async fn forged_tokens_touch_no_store_and_random_ids_find_nothing() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    let reads = async || {
        let metrics = server.metrics().await;
        let of_ledger = metrics.lines().filter(|line| line.starts_with("dibs_push_ledger_reads"));
        of_ledger.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = reads().await;
    let sealed = URL_SAFE_NO_PAD.decode(&owed.token).unwrap();
    let mut socket = Socket::connect(&server).await;
    for (at, bit) in (0..sealed.len()).map(|at| (at, 1 << (at % 8))) {
        let mut forged = sealed.clone();
        forged[at] ^= bit;
        let forged = URL_SAFE_NO_PAD.encode(&forged);
        let call = server.call(Method::GET, &format!("/v1/tickets/{}", owed.id));
        problem(call.bearer_auth(&forged).send().await.unwrap(), 404, "not-found").await;
        if at < 16 {
            socket.watch(&[&forged]).await;
            assert_eq!(socket.error("not-found").await["index"], 0);
        }
    }
    assert_eq!(reads().await, before);

    let round = URL_SAFE_NO_PAD.decode(&owed.id).unwrap();
    for _ in 0..200 {
        let id = [&round[..5], &rand::random::<[u8; 11]>()].concat();
        let call = server.call(Method::GET, &format!("/v1/tickets/{}", URL_SAFE_NO_PAD.encode(id)));
        problem(call.bearer_auth(jwt("bob")).send().await.unwrap(), 404, "not-found").await;
    }
    assert_ne!(reads().await, before, "a JWT that holds is looked up");
}

#[tokio::test]
async fn nothing_secret_is_read_from_an_address() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    for query in ["token", "access_token", "authorization"] {
        let path = format!("/v1/tickets/{}?{query}={}", owed.id, owed.token);
        problem(server.get(&path).await, 401, "unauthenticated").await;
    }
    let cookie = server.call(Method::GET, &format!("/v1/tickets/{}", owed.id));
    let cookie = cookie.header("cookie", format!("token={}", owed.token));
    problem(cookie.send().await.unwrap(), 401, "unauthenticated").await;
}
