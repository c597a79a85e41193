//! The accept loop over real sockets: its limits, its refusals, its end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use edge::serve::{Limits, Permit, listen, reserve, serve};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// A server of its own on a random port.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        Self::serve(
            listen(reserve(ANY).expect("a free port")).expect("nobody else's"),
            router,
            limits,
        )
    }

    fn serve(listener: TcpListener, router: Router, limits: Limits) -> Self {
        let address = listener.local_addr().expect("a bound listener");
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, limits, stop.clone()));
        Self { address, stop, tasks }
    }

    async fn hello(limits: Limits) -> Self {
        Self::start(Router::new().route("/", get(|| async { "hello" })), limits).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    async fn ended(&mut self) {
        let ended = bounded(self.tasks.join_next()).await;
        ended.expect("serve runs").expect("serve does not panic");
    }
}

/// A crowd that this system admits: 400, if nobody has set it to less.
fn admitted() -> usize {
    let bound = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    bound.trim().parse().unwrap_or(128).min(400)
}

#[tokio::test]
async fn a_crowd_that_comes_before_the_first_is_accepted_is_known_to_the_last() {
    let listener = listen(reserve(ANY).expect("a free port")).expect("nobody else's");
    let address = listener.local_addr().expect("a bound listener");
    let mut crowd = Vec::new();
    for _ in 0..admitted() {
        crowd.push(bounded(TcpStream::connect(address)).await.expect("there is room"));
    }
    let limits = Limits { connections: 400, header_timeout: SHORT, ..patient() };
    let mut server = Server::serve(listener, Router::new(), limits);
    for mut silent in crowd {
        let mut byte = [0];
        assert_eq!(bounded(silent.read(&mut byte)).await.expect("it is closed in order"), 0);
    }
    server.stop.cancel();
    server.ended().await;
}

/// Limits that no test meets unless it shortens one.
fn patient() -> Limits {
    Limits {
        connections: 100,
        header_timeout: LONG,
        idle_timeout: LONG,
        write_timeout: LONG,
        ..Limits::default()
    }
}

/// So that a fault fails a test instead of hanging it.
async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it ends")
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("the peer takes it");
}

/// Reads one answer with a Content-Length: its status and body.
async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let (head, length) = bounded(head(stream)).await;
    let mut body = vec![0; length];
    bounded(stream.read_exact(&mut body)).await.expect("as long as it says");
    (status(&head), String::from_utf8(body).expect("text"))
}

async fn head(stream: &mut TcpStream) -> (String, usize) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.expect("an answer")));
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    (head, length)
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
}

/// All that comes until the server closes in good order.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    bounded(stream.read_to_string(&mut text)).await.expect("closed, not reset");
    text
}

const HELLO: &str = "GET / HTTP/1.1\r\nhost: dibs.test\r\n\r\n";

