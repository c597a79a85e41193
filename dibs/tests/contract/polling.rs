//! `GET /v1/tickets/{id}` with `Prefer: wait=N`: held for another version.

use reqwest::{RequestBuilder, StatusCode};

use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::ledger::Lock;

fn held(server: &Server, owed: &Owed, version: &str, wait: &str) -> RequestBuilder {
    server.ticket(owed).header("if-none-match", version).header("prefer", wait)
}

async fn watched(server: &Server, tickets: f64) {
    eventually("so many tickets are watched", async || {
        (server.gauge("dibs_push_watched").await == tickets).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_poll_is_held_until_there_is_another_version() {
    let server = Server::start(&[("reread_every", "20ms")]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let (answer, ()) = tokio::join!(held(&server, &owed, "\"1\"", "wait=30").send(), async {
        watched(&server, 1.0).await;
        lock.release().await;
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["etag"], "\"2\"");
    assert_eq!(answer.headers()["preference-applied"], "wait");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.text().await.unwrap(), server.ticket_text(&owed).await);
    watched(&server, 0.0).await;
}

#[tokio::test]
async fn a_poll_whose_time_is_up_is_not_modified() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.result(&owed).await;
    for wait in ["wait=0", "wait=1", "respond-async, wait=1"] {
        let answer = held(&server, &owed, "\"2\"", wait).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()["etag"], "\"2\"");
        assert_eq!(answer.headers()["preference-applied"], "wait");
    }
}

#[tokio::test]
async fn what_the_client_does_not_have_is_answered_at_once() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    // Held, each of these would be answered by the next version only, which does not come.
    for cursor in ["\"0\"", "\"2\"", "\"4294967295\"", "1", "garbage", "\"x\"", ""] {
        let answer = held(&server, &owed, cursor, "wait=100000").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{cursor}");
        assert_eq!(answer.headers()["etag"], "\"1\"", "{cursor}");
    }
    let without = server.ticket(&owed).header("prefer", "wait=100000").send().await.unwrap();
    assert_eq!(without.status(), StatusCode::OK);
    // A wait that cannot be understood counts as none.
    for wait in ["wait=x", "wait=-1", "wait", "respond-async"] {
        let answer = held(&server, &owed, "\"1\"", wait).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{wait}");
        assert!(!answer.headers().contains_key("preference-applied"), "{wait}");
    }
    lock.release().await;
}

#[tokio::test]
async fn a_poll_whose_client_has_gone_is_not_held_any_longer() {
    let server = Server::start(&[("reread_every", "20ms")]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let poll = held(&server, &owed, "\"1\"", "wait=30").send();
    tokio::select! {
        answer = poll => panic!("it was answered: {answer:?}"),
        () = watched(&server, 1.0) => {}
    }
    watched(&server, 0.0).await;
    lock.release().await;
}
