//! One WebSocket for many tickets.

use std::collections::HashSet;

use client::{Frame, Held, Socket};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::buyer::{client, win};
use crate::harness::{PATIENCE, Server};
use crate::ledger::Lock;

async fn next(socket: &mut Socket) -> Frame {
    timeout(PATIENCE, socket.next()).await.expect("something should come").unwrap()
}

async fn versions(socket: &mut Socket, held: &[Held], version: u32) {
    let mut due: HashSet<_> = held.iter().map(Held::id).collect();
    while !due.is_empty() {
        let told = next(socket).await;
        let Frame::Ticket(seen) = &told else { panic!("no ticket: {told:?}") };
        assert_eq!(seen.ticket.version, version);
        assert!(due.remove(&seen.ticket.id), "told twice: {}", seen.ticket.id);
    }
}

#[tokio::test]
async fn a_socket_carries_as_many_tickets_as_a_connection_may() {
    let server = Server::start(&[("reread_every", "20ms")]).await;
    server.open_sale("cups", 99, 1).await;
    let client = client(&server.base);
    let lock = Lock::ledger(&server).await;
    let buyers: Vec<_> = (0..65).map(|n| format!("buyer-{n}")).collect();
    let held = join_all(buyers.iter().map(|buyer| win(&client, "cups", buyer))).await;
    let (watched, more) = held.split_at(64);

    let mut socket = client.socket().await.unwrap();
    let tokens: Vec<_> = watched.iter().map(|held| held.token.as_str()).collect();
    socket.watch(&tokens).await.unwrap();
    versions(&mut socket, watched, 1).await;

    socket.watch(&[&more[0].token]).await.unwrap();
    let told = next(&mut socket).await;
    assert!(
        matches!(&told, Frame::Fault { code, index: Some(0), .. } if code == "too-many"),
        "{told:?}"
    );
    socket.unwatch(&[watched[0].id()]).await.unwrap();
    socket.watch(&["no-token", &more[0].token]).await.unwrap();
    let told = next(&mut socket).await;
    assert!(
        matches!(&told, Frame::Fault { code, index: Some(0), .. } if code == "not-found"),
        "{told:?}"
    );
    versions(&mut socket, more, 1).await;

    lock.release().await;
    versions(&mut socket, &held[1..], 2).await;
    socket.close().await;
    server.until_watched(0.0).await;
}
