//! A server that answers no claim before a number of them are in its hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

const SALE: &str = r#"{"id":"slow","name":"Slow","round":"1","opens_at":"2020-01-01T00:00:00.000Z","closes_at":"2100-01-01T00:00:00.000Z","state":"open","limit":2,"now":"2026-01-01T00:00:00.000Z"}"#;
const SOLD_OUT: &str =
    r#"{"type":"/problems/sold-out","title":"Sold out","status":409,"detail":"nothing is left"}"#;
const NOT_OPEN: &str = r#"{"type":"/problems/not-open","title":"Not open","status":409,"detail":"it opens later","opens_at":"2026-01-01T00:00:00.000Z"}"#;
const NOW: &str = r#"{"now":1767225600000}"#;

/// The server. Dropped, it ends.
pub(crate) struct HeldBack {
    pub(crate) address: Url,
    in_hand: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl HeldBack {
    /// Answers all claims when so many are in its hand: that nothing is left.
    pub(crate) async fn until(claims: usize) -> Self {
        Self::start(claims, SOLD_OUT).await
    }

    /// Answers these claims, when all are in its hand, that it is not open yet; and further ones
    /// that nothing is left.
    pub(crate) async fn not_open_for(claims: usize) -> Self {
        Self::start(claims, NOT_OPEN).await
    }

    async fn start(claims: usize, first: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let in_hand = Arc::new(AtomicUsize::new(0));
        let counter = in_hand.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let released = watch::Sender::new(false);
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (counter, released) = (counter.clone(), released.clone());
                connections.spawn(serve(stream, counter, claims, first, released));
            }
        });
        Self { address, in_hand, _serving: serving }
    }

    /// Claims that have come.
    pub(crate) fn claims(&self) -> usize {
        self.in_hand.load(SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    in_hand: Arc<AtomicUsize>,
    until: usize,
    first: &'static str,
    released: watch::Sender<bool>,
) {
    while let Some(request) = request(&mut stream).await {
        let (status, body) = if request.starts_with("POST ") {
            let before = in_hand.fetch_add(1, SeqCst);
            if before + 1 == until {
                released.send_replace(true);
            }
            released.subscribe().wait_for(|released| *released).await.unwrap();
            ("409 Conflict", if before < until { first } else { SOLD_OUT })
        } else if request.starts_with("GET /v1/now ") {
            ("200 OK", NOW)
        } else {
            ("200 OK", SALE)
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request; none at the end of the connection.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&piece[..length]),
        }
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}
