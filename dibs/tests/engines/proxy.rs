//! A connection between the roles and an engine that can be cut.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dice::address;
use crate::harness::PATIENCE;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// Connections are accepted and stay, and nothing comes through.
    Held,
    /// Connections break, and new ones at once.
    Cut,
}

/// Stands before one engine; ends when it is dropped. A standalone Pulsar has its clients stay
/// with the address that they came by.
pub(crate) struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    loses: watch::Sender<Option<Vec<u8>>>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Before the engine at this host and port.
    pub(crate) async fn before(engine: &str) -> Self {
        let listener = TcpListener::bind(address()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let engine: SocketAddr = tokio::net::lookup_host(engine).await.unwrap().next().unwrap();
        let (line, loses) = (watch::Sender::new(Line::Open), watch::Sender::new(None));
        let mut accepting = JoinSet::new();
        let wires = Wires { engine, line: line.subscribe(), loses: loses.clone() };
        accepting.spawn(accept(listener, wires));
        Self { port, line, loses, _accepting: accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Breaks what is connected; whoever comes is turned away.
    pub(crate) fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    /// Lets nothing through, and nobody know.
    pub(crate) fn hold(&self) {
        self.line.send_replace(Line::Held);
    }

    /// Lets all through again, what was held first.
    pub(crate) fn mend(&self) {
        self.line.send_replace(Line::Open);
    }

    /// Lets the next request with these bytes through, and breaks its connection when it is
    /// answered: the engine has done it, and nobody is told.
    pub(crate) fn lose_answer_to(&self, bytes: &str) {
        self.loses.send_replace(Some(bytes.as_bytes().to_vec()));
    }

    /// Waits until there was such a request.
    pub(crate) async fn until_lost(&self) {
        let lost = async { self.loses.subscribe().wait_for(Option::is_none).await.map(drop) };
        timeout(PATIENCE, lost).await.expect("a request should come").unwrap();
    }
}

/// What the connections of a proxy go by.
#[derive(Clone)]
struct Wires {
    engine: SocketAddr,
    line: watch::Receiver<Line>,
    loses: watch::Sender<Option<Vec<u8>>>,
}

impl Wires {
    /// Whether the answer to this request is to be lost; no other will be.
    fn loses_answer_to(&self, request: &[u8]) -> bool {
        self.loses.send_if_modified(|wanted| {
            let found = wanted
                .as_ref()
                .is_some_and(|wanted| request.windows(wanted.len()).any(|bytes| bytes == wanted));
            if found {
                *wanted = None;
            }
            found
        })
    }
}

async fn accept(listener: TcpListener, wires: Wires) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                connections.spawn(connect(client, wires.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut client: TcpStream, wires: Wires) {
    if *wires.line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(wires.engine).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let mut line = wires.line.clone();
    let loses = AtomicBool::new(false);
    let asked = |request: &[u8]| {
        loses.fetch_or(wires.loses_answer_to(request), Ordering::Relaxed);
        true
    };
    let answered = |_: &[u8]| !loses.load(Ordering::Relaxed);
    tokio::select! {
        () = pass(from_client, to_server, line.clone(), asked) => {}
        () = pass(from_server, to_client, line.clone(), answered) => {}
        _ = line.wait_for(|line| *line == Line::Cut) => {}
    }
    if loses.into_inner() {
        drop(client);
        // A reset could reach the engine before it has read the request.
        let _ = server.shutdown().await;
        let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
    }
}

/// Passes bytes on until one side is gone or `may_pass` objects.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    may_pass: impl Fn(&[u8]) -> bool,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let open = line.wait_for(|line| *line != Line::Held).await.is_ok();
        let pass = open && may_pass(&bytes[..read]);
        if !pass || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
