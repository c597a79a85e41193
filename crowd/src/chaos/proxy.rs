//! A connection between two parts that can be cut, delayed, silenced and slowed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// What is read at once; [`PIECES`] of it may wait on their way, then nothing more is read.
const PIECE: usize = 16_384;
const PIECES: usize = 64;

/// What a slow reader takes at once, and what the kernel may hold for him.
const SIP: usize = 64;
const SLOW_BUFFER: u32 = 4_096;

/// Where bytes are going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From who connects to who listens.
    Up,
    /// The other way.
    Down,
}

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// They pass.
    Open,
    /// Connections are reset, and fresh ones at once.
    Cut,
    /// Nothing gets through in this direction, and nobody is told; later all of it does.
    OneWay(Direction),
    /// The listening side sees its connections gone, the connecting side does not, and is
    /// accepted and told nothing when it comes again. What is silent in the end is reset.
    HalfOpen,
    /// They take this much longer, each way.
    Delayed(Duration),
    /// What comes down is taken in sips with this pause.
    Slow(Duration),
}

/// Stands before one listening address; ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Opens one on a free port.
    ///
    /// # Errors
    /// There is none.
    pub async fn before(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let line = watch::Sender::new(Line::Open);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server, line.subscribe()));
        Ok(Self { address, line, _accepting: accepting })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What becomes of bytes from this moment on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(carry(client, server, line.clone()));
                }
                // Out of descriptors, or it was gone before it was taken.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from its begin to its end.
async fn carry(client: TcpStream, server: SocketAddr, mut line: watch::Receiver<Line>) {
    let now = *line.borrow_and_update();
    match now {
        Line::Cut => return reset(&client),
        Line::HalfOpen => return fall_silent(client, line).await,
        Line::Open | Line::OneWay(_) | Line::Delayed(_) | Line::Slow(_) => {}
    }
    let Ok(server) = connect(server, now).await else { return reset(&client) };
    // An option that is not set costs time, nothing else.
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    let (mut client, mut server) = (client, server);
    let broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let broken = |line: &Line| matches!(line, Line::Cut | Line::HalfOpen);
        let mut changes = line.clone();
        tokio::select! {
            () = pass(from_client, to_server, line.clone(), Direction::Up) => None,
            () = pass(from_server, to_client, line.clone(), Direction::Down) => None,
            changed = changes.wait_for(broken) => changed.ok().map(|line| *line),
        }
    };
    match broken {
        Some(Line::Cut) => {
            reset(&client);
            reset(&server);
        }
        Some(Line::HalfOpen) => {
            drop(server);
            fall_silent(client, line).await;
        }
        Some(Line::Open | Line::OneWay(_) | Line::Delayed(_) | Line::Slow(_)) | None => {}
    }
}

async fn connect(server: SocketAddr, line: Line) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if matches!(line, Line::Slow(_)) {
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
    }
    socket.connect(server).await
}

/// Has the other side told that the connection broke, whatever it has not read yet.
fn reset(stream: &TcpStream) {
    // Without it the other side sees an orderly end.
    let _ = stream.set_zero_linger();
}

/// Keeps the connection without a word until the line is another.
async fn fall_silent(client: TcpStream, mut line: watch::Receiver<Line>) {
    let _ = line.wait_for(|line| *line != Line::HalfOpen).await;
    reset(&client);
}

