//! Clients that mean harm: bounded, closed, and nobody else's loss.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::claimer::Claim;
use crate::harness::{PATIENCE, Server, eventually};
use crate::raw::{Raw, frame_head, host};

#[tokio::test]
async fn a_header_block_above_16_kibibytes_is_refused_and_one_below_it_is_read() {
    let server = Server::start(&[]).await;
    let asked = async |bytes: usize| {
        let mut raw = Raw::connect(&server).await;
        let head = format!("GET /v1/now HTTP/1.1\r\nhost: {}\r\nx-padding: ", host(&server));
        let end = "\r\nconnection: close\r\n\r\n";
        let padding = "x".repeat(bytes - head.len() - end.len());
        // The server may refuse it before all of it is sent.
        let _ = raw.0.write_all(format!("{head}{padding}{end}").as_bytes()).await;
        raw.rest().await
    };
    let answer = asked(15 * 1024).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for bytes in [17 * 1024, 40 * 1024] {
        let answer = asked(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn silent_and_dripping_connections_are_closed_while_an_honest_claim_is_granted() {
    let server = Server::start(&[("header_within", "1s")]).await;
    server.open_sale("cups", 5, 1).await;
    let silent = async || {
        let mut raw = Raw::connect(&server).await;
        raw.rest().await
    };
    let dripping = async |path: &str| {
        let mut raw = Raw::connect(&server).await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nx-drip: ", host(&server));
        raw.send(head).await;
        loop {
            // The pace of the attack.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if raw.0.write_all(b"x").await.is_err() {
                return raw.rest().await;
            }
        }
    };
    let honest = async {
        let mut owed = Vec::new();
        for buyer in ["ada", "bob", "eve"] {
            owed.push(Claim::of("cups", buyer).win(&server).await);
        }
        owed
    };
    let (silent, dripping, owed) = tokio::join!(
        join_all((0..200).map(|_| silent())),
        join_all((0..200).map(|n| dripping(["/v1/sales/cups", "/v1/tickets/x"][n % 2]))),
        honest,
    );
    for answer in silent.iter().chain(&dripping) {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 3);
}

/// Memory that the server has resident, in bytes.
fn resident(server: &Server) -> i64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1024
}

/// A WebSocket, opened by hand.
async fn opened(server: &Server) -> Raw {
    let mut raw = Raw::connect(server).await;
    raw.upgrade(server).await;
    raw
}

/// Memory in use once so many WebSockets have come and gone: what the first of all allocate is
/// nobody's in particular.
async fn warmed_up(server: &Server) -> i64 {
    drop(join_all((0..HOSTILE).map(|_| opened(server))).await);
    eventually("they are gone", async || {
        (server.gauge("dibs_push_sockets").await == 0.0).then_some(())
    })
    .await;
    resident(server)
}

const HOSTILE: usize = 200;
const EACH: i64 = 64 * 1024;

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_message_that_is_never_finished_costs_little_memory() {
    let server = Server::start(&[]).await;
    let before = warmed_up(&server).await;
    // As much as may stand unfinished in a connection: a first part, and most of a second.
    let mut unfinished = join_all((0..HOSTILE).map(|_| opened(&server))).await;
    for raw in &mut unfinished {
        raw.send([frame_head(0x01, 2000), vec![b' '; 2000], frame_head(0x80, 2000)].concat()).await;
        raw.send(vec![b' '; 1999]).await;
    }
    // Another one that has sent as much and is answered shows that the bytes have been read.
    let mut honest = opened(&server).await;
    honest.send([frame_head(0x81, 4096), vec![b' '; 4096]].concat()).await;
    assert_eq!(honest.server_frame().await.0, 0x1);
    let growth = resident(&server) - before;
    assert_eq!(server.gauge("dibs_push_sockets").await, HOSTILE as f64 + 1.0);
    assert!(growth < EACH * HOSTILE as i64, "{growth}");
}

/// Sends one piece again and again until the server has closed; the code that it closed with.
async fn flood(server: &Server, first: Vec<u8>, piece: Vec<u8>, pieces: usize) -> Option<u16> {
    let (mut reading, mut writing) = opened(server).await.0.into_split();
    let sending = async {
        writing.write_all(&first).await.ok()?;
        for _ in 0..pieces {
            writing.write_all(&piece).await.ok()?;
        }
        Some(())
    };
    let mut told = Vec::new();
    let listening = async {
        // A reset ends it as well as a close.
        let _ = reading.read_to_end(&mut told).await;
    };
    let both = async { tokio::join!(sending, listening) };
    tokio::time::timeout(PATIENCE, both).await.expect("it should be closed");
    let at = told.windows(2).rposition(|pair| pair == [0x88, 2])?;
    Some(u16::from_be_bytes([*told.get(at + 2)?, *told.get(at + 3)?]))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn floods_are_closed_with_a_code_and_cost_little_memory() {
    let server = Server::start(&[("watch_within", "3s")]).await;
    server.open_sale("cups", 5, 1).await;
    let before = warmed_up(&server).await;
    let mebibyte = 1024 * 1024;
    let part = || [frame_head(0x00, 64), vec![b' '; 64]].concat();
    let huge = flood(&server, frame_head(0x81, 64 * mebibyte), vec![b' '; 4096], 16 * 1024);
    let endless = flood(&server, frame_head(0x01, 0), part(), 100_000);
    let empty = flood(&server, frame_head(0x01, 0), frame_head(0x00, 0), 10_000);
    let tiny = flood(&server, vec![], [frame_head(0x81, 1), b"x".to_vec()].concat(), 10_000);
    let pings = flood(&server, vec![], frame_head(0x89, 0), 10_000);
    let codes = tokio::join!(huge, endless, empty, tiny, pings);
    let expected = (Some(1009), Some(1009), Some(1008), Some(1008), Some(1008));
    assert_eq!(codes, expected);
    let growth = resident(&server) - before;
    assert!(growth < EACH * 5, "{growth}");
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.audit("cups", &[owed]).await;
}

#[tokio::test]
async fn beyond_its_connections_the_server_says_so_and_serves_those_it_has() {
    let server = Server::start(&[("connections", "4")]).await;
    server.open_sale("cups", 5, 1).await;
    let claim = Claim::of("cups", "ada").win(&server).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(opened(&server).await);
    }
    // The fourth is the one that the claim came by.
    let refused = Raw::connect(&server).await.rest().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.contains(r#""type":"/problems/busy""#), "{refused}");
    assert_eq!(server.ticket(&claim).send().await.unwrap().status(), 200);
    drop(sockets);
    eventually("there is room again", async || {
        let mut raw = Raw::connect(&server).await;
        let request =
            format!("GET /v1/now HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", host(&server));
        raw.0.write_all(request.as_bytes()).await.ok()?;
        raw.rest().await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}
