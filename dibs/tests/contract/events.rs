//! `GET /v1/tickets/{id}/events`: the same over SSE.

use reqwest::{Method, StatusCode};

use crate::ask::problem;
use crate::harness::Server;
use crate::harness::claimer::{Claim, jwt};
use crate::ledger::Lock;
use crate::sse::{Stream, event_of};

#[tokio::test]
async fn a_stream_tells_the_present_state_and_each_version_and_ends_after_the_final() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let mut stream = server.stream(&owed).await;
    let headers = stream.answer.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    let pending = server.ticket_text(&owed).await;
    assert_eq!(stream.event().await.unwrap(), event_of(1, &pending));
    lock.release().await;
    server.result(&owed).await;
    let confirmed = server.ticket_text(&owed).await;
    assert_eq!(stream.event().await.unwrap(), event_of(2, &confirmed));
    assert_eq!(stream.event().await, None);

    let by_jwt = server.call(Method::GET, &format!("/v1/tickets/{}/events", owed.id));
    let mut by_jwt = Stream::of(by_jwt.bearer_auth(jwt("ada"))).await;
    assert_eq!(by_jwt.event().await.unwrap(), event_of(2, &confirmed));
    assert_eq!(by_jwt.event().await, None);
    let stranger = server.call(Method::GET, &format!("/v1/tickets/{}/events", owed.id));
    let stranger = stranger.bearer_auth(jwt("bob")).send().await.unwrap();
    problem(stranger, 404, "not-found").await;
}

#[tokio::test]
async fn the_last_event_id_spares_what_the_client_has_and_a_bad_one_counts_as_none() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let mut resumed = Stream::of(server.events(&owed).header("last-event-id", "1")).await;
    lock.release().await;
    server.result(&owed).await;
    let confirmed = event_of(2, &server.ticket_text(&owed).await);
    assert_eq!(resumed.event().await.unwrap(), confirmed);
    assert_eq!(resumed.event().await, None);

    let mut done = Stream::of(server.events(&owed).header("last-event-id", "2")).await;
    assert_eq!(done.event().await, None, "nothing is left to tell");
    let foreign = owed.id.as_str();
    for bad in ["1", "3", "4294967295", "99999999999999", "-1", "2.0", "\"2\"", "x", "", foreign] {
        let mut stream = Stream::of(server.events(&owed).header("last-event-id", bad)).await;
        assert_eq!(stream.event().await.unwrap(), confirmed, "{bad:?}");
        assert_eq!(stream.event().await, None, "{bad:?}");
    }
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let server = Server::start(&[("heartbeat_every", "50ms")]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let mut stream = server.stream(&owed).await;
    assert!(stream.block().await.unwrap().starts_with("id: 1\n"));
    for _ in 0..3 {
        assert_eq!(stream.block().await.unwrap(), ":");
    }
    lock.release().await;
    assert!(stream.event().await.unwrap().starts_with("id: 2\n"));
    assert_eq!(stream.answer.status(), StatusCode::OK);
}