/// Passes bytes on, in their order, until one side is gone.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    direction: Direction,
) {
    let (on_the_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let reading = async move {
        let mut bytes = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            if on_the_way.send((Instant::now(), bytes[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((came, bytes)) = arriving.recv().await {
            let mut rest = &*bytes;
            while !rest.is_empty() {
                let most = until_due(&mut line, direction, came).await.min(rest.len());
                if to.write_all(&rest[..most]).await.is_err() {
                    return;
                }
                rest = &rest[most..];
            }
        }
    };
    tokio::pin!(writing);
    tokio::select! {
        () = reading => writing.await,
        () = &mut writing => {}
    }
}

/// Waits until what came at this moment may go on, and answers how much of it may at once.
async fn until_due(line: &mut watch::Receiver<Line>, direction: Direction, came: Instant) -> usize {
    loop {
        let now = *line.borrow_and_update();
        match now {
            Line::OneWay(stuck) if stuck == direction => {
                if line.changed().await.is_err() {
                    return PIECE;
                }
            }
            Line::Delayed(by) if came + by > Instant::now() => {
                let _ = timeout_at(came + by, line.changed()).await;
            }
            Line::Slow(pause) if direction == Direction::Down => {
                sleep(pause).await;
                return SIP;
            }
            Line::Open
            | Line::Cut
            | Line::HalfOpen
            | Line::OneWay(_)
            | Line::Delayed(_)
            | Line::Slow(_) => return PIECE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::time::timeout;

    use super::*;

    /// How long something may take, and how long one looks on to see that nothing happens.
    const GUARD: Duration = Duration::from_secs(30);
    const A_WHILE: Duration = Duration::from_millis(200);

    /// A proxy, and both ends of a connection through it.
    async fn through(line: Line) -> (Proxy, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::before(listener.local_addr().unwrap()).await.unwrap();
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        let (server, _) = timeout(GUARD, listener.accept()).await.unwrap().unwrap();
        proxy.set(line);
        (proxy, client, server)
    }

    async fn hear(stream: &mut TcpStream, word: &str) {
        let mut heard = vec![0; word.len()];
        timeout(GUARD, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), word);
    }

    async fn is_silent(stream: &mut TcpStream) -> bool {
        timeout(A_WHILE, stream.read(&mut [0])).await.is_err()
    }

    async fn is_reset(stream: &mut TcpStream) -> bool {
        let read = timeout(GUARD, stream.read(&mut [0])).await.unwrap();
        read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    }

    #[tokio::test]
    async fn an_open_or_slow_line_passes_both_ways_all_that_it_is_given() {
        for line in [
            Line::Open,
            Line::Delayed(Duration::from_millis(5)),
            Line::Slow(Duration::from_millis(1)),
        ] {
            let (_proxy, mut client, mut server) = through(line).await;
            let long = "dibs ".repeat(200);
            client.write_all(long.as_bytes()).await.unwrap();
            hear(&mut server, &long).await;
            server.write_all(long.as_bytes()).await.unwrap();
            hear(&mut client, &long).await;
        }
    }

    #[tokio::test]
    async fn a_cut_line_resets_what_is_connected_and_whoever_comes() {
        let (proxy, mut client, mut server) = through(Line::Cut).await;
        assert!(is_reset(&mut client).await && is_reset(&mut server).await);
        let mut late = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(is_reset(&mut late).await);
    }

    #[tokio::test]
    async fn a_one_way_cut_holds_one_direction_until_it_is_healed() {
        let (proxy, mut client, mut server) = through(Line::OneWay(Direction::Down)).await;
        client.write_all(b"claim").await.unwrap();
        hear(&mut server, "claim").await;
        server.write_all(b"ticket").await.unwrap();
        assert!(is_silent(&mut client).await);
        proxy.set(Line::Open);
        hear(&mut client, "ticket").await;
    }

    #[tokio::test]
    async fn half_open_connections_are_gone_for_one_side_only_and_reset_when_it_is_healed() {
        let (proxy, mut client, mut server) = through(Line::HalfOpen).await;
        let gone = timeout(GUARD, server.read(&mut [0])).await.unwrap();
        assert!(gone.is_ok_and(|read| read == 0));
        let mut late = TcpStream::connect(proxy.address()).await.unwrap();
        late.write_all(b"claim").await.unwrap();
        assert!(is_silent(&mut client).await && is_silent(&mut late).await);
        proxy.set(Line::Open);
        assert!(is_reset(&mut client).await && is_reset(&mut late).await);
    }
}
