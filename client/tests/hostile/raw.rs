//! A server that speaks bytes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What is said to a client.
#[derive(Clone)]
pub(crate) enum Say {
    /// These bytes; then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes; then nothing, and the connection stays.
    Silence(Vec<u8>),
    /// These bytes; then the same text without end.
    Endless(Vec<u8>, &'static [u8]),
    /// A proper upgrade with this subprotocol, and then these bytes; the connection stays.
    Upgraded(&'static str, Vec<u8>),
}

/// Accepts on one port. Dropped, it ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Server {
    /// Says the same to everybody.
    pub(crate) async fn saying(say: Say) -> Self {
        Self::answering(move |_| say.clone()).await
    }

    /// Answers each request by its head.
    pub(crate) async fn answering(say: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (told, say) = (heads.clone(), Arc::new(say));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut talks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, say) = (told.clone(), say.clone());
                talks.spawn(async move {
                    // A client may hang up in the middle.
                    let _ = talk(stream, &told, &*say).await;
                });
            }
        });
        Self { port, heads, _serving: serving }
    }

    /// The heads of the requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn talk(
    mut stream: TcpStream,
    heads: &Mutex<Vec<String>>,
    say: &(impl Fn(&str) -> Say + ?Sized),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    match say(&head) {
        Say::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
            // Closed over unread bytes, the answer would be lost in a reset.
            let mut scrap = [0; 1024];
            while stream.read(&mut scrap).await? > 0 {}
        }
        Say::Silence(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending::<()>().await;
        }
        Say::Endless(bytes, text) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(text).await?;
            }
        }
        Say::Upgraded(subprotocol, frames) => {
            stream.write_all(&upgrade(&head, subprotocol)).await?;
            stream.write_all(&frames).await?;
            let mut scrap = [0; 1024];
            while stream.read(&mut scrap).await? > 0 {}
        }
    }
    Ok(())
}

fn upgrade(head: &str, subprotocol: &str) -> Vec<u8> {
    let key = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key"))
        .and_then(|line| line.split_once(": "))
        .map(|(_, key)| key.trim())
        .unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if !subprotocol.is_empty() {
        answer.push_str(&format!("Sec-WebSocket-Protocol: {subprotocol}\r\n"));
    }
    answer.push_str("\r\n");
    answer.into_bytes()
}

/// A frame of a server: FIN, this opcode, not masked.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A text frame.
pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(1, text.as_bytes())
}
