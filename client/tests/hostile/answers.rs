//! Answers over HTTP.

use std::time::Duration;

use client::{
    Admin, Answer, Ask, Claim, Error, NewSale, SaleId, Timestamp, Units, Why, pause_after,
};

use crate::raw::{Say, Server};
use crate::{CONFIRMED, PENDING, answer, client, held, impatient};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

fn sale() -> SaleId {
    SaleId::new("cups").unwrap()
}

fn claim() -> Claim {
    Claim::new(sale(), "a.b.c")
}

/// What every call makes of the same server.
async fn every_call(server: &Server) -> Vec<Error> {
    let client = impatient(server.port);
    let admin = Admin::of(client.clone(), "key");
    let at = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
    let new = NewSale {
        id: sale(),
        name: "Cups".to_owned(),
        stock: 1,
        limit: Units::ONE,
        opens_at: at,
        closes_at: at.plus(Duration::from_secs(1)),
    };
    let wait = Some(Duration::ZERO);
    vec![
        client.claim_once(&claim()).await.unwrap_err(),
        client.claim(&claim()).await.unwrap_err(),
        client.read(held().id(), "token", Ask::default()).await.unwrap_err(),
        client.read(held().id(), "token", Ask { known: Some(1), wait }).await.unwrap_err(),
        client.clock().await.unwrap_err(),
        client.sales().await.unwrap_err(),
        client.sale(&sale()).await.unwrap_err(),
        client.guest().await.unwrap_err(),
        client.socket().await.map(|_| ()).unwrap_err(),
        admin.create(&new).await.unwrap_err(),
        admin.sales().await.unwrap_err(),
        admin.tickets(&sale()).await.unwrap_err(),
        admin.ticket(&sale(), held().id()).await.unwrap_err(),
        admin.rounds().await.unwrap_err(),
        admin.parked().await.unwrap_err(),
        admin.close(&sale()).await.unwrap_err(),
    ]
}

