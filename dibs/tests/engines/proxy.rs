//! A connection between the roles and an engine that can be cut.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::dice::address;

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
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Before the engine at this host and port.
    pub(crate) async fn before(engine: &str) -> Self {
        let listener = TcpListener::bind(address()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let engine: SocketAddr = tokio::net::lookup_host(engine).await.unwrap().next().unwrap();
        let (line, seen) = watch::channel(Line::Open);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, engine, seen));
        Self { port, line, _accepting: accepting }
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
}

async fn accept(listener: TcpListener, engine: SocketAddr, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                connections.spawn(connect(client, engine, line.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(mut client: TcpStream, engine: SocketAddr, mut line: watch::Receiver<Line>) {
    if *line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(engine).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = pass(from_client, to_server, line.clone()) => {}
        () = pass(from_server, to_client, line.clone()) => {}
        _ = line.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut bytes = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let open = line.wait_for(|line| *line != Line::Held).await.is_ok();
        if !open || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
