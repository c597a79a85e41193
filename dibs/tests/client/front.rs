//! A proxy before a server that lets some requests through and others not.

use std::sync::Arc;

use client::{Client, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::Server;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It reaches the server, and its answer the client.
    Passes,
    /// It is answered 502, and the server does not hear of it.
    Refused,
    /// The server answers it, and the connection breaks before the client hears of it.
    Swallowed,
}

/// Ends when it is dropped.
pub(crate) struct Front {
    port: u16,
    _accepting: JoinSet<()>,
}

impl Front {
    /// Before a server; the head of a request decides.
    pub(crate) async fn before(
        server: &Server,
        fate: impl Fn(&str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = server.base.trim_start_matches("http://").to_owned();
        let fate = Arc::new(fate);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut relays = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (behind, fate) = (behind.clone(), fate.clone());
                relays.spawn(async move {
                    // Either side may hang up at any moment.
                    let _ = relay(stream, &behind, &*fate).await;
                });
            }
        });
        Self { port, _accepting: accepting }
    }

    /// A client that comes this way, each request on a connection of its own.
    pub(crate) fn client(&self) -> Client {
        let mut options = Options::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap());
        options.idle_connections = 0;
        Client::new(options).unwrap()
    }
}

async fn relay(
    mut client: TcpStream,
    behind: &str,
    fate: &(impl Fn(&str) -> Fate + ?Sized),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let fate = fate(&String::from_utf8_lossy(&head));
    if fate == Fate::Refused {
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(answer).await;
    }
    let mut server = TcpStream::connect(behind).await?;
    server.write_all(&head).await?;
    match fate {
        Fate::Passes | Fate::Refused => {
            copy_bidirectional(&mut client, &mut server).await.map(|_| ())
        }
        Fate::Swallowed => {
            let (mut from_client, _) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let mut answer = [0];
            tokio::select! {
                body = tokio::io::copy(&mut from_client, &mut to_server) => body.map(|_| ()),
                answered = from_server.read(&mut answer) => answered.map(|_| ()),
            }
        }
    }
}