#[tokio::test]
async fn a_header_block_over_the_limit_is_answered_431_and_closed() {
    let server = Server::hello(patient()).await;
    let filler = |bytes: usize| {
        let around = "GET / HTTP/1.1\r\nhost: dibs.test\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: dibs.test\r\nx: {}\r\n\r\n", "x".repeat(bytes - around))
    };
    let mut stream = server.connect().await;
    send(&mut stream, &filler(16 * 1024)).await;
    assert_eq!(answer(&mut stream).await, (200, "hello".into()));

    let mut stream = server.connect().await;
    send(&mut stream, &filler(16 * 1024 + 1)).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 431 "));

    let mut stream = server.connect().await;
    send(&mut stream, &filler(200 * 1024)).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 431 "));

    let mut stream = server.connect().await;
    let many = "GET / HTTP/1.1\r\n".to_owned() + &"x: y\r\n".repeat(200) + "\r\n";
    send(&mut stream, &many).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = Server::hello(Limits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_header_that_is_not_finished_in_time_is_closed() {
    let server = Server::hello(Limits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nhost:").await;
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_header_that_drips_is_closed_too() {
    let server = Server::hello(Limits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nx: ").await;
    bounded(async {
        let mut byte = [0];
        loop {
            let pause = Duration::from_millis(5);
            match tokio::time::timeout(pause, stream.read(&mut byte)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => panic!("an answer to half a header"),
                // Once the server has closed, sending fails: that is an end as well.
                Err(_) if stream.write_all(b"x").await.is_err() => break,
                Err(_) => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_header_but_a_begun_one_does_not() {
    let server = Server::hello(Limits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, HELLO).await;
    assert_eq!(answer(&mut stream).await.0, 200);

    // A connection that came later is closed for its silence; this one, idle for longer, is not.
    assert_eq!(until_closed(&mut server.connect().await).await, "");
    send(&mut stream, HELLO).await;
    assert_eq!(answer(&mut stream).await, (200, "hello".into()));

    send(&mut stream, "GET / HTTP/1.1\r\n").await;
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let server = Server::hello(Limits { idle_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, HELLO).await;
    assert_eq!(answer(&mut stream).await.0, 200);
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_client_that_is_still_sending_a_body_too_large_can_read_why_it_is_refused() {
    let read = |request: Request| async {
        edge::body::read_json::<serde_json::Value>(request).await.map(drop)
    };
    let server = Server::start(Router::new().route("/", post(read)), patient()).await;
    let large = "x".repeat(512 * 1024);
    let head = "POST / HTTP/1.1\r\nhost: dibs.test\r\ncontent-type: application/json\r\n";

    let mut stream = server.connect().await;
    send(&mut stream, &format!("{head}content-length: {}\r\n\r\n{large}", large.len())).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 413 "));

    let mut stream = server.connect().await;
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    send(&mut stream, &format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}")).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn beyond_the_most_connections_a_new_one_is_told_to_come_back() {
    let server = Server::hello(Limits { connections: 1, ..patient() }).await;
    let mut first = server.connect().await;
    send(&mut first, HELLO).await;
    assert_eq!(answer(&mut first).await.0, 200);

    let mut second = server.connect().await;
    send(&mut second, HELLO).await;
    let refusal = until_closed(&mut second).await;
    let (head, body) = refusal.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 503 "));
    assert!(head.contains("\r\nretry-after: 1\r\n"));
    assert!(head.contains(&format!("content-length: {}", body.len())));
    let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(document["type"], "/problems/busy");

    drop(first);
    bounded(until_served(&server)).await;
}

async fn until_served(server: &Server) {
    loop {
        let mut stream = server.connect().await;
        send(&mut stream, HELLO).await;
        if answer(&mut stream).await.0 == 200 {
            break;
        }
    }
}

/// A router whose `/ws` hands each upgraded socket to `sockets`, with its permit.
fn upgrading(sockets: mpsc::Sender<(hyper::upgrade::Upgraded, Permit)>) -> Router {
    let upgrade = move |mut request: Request| {
        let sockets = sockets.clone();
        async move {
            let permit = request.extensions_mut().remove::<Permit>().expect("serve put it there");
            let upgraded = hyper::upgrade::on(request);
            let mut owner = JoinSet::new();
            owner.spawn(async move {
                let socket = upgraded.await.expect("an upgrade");
                let _ = sockets.send((socket, permit)).await;
            });
            owner.detach_all();
            Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "echo")
                .body(Body::empty())
                .expect("a response")
        }
    };
    Router::new().route("/", get(|| async { "hello" })).route("/ws", get(upgrade))
}

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nhost: dibs.test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[tokio::test]
async fn an_upgraded_socket_keeps_its_place_until_its_owner_lets_go() {
    let (send_socket, mut sockets) = mpsc::channel(1);
    let limits = Limits { connections: 1, ..patient() };
    let mut server = Server::start(upgrading(send_socket), limits).await;
    let mut stream = server.connect().await;
    send(&mut stream, UPGRADE).await;
    assert_eq!(answer(&mut stream).await.0, 101);
    let (socket, permit) = bounded(sockets.recv()).await.expect("a socket");

    let mut socket = TokioIo::new(socket);
    send(&mut stream, "ping").await;
    let mut read = [0; 4];
    bounded(socket.read_exact(&mut read)).await.expect("four bytes");
    socket.write_all(&read).await.expect("the peer reads");
    bounded(stream.read_exact(&mut read)).await.expect("four bytes");
    assert_eq!(&read, b"ping");

    let mut refused = server.connect().await;
    assert!(until_closed(&mut refused).await.starts_with("HTTP/1.1 503 "));
    drop((socket, permit));
    bounded(until_served(&server)).await;

    server.stop.cancel();
    server.ended().await;
}

#[tokio::test]
async fn at_stop_work_in_hand_is_finished_and_nothing_else_is_waited_for() {
    let (send_socket, mut sockets) = mpsc::channel(1);
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || async move {
            begun.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let router = upgrading(send_socket).route("/slow", get(slow));
    let mut server = Server::start(router, patient()).await;

    let mut upgraded = server.connect().await;
    send(&mut upgraded, UPGRADE).await;
    let _held = bounded(sockets.recv()).await.expect("a socket");
    let mut idle = server.connect().await;
    send(&mut idle, HELLO).await;
    assert_eq!(answer(&mut idle).await.0, 200);
    let mut silent = server.connect().await;
    let mut busy = server.connect().await;
    send(&mut busy, "GET /slow HTTP/1.1\r\nhost: dibs.test\r\n\r\n").await;
    bounded(begun.notified()).await;

    server.stop.cancel();
    assert_eq!(until_closed(&mut idle).await, "");
    assert_eq!(until_closed(&mut silent).await, "");
    bounded(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    go_on.notify_one();
    assert!(until_closed(&mut busy).await.ends_with("\r\n\r\ndone"));
    drop((idle, silent, busy));
    server.ended().await;
}

#[tokio::test]
async fn at_stop_an_idle_connection_may_be_used_once_more_and_is_closed_by_the_answer() {
    let mut server = Server::hello(Limits { idle_at_stop: LONG, ..patient() }).await;
    let mut idle = server.connect().await;
    send(&mut idle, HELLO).await;
    assert_eq!(answer(&mut idle).await.0, 200);
    server.stop.cancel();
    bounded(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    send(&mut idle, HELLO).await;
    let last = until_closed(&mut idle).await;
    assert!(last.contains("connection: close\r\n") && last.ends_with("hello"), "{last}");
    drop(idle);
    server.ended().await;
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_not_accepted_yet_at_stop_is_answered() {
    let mut server = Server::hello(patient()).await;
    tokio::task::yield_now().await;
    // In one step of this only thread, in which the server cannot accept anything.
    let mut early = std::net::TcpStream::connect(server.address).expect("the system has it");
    std::io::Write::write_all(&mut early, HELLO.as_bytes()).expect("there is room");
    server.stop.cancel();
    early.set_nonblocking(true).expect("a socket");
    let mut early = TcpStream::from_std(early).expect("a socket");
    assert!(until_closed(&mut early).await.ends_with("hello"));
    drop(early);
    server.ended().await;
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn what_is_held_for_a_client_ends_when_the_client_goes() {
    let (begun, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hold = {
        let (begun, gone) = (Arc::clone(&begun), Arc::clone(&gone));
        move || async move {
            let _dropped = Dropped(gone);
            begun.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server = Server::start(Router::new().route("/", get(hold)), patient()).await;
    let mut stream = server.connect().await;
    send(&mut stream, HELLO).await;
    bounded(begun.notified()).await;
    drop(stream);
    bounded(gone.notified()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let gone = Arc::new(Notify::new());
    let endless = {
        let gone = Arc::clone(&gone);
        move || async move {
            let dropped = Dropped(gone);
            Body::from_stream(futures_util::stream::repeat_with(move || {
                let _kept_by_the_body = &dropped;
                Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096]))
            }))
        }
    };
    let limits = Limits { write_timeout: SHORT, ..patient() };
    let server = Server::start(Router::new().route("/", get(endless)), limits).await;
    let mut stream = server.connect().await;
    send(&mut stream, HELLO).await;
    bounded(gone.notified()).await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .fallback(edge::problem::no_such_path)
        .method_not_allowed_fallback(edge::problem::method_not_allowed);
    let server = Server::start(router, patient()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /nowhere HTTP/1.1\r\nhost: dibs.test\r\n\r\n").await;
    let (status, body) = answer(&mut stream).await;
    assert_eq!((status, body.contains("/problems/not-found")), (404, true));
    send(&mut stream, "DELETE / HTTP/1.1\r\nhost: dibs.test\r\nconnection: close\r\n\r\n").await;
    let refusal = until_closed(&mut stream).await.to_ascii_lowercase();
    assert!(refusal.starts_with("http/1.1 405 "));
    assert!(refusal.contains("\r\nallow: get,head\r\n"));
}
