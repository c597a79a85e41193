//! What a server may answer: the client gives a value or an error, in time.
//!
//! The input's first byte chooses the call, the second one how the rest is sent: as it is, or as an
//! answer's status and header, an empty line, and the body under its right length.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Admin, Ask, Claim, Client, Held, Options, RequestId, SaleId, TicketId, Way, Ways};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What may come of one input within this time is looked at; a client that tries again does so
/// much later.
const LOOKED_AT: Duration = Duration::from_millis(20);

/// What the server says to whatever it is asked.
type Script = Arc<Mutex<(u8, Vec<u8>)>>;

struct Visit {
    runtime: Runtime,
    client: Client,
    script: Script,
}

thread_local! {
    static VISIT: RefCell<Option<Visit>> = const { RefCell::new(None) };
}

pub(crate) fn run(data: &[u8]) {
    let Some((&[call, how], rest)) = data.split_first_chunk() else { return };
    VISIT.with_borrow_mut(|visit| {
        let Visit { runtime, client, script } = visit.get_or_insert_with(Visit::begin);
        *script.lock().unwrap_or_else(PoisonError::into_inner) = (how, rest.to_vec());
        runtime.block_on(async {
            // Time that runs out is no fault here: a half answer is waited for.
            let _ = timeout(LOOKED_AT, ask(client, call)).await;
        });
    });
}

async fn ask(client: &Client, call: u8) {
    let sale = SaleId::new("cups").expect("an id");
    let id = TicketId([1; 16]);
    let admin = Admin::of(client.clone(), "the-key-of-the-operator");
    match call % 10 {
        0 => drop(client.claim_once(&Claim::new(sale, "jwt")).await),
        1 => drop(client.read(id, "token", Ask::default()).await),
        2 => drop(client.sale(&sale).await),
        3 => drop((client.sales().await, client.guest().await)),
        4 => drop(client.clock().await.map(|clock| clock.now())),
        5 => drop((admin.rounds().await, admin.parked().await)),
        6 => drop((admin.tickets(&sale).await, admin.sales().await)),
        7 => drop(admin.restock(&sale, &RequestId::new("r").expect("an id"), 1).await),
        8 => listen(client).await,
        _ => follow(client).await,
    }
}

async fn listen(client: &Client) {
    let Ok(mut socket) = client.socket().await else { return };
    let _ = socket.watch(&["token"]).await;
    while let Ok(frame) = socket.next().await {
        if matches!(frame, client::Frame::Closed { .. }) {
            break;
        }
    }
}

async fn follow(client: &Client) {
    const HELD: &str = include_str!("held.json");
    let held: Held = serde_json::from_str(HELD).expect("a ticket that is held");
    for way in [Way::Events, Way::LongPoll] {
        let mut watch = client.watch(&held, &Ways::only(way));
        let mut highest = held.ticket.ticket.version;
        while let Ok(Some(Ok(news))) = timeout(LOOKED_AT / 4, watch.next()).await {
            assert_eq!(news.seen.ticket.id, held.id());
            assert!(news.seen.ticket.version > highest, "a version twice");
            highest = news.seen.ticket.version;
        }
    }
}

impl Visit {
    fn begin() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let script = Script::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(serve(listener, script.clone()));
        let url = format!("http://{address}").parse().expect("an address");
        let client = Client::new(Options::new(url)).expect("a client");
        Self { runtime, client, script }
    }
}

async fn serve(listener: TcpListener, script: Script) {
    let mut talks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        talks.spawn(converse(stream, script.clone()));
        while talks.try_join_next().is_some() {}
    }
}

/// Answers request after request, until one of the two hangs up.
async fn converse(mut stream: TcpStream, script: Script) -> Option<()> {
    loop {
        let head = request(&mut stream).await?;
        let (how, rest) = script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, hangs_up) = match value(&head, "sec-websocket-key") {
            Some(key) => (switched(key, &rest), true),
            None if how % 4 == 0 => (rest, true),
            None => (framed(&rest), false),
        };
        stream.write_all(&answer).await.ok()?;
        if hangs_up {
            return stream.shutdown().await.ok();
        }
    }
}

/// The head of a request, its body read over.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = head.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            read => head.extend_from_slice(&piece[..read]),
        }
    };
    let arrived = head.split_off(end).len();
    let head = String::from_utf8(head).ok()?;
    let length = value(&head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    for _ in arrived..length {
        stream.read_u8().await.ok()?;
    }
    Some(head)
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
}

fn framed(rest: &[u8]) -> Vec<u8> {
    let end = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (&rest[..end], rest.get(end + 2..).unwrap_or_default());
    let mut answer = b"HTTP/1.1 ".to_vec();
    answer.extend(head.split(|byte| *byte == b'\n').flat_map(|line| [line, b"\r\n"].concat()));
    answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    answer.extend_from_slice(body);
    answer
}

fn switched(key: &str, frames: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-protocol: dibs.v1\r\nsec-websocket-accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    [head.as_bytes(), frames].concat()
}