/// The server's answer leaves open what happened, and asking again may tell.
async fn tells_nothing(say: Say) {
    let server = Server::saying(say).await;
    for error in every_call(&server).await {
        assert!(error.is_worth_another_try(), "{error:?}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}

#[tokio::test]
async fn no_answer_tells_nothing() {
    tells_nothing(Say::Bytes(Vec::new())).await;
    tells_nothing(Say::Silence(Vec::new())).await;
    let port = Server::saying(Say::Bytes(Vec::new())).await.port;
    let refused = client(port).claim_once(&claim()).await.unwrap_err();
    assert!(matches!(refused, Error::NotKnown { why: "no connection", .. }), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_http_tells_nothing() {
    tells_nothing(Say::Bytes(b"\x16\x03\x01\x00\xee garbage \xff\n\n".to_vec())).await;
    tells_nothing(Say::Bytes(b"HTTP/1.1 999999 OK\r\n\r\n".to_vec())).await;
    tells_nothing(Say::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec())).await;
}

#[tokio::test]
async fn what_is_not_json_tells_nothing() {
    let page = "<html>Sign in to the hotel's network</html>";
    for body in [page, "", "null", "[]", "{", "\u{feff}{}", "\"\\ud800\"", "{\"ticket\":1}"] {
        tells_nothing(Say::Bytes(answer("200 OK", "Content-Type: text/html\r\n", body))).await;
    }
    tells_nothing(Say::Bytes(answer("200 OK", "", &"[".repeat(100_000)))).await;
    tells_nothing(Say::Bytes(answer("204 No Content", "", ""))).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_tells_nothing() {
    let started = |length: &str| [HEAD, length.as_bytes(), b"\r\n\r\n{\"ticket\":"].concat();
    tells_nothing(Say::Bytes(started("Content-Length: 500"))).await;
    tells_nothing(Say::Silence(started("Content-Length: 500"))).await;
    tells_nothing(Say::Bytes(started("Transfer-Encoding: chunked"))).await;
}

#[tokio::test]
async fn what_never_ends_is_read_up_to_a_bound() {
    let body = [HEAD, b"\r\n"].concat();
    tells_nothing(Say::Endless(body, b"                                ")).await;
    tells_nothing(Say::Endless(HEAD.to_vec(), b"X-More: and more and more\r\n")).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_credentials() {
    let elsewhere = Server::saying(Say::Bytes(answer("200 OK", "", "{}"))).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let there = format!("Location: http://127.0.0.1:{}/\r\n", elsewhere.port);
        tells_nothing(Say::Bytes(answer(status, &there, ""))).await;
    }
    assert_eq!(elsewhere.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_is_read_as_far_as_it_is_one() {
    let garbage = ["", "<html>", "[]", r#"{"type":7,"detail":[],"held":"x","left":-1}"#];
    for body in garbage {
        let server = Server::saying(Say::Bytes(answer("409 Conflict", "", body))).await;
        let answered = client(server.port).claim_once(&claim()).await.unwrap();
        let Answer::Refused(refusal) = answered else { panic!("{answered:?}") };
        assert_eq!((refusal.why, refusal.status), (Why::Other, 409));
        assert_eq!((refusal.problem.as_str(), refusal.held.len()), ("about:blank", 0));
    }
    let body = r#"{"type":"/problems/too-few-left","left":"many","held":[{"ticket":{}}]}"#;
    let server = Server::saying(Say::Bytes(answer("409 Conflict", "", body))).await;
    let answered = client(server.port).claim_once(&claim()).await.unwrap();
    let Answer::Refused(refusal) = answered else { panic!("{answered:?}") };
    assert_eq!((refusal.why, refusal.held.len()), (Why::TooFewLeft { left: None }, 0));
}

#[tokio::test]
async fn a_claim_that_is_refused_for_good_is_not_sent_again() {
    for (status, refused) in [("401 Unauthorized", "credentials"), ("404 Not Found", "not found")] {
        let server = Server::saying(Say::Bytes(answer(status, "", "go away"))).await;
        let error = client(server.port).claim(&claim()).await.unwrap_err();
        assert!(error.to_string().contains(refused), "{error}");
        assert_eq!(server.heads().len(), 1);
    }
}

#[tokio::test]
async fn what_a_server_says_is_told_in_one_line() {
    let body = r#"{"type":"/problems/\u001b[2J","detail":"one\ntwo\u001b[31m"}"#;
    let server = Server::saying(Say::Bytes(answer("503 Unavailable", "", body))).await;
    for error in every_call(&server).await {
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}

#[tokio::test]
async fn only_our_own_503_says_that_nothing_happened() {
    let problem = |slug| format!(r#"{{"type":"/problems/{slug}","detail":"later"}}"#);
    for slug in ["busy", "recovering", "unavailable"] {
        let say = answer("503 Unavailable", "Retry-After: 7\r\n", &problem(slug));
        let server = Server::saying(Say::Bytes(say)).await;
        let error = client(server.port).claim_once(&claim()).await.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
    for body in [problem("not-known"), problem("sold-out"), String::new()] {
        let server = Server::saying(Say::Bytes(answer("503 Unavailable", "", &body))).await;
        let error = client(server.port).claim_once(&claim()).await.unwrap_err();
        assert!(matches!(error, Error::NotKnown { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_an_absurd_pause_is_not_obeyed() {
    for pause in ["18446744073709551615", "-1", "soon", "99999999999999999999999", "1e9"] {
        let headers = format!("Retry-After: {pause}\r\nDibs-Poll-After-Ms: {pause}\r\n");
        let server = Server::saying(Say::Bytes(answer("503 Unavailable", &headers, ""))).await;
        let error = client(server.port).claim_once(&claim()).await.unwrap_err();
        assert!(pause_after(&error, 0) <= Duration::from_secs(180), "{pause}");
        let server = Server::saying(Say::Bytes(answer("200 OK", &headers, PENDING))).await;
        let read = client(server.port).read(held().id(), "token", Ask::default()).await.unwrap();
        assert_eq!(&*read.seen.unwrap().bytes, PENDING);
    }
}

#[tokio::test]
async fn a_ticket_that_is_none_is_not_believed() {
    let other = CONFIRMED.replace("AQEBAQEBAQEBAQEBAQEBAQ", "AgEBAQEBAQEBAQEBAQEBAQ");
    for ticket in [
        other.as_str(),
        &PENDING.replace("AQEBAQEBAQEBAQEBAQEBAQ", "../../../etc/passwd"),
        &PENDING.replace("\"version\":1", "\"version\":-1"),
        &PENDING.replace("\"version\":1", "\"version\":1e99"),
        &PENDING.replace("\"version\":1", "\"version\":4294967296"),
        &PENDING.replace("\"units\":1", "\"units\":0"),
        &PENDING.replace("\"final\":false", "\"final\":null"),
        &PENDING.replace("2026-01-02T03", "99999999-01-02T03"),
        &PENDING.replace("\"status\":\"pending\",", ""),
    ] {
        assert!(other == ticket || ticket != PENDING, "the fault is in it");
        let server = Server::saying(Say::Bytes(answer("200 OK", "", ticket))).await;
        let read = client(server.port).read(held().id(), "token", Ask::default()).await;
        assert!(matches!(read, Err(Error::Protocol(_))), "{ticket}: {read:?}");
    }
    // A token goes into a header.
    let granted = format!(r#"{{"ticket":{PENDING},"token":"a\r\nX-Evil: 1"}}"#);
    let server = Server::saying(Say::Bytes(answer("202 Accepted", "", &granted))).await;
    let claimed = client(server.port).claim_once(&claim()).await;
    assert!(matches!(claimed, Err(Error::Protocol(_))), "{claimed:?}");
}

#[tokio::test]
async fn a_stage_or_a_status_that_is_not_known_yet_is_told_as_it_is() {
    let paid = CONFIRMED.replace("confirmed", "paid").replace("\"final\"", "\"new\":[1],\"final\"");
    let server = Server::saying(Say::Bytes(answer("200 OK", "", &paid))).await;
    let read = client(server.port).read(held().id(), "token", Ask::default()).await.unwrap();
    let seen = read.seen.unwrap();
    assert_eq!(seen.ticket.status, client::Status::Other("paid".to_owned()));
    assert_eq!(&*seen.bytes, paid);
}

#[tokio::test]
async fn pages_that_go_in_circles_come_to_an_end() {
    let page = format!(
        r#"{{"tickets":[{{"ticket":{CONFIRMED},"buyer":"ada"}}],"next":"AQEBAQEBAQEBAQEBAQEBAQ"}}"#
    );
    let server = Server::saying(Say::Bytes(answer("200 OK", "", &page))).await;
    let listed = Admin::of(client(server.port), "key").tickets(&sale()).await;
    assert!(matches!(listed, Err(Error::Protocol(_))), "{listed:?}");
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let server = Server::saying(Say::Bytes(answer("200 OK", "", ""))).await;
    let error = client(server.port).claim(&Claim::new(sale(), "a\r\nb")).await.unwrap_err();
    assert!(matches!(error, Error::Setup(_)), "{error:?}");
    assert!(!error.to_string().contains("a\r\nb"), "the credentials are not told");
    assert_eq!(server.heads(), Vec::<String>::new());
}
