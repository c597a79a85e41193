//! The accept loop: HTTP/1.1 connections within bounds, each with an owner who awaits its end.

mod socket;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::observe;
use crate::problem::Kind;
use socket::{HeadTimer, Phase, Socket};

/// The bounds of [`serve`].
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most connections at a time, upgraded ones included. One more is answered 503.
    pub connections: usize,
    /// How long a new connection may be silent, and how long a begun header may take.
    pub header_timeout: Duration,
    /// The most bytes of a request's header block; a larger one is answered 431.
    pub header_bytes: usize,
    /// How long a connection may be idle between two requests.
    pub idle_timeout: Duration,
    /// How long a peer may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// How long idle connections are kept after the stop. A proxy that is about to use one of its
    /// pool cannot ask again elsewhere; it should close its own idle ones in less time.
    pub idle_at_stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            header_timeout: Duration::from_secs(5),
            header_bytes: 16 * 1024,
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            idle_at_stop: Duration::ZERO,
        }
    }
}

/// A connection's place under [`Limits::connections`], found in the extensions of its requests.
/// Who takes over an upgraded socket keeps it as long as the socket.
#[derive(Debug, Clone)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Arc<Place>);

#[derive(Debug)]
struct Place {
    _taken: OwnedSemaphorePermit,
    _counted: observe::Connection,
}

/// The smallest buffer that hyper admits; one that is no smaller than a header block holds it.
const SMALLEST_BUFFER: usize = 8192;

/// The most refused connections at a time that are told so; beyond it they are just closed.
const REFUSALS: usize = 256;

/// How long an answered peer is listened to, so that it can read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How long to wait after the system refused to accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the system completes for us before we accept them, as far as it admits so many
/// (on Linux net.core.somaxconn, mostly 4096). Beyond it a connection may look open to its client
/// and never reach us, and the second in which a sale opens brings them by the thousand.
const BACKLOG: u32 = 4096;

/// Takes an address, on which connections are refused until [`listen`].
pub fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart need not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens there, with room for a crowd that arrives at once.
pub fn listen(reserved: TcpSocket) -> io::Result<TcpListener> {
    reserved.listen(BACKLOG)
}

/// Serves `router` until `stop` fires and all plain HTTP connections have done what they had in
/// hand. From `stop` on each answer closes its connection, and idle ones are closed after
/// [`Limits::idle_at_stop`]; upgraded sockets are not waited for.
///
/// A client that shuts down its sending half is taken as gone: it is the only sign that TCP gives
/// of a closed page, and whatever is held for it ends.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let entrance = Entrance {
        places: Arc::new(Semaphore::new(limits.connections)),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        tasks: TaskTracker::new(),
        router,
        limits,
        stop,
    };
    while let Some(accepted) = entrance.stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => entrance.admit(stream),
            Err(error) => {
                warn!(%error, "cannot accept a connection; trying again");
                let pause = tokio::time::sleep(ACCEPT_PAUSE);
                let _ = entrance.stop.run_until_cancelled(pause).await;
            }
        }
    }
    if let Err(error) = entrance.admit_last(listener) {
        debug!(%error, "connections that were not accepted yet are refused");
    }
    entrance.tasks.close();
    entrance.tasks.wait().await;
}

/// Where connections come in.
struct Entrance {
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    tasks: TaskTracker,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
}

impl Entrance {
    fn admit(&self, stream: TcpStream) {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            let counted = observe::Connection::opened();
            let permit = Permit(Arc::new(Place { _taken: permit, _counted: counted }));
            let (router, limits) = (self.router.clone(), self.limits.clone());
            self.tasks.spawn(connection(stream, router, limits, permit, self.stop.clone()));
            return;
        }
        observe::refused();
        if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.tasks.spawn(refuse(stream, permit));
        }
    }

    /// Closes the listener. What the system has completed by then may carry a request already,
    /// and would be reset with it.
    fn admit_last(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.admit(TcpStream::from_std(stream)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    permit: Permit,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "the connection ended before it was served");
        return;
    }
    let phase = Arc::new(Phase::default());
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&phase), limits.write_timeout));
    let stopped = stop.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        answer(router.clone(), permit.clone(), stopped.clone(), request)
    });
    let mut serving = http1::Builder::new()
        .timer(HeadTimer::new(phase, &limits))
        .header_read_timeout(limits.idle_timeout)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        .serve_connection(io, service)
        .with_upgrades();
    let ended = match stop.run_until_cancelled(&mut serving).await {
        Some(ended) => ended,
        None => match tokio::time::timeout(limits.idle_at_stop, &mut serving).await {
            Ok(ended) => ended,
            Err(_) => {
                Pin::new(&mut serving).graceful_shutdown();
                (&mut serving).await
            }
        },
    };
    if let Err(error) = ended {
        debug!(%error, "the connection ended early");
    }
    if let Some(parts) = serving.into_parts() {
        hang_up(parts.io.into_inner().into_inner()).await;
    }
}

async fn answer(
    router: Router,
    permit: Permit,
    stop: CancellationToken,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(permit);
    let mut response = router.oneshot(request).await?;
    if stop.is_cancelled() {
        // One that is upgraded says so here.
        let connection = response.headers_mut().entry(header::CONNECTION);
        connection.or_insert(HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let answer = full();
    let writing = stream.write_all(answer.as_bytes());
    if let Ok(Ok(())) = tokio::time::timeout(LINGER, writing).await {
        hang_up(stream).await;
    }
}

/// The whole answer to a connection that found no place, before it asked anything.
fn full() -> String {
    let kind = Kind::Busy;
    let body = json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": "all connections are in use; come back in a few seconds",
    })
    .to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
         cache-control: no-store\r\ncontent-type: application/problem+json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Closes our side and reads on for a moment: to close with unread bytes makes the system reset
/// the connection, and the peer would lose the answer with it.
async fn hang_up(mut stream: TcpStream) {
    let reading = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, reading).await;
}
