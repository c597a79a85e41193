//! What hostile WebSockets cost: closed with a code, and bounded memory, read from /proc.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::claimer::Claim;
use crate::harness::{PATIENCE, Server, eventually};
use crate::raw::{Raw, frame_head};

/// Memory that the server has resident, in bytes.
fn resident(server: &Server) -> i64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1024
}

/// Memory in use once so many WebSockets have come and gone: what the first of all allocate is
/// nobody's in particular.
async fn warmed_up(server: &Server) -> i64 {
    drop(join_all((0..HOSTILE).map(|_| Raw::socket(server))).await);
    eventually("they are gone", async || {
        (server.gauge("dibs_push_sockets").await == 0.0).then_some(())
    })
    .await;
    resident(server)
}

const HOSTILE: usize = 200;
const EACH: i64 = 64 * 1024;

#[tokio::test]
async fn a_message_that_is_never_finished_costs_little_memory() {
    let server = Server::start(&[]).await;
    let before = warmed_up(&server).await;
    // As much as may stand unfinished in a connection: a first part, and most of a second.
    let mut unfinished = join_all((0..HOSTILE).map(|_| Raw::socket(&server))).await;
    for raw in &mut unfinished {
        raw.send([frame_head(0x01, 2000), vec![b' '; 2000], frame_head(0x80, 2000)].concat()).await;
        raw.send(vec![b' '; 1999]).await;
    }
    // Another one that has sent as much and is answered shows that the bytes have been read.
    let mut honest = Raw::socket(&server).await;
    honest.send([frame_head(0x81, 4096), vec![b' '; 4096]].concat()).await;
    assert_eq!(honest.server_frame().await.0, 0x1);
    let growth = resident(&server) - before;
    assert_eq!(server.gauge("dibs_push_sockets").await, HOSTILE as f64 + 1.0);
    assert!(growth < EACH * HOSTILE as i64, "{growth}");
}

/// Sends one piece again and again until the server has closed; the code that it closed with.
async fn flood(server: &Server, first: Vec<u8>, piece: Vec<u8>, pieces: usize) -> Option<u16> {
    let (mut reading, mut writing) = Raw::socket(server).await.0.into_split();
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
async fn messages_without_end_are_closed_as_too_long_and_cost_little_memory() {
    // They are closed for what they send, not for what they do not watch.
    let server = Server::start(&[("watch_within", "60s")]).await;
    withstands(&server, [1009, 1009], async || {
        let part = [frame_head(0x00, 64), vec![b' '; 64]].concat();
        let huge = frame_head(0x81, 64 * 1024 * 1024);
        let huge = flood(&server, huge, vec![b' '; 4096], 16 * 1024);
        let endless = flood(&server, frame_head(0x01, 0), part, 100_000);
        tokio::join!(huge, endless).into()
    })
    .await;
}

#[tokio::test]
async fn floods_that_never_watch_are_closed_for_it_and_cost_little_memory() {
    let server = Server::start(&[("watch_within", "3s")]).await;
    withstands(&server, [1008, 1008, 1008], async || {
        let empty = flood(&server, frame_head(0x01, 0), frame_head(0x00, 0), 10_000);
        let tiny = [frame_head(0x81, 1), b"x".to_vec()].concat();
        let tiny = flood(&server, vec![], tiny, 10_000);
        let pings = flood(&server, vec![], frame_head(0x89, 0), 10_000);
        tokio::join!(empty, tiny, pings).into()
    })
    .await;
}

const FLOODS: usize = 20;

/// Each flood is closed with its code, memory is bounded, and an honest claim is granted.
async fn withstands<const N: usize>(
    server: &Server,
    codes: [u16; N],
    wave: impl AsyncFn() -> [Option<u16>; N],
) {
    server.open_sale("cups", 5, 1).await;
    let before = warmed_up(server).await;
    for told in join_all((0..FLOODS).map(|_| wave())).await {
        assert_eq!(told, codes.map(Some));
    }
    let growth = resident(server) - before;
    assert!(growth < EACH * (N * FLOODS) as i64, "{growth}");
    let owed = Claim::of("cups", "ada").win(server).await;
    server.audit("cups", &[owed]).await;
}
