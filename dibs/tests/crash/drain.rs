//! The end that was asked for, under load.

use std::sync::Arc;

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::eyes::{Socket, connect, watch};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{PATIENCE, Server};

#[tokio::test]
async fn a_drain_under_load_tells_every_watcher_and_leaves_no_claim_granted_and_unanswered() {
    let mut server = Server::start(&[]).await;
    server.open_sale("cups", 100_000, 1).await;
    let mut watchers = JoinSet::new();
    let mut owed = Vec::new();
    for n in 0..16 {
        let ticket = Claim::of("cups", &format!("watcher-{n}")).win(&server).await;
        let mut socket = connect(&server.base).await.unwrap();
        watch(&mut socket, &ticket.token).await.unwrap();
        watchers.spawn(farewell(socket));
        owed.push(ticket);
    }
    let answers = Arc::new(watch::Sender::new(0));
    let mut claimers = JoinSet::new();
    for n in 0..32 {
        let (http, base) = (server.http.clone(), server.base.clone());
        claimers.spawn(claim_on(http, base, n, answers.clone()));
    }
    let mut answered = answers.subscribe();
    let enough = answered.wait_for(|answers| *answers > 300);
    tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap();

    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    while let Some(delay) = watchers.join_next().await {
        let delay = delay.unwrap();
        assert!((500..=10_000).contains(&delay), "{delay}");
    }
    owed.extend(claimers.join_all().await.into_iter().flatten());

    let place = server.place().clone();
    drop(server);
    let server = Server::start_in(place, &[]).await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!(audit.tickets.len(), owed.len(), "whoever was granted was answered");
    assert_eq!(audit.rejected, 0);
}

/// Claims for one buyer after the other until the server is going or gone.
async fn claim_on(
    http: reqwest::Client,
    base: String,
    claimer: u32,
    answers: Arc<watch::Sender<u32>>,
) -> Vec<Owed> {
    let mut owed = Vec::new();
    for n in 0.. {
        let claim = Claim::of("cups", &format!("{claimer}-{n}"));
        let Ok(answer) = claim.send_to(&http, &base).await else { break };
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        owed.extend(claim.owed(&answer));
        answers.send_modify(|answers| *answers += 1);
    }
    owed
}

/// Reads a stream to its end; the delay that the client was told to come back after.
async fn farewell(mut socket: Socket) -> u64 {
    let mut delay = None;
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "drain" {
                    delay = frame["reconnect_after_ms"].as_u64();
                }
            }
            Message::Close(close) => {
                assert_eq!(u16::from(close.unwrap().code), 1001);
                return delay.expect("a farewell comes before the close");
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
}
