//! A connection between two parts that can be cut, delayed, silenced and slowed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::touched::{Counting, Touched};

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
    touched: Arc<Counting>,
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
        let touched = Arc::<Counting>::default();
        accepting.spawn(accept(listener, server, line.subscribe(), touched.clone()));
        Ok(Self { address, line, touched, _accepting: accepting })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What becomes of bytes from this moment on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// What was not let through as it came, since this was asked last.
    pub fn touched(&self) -> Touched {
        self.touched.take()
    }
}

impl Line {
    /// Whether what goes in this direction is held, delayed or taken in sips.
    fn touches(self, direction: Direction) -> bool {
        match self {
            Self::Open | Self::Cut | Self::HalfOpen => false,
            Self::OneWay(stuck) => stuck == direction,
            Self::Delayed(_) => true,
            Self::Slow(_) => direction == Direction::Down,
        }
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    line: watch::Receiver<Line>,
    touched: Arc<Counting>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(carry(client, server, line.clone(), touched.clone()));
                }
                // Out of descriptors, or it was gone before it was taken.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from its begin to its end.
async fn carry(
    client: TcpStream,
    server: SocketAddr,
    mut line: watch::Receiver<Line>,
    touched: Arc<Counting>,
) {
    let now = *line.borrow_and_update();
    match now {
        Line::Cut => {
            touched.connection();
            return reset(&client);
        }
        Line::HalfOpen => {
            touched.connection();
            return fall_silent(client, line).await;
        }
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
            () = pass(from_client, to_server, line.clone(), Direction::Up, &touched) => None,
            () = pass(from_server, to_client, line.clone(), Direction::Down, &touched) => None,
            changed = changes.wait_for(broken) => changed.ok().map(|line| *line),
        }
    };
    match broken {
        Some(Line::Cut) => {
            touched.connection();
            reset(&client);
            reset(&server);
        }
        Some(Line::HalfOpen) => {
            touched.connection();
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
    touched: &Counting,
) {
    let (on_the_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let mut taken = line.clone();
    let reading = async move {
        let mut bytes = vec![0; PIECE];
        loop {
            let most = until_thirsty(&mut taken, direction).await;
            let read = tokio::select! {
                read = from.read(&mut bytes[..most]) => read,
                // It is to be taken otherwise from now on.
                Ok(()) = taken.changed() => continue,
            };
            let Ok(read @ 1..) = read else { return };
            if taken.borrow().touches(direction) {
                touched.bytes(read);
            }
            if on_the_way.send((Instant::now(), bytes[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((came, bytes)) = arriving.recv().await {
            until_due(&mut line, direction, came).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(writing);
    tokio::select! {
        () = reading => writing.await,
        () = &mut writing => {}
    }
}

/// Waits until something may be taken, and answers how much at once. What a slow reader does not
/// take stays with the server, which has to wait in the end.
async fn until_thirsty(line: &mut watch::Receiver<Line>, direction: Direction) -> usize {
    let now = *line.borrow_and_update();
    match now {
        Line::Slow(pause) if direction == Direction::Down => {
            sleep(pause).await;
            SIP
        }
        Line::Open
        | Line::Cut
        | Line::HalfOpen
        | Line::OneWay(_)
        | Line::Delayed(_)
        | Line::Slow(_) => PIECE,
    }
}

/// Waits until what came at this moment may go on.
async fn until_due(line: &mut watch::Receiver<Line>, direction: Direction, came: Instant) {
    loop {
        let now = *line.borrow_and_update();
        match now {
            Line::OneWay(stuck) if stuck == direction => {
                if line.changed().await.is_err() {
                    return;
                }
            }
            Line::Delayed(by) if came + by > Instant::now() => {
                let _ = timeout_at(came + by, line.changed()).await;
            }
            Line::Open
            | Line::Cut
            | Line::HalfOpen
            | Line::OneWay(_)
            | Line::Delayed(_)
            | Line::Slow(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
