//! Bytes over a bare TCP connection, for what no HTTP client would send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{PATIENCE, Server};

/// A connection to the server for buyers.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self(TcpStream::connect(host(server)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The text that comes until the server closes; a reset counts as closed.
    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes().await).into_owned()
    }

    /// The same as bytes.
    pub(crate) async fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match timeout(PATIENCE, self.0.read(&mut piece)).await.expect("it should be closed") {
                Ok(0) | Err(_) => return bytes,
                Ok(read) => bytes.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// The head of an answer, with the empty line that ends it.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(head).unwrap()
    }
}

/// Such as `127.0.0.1:40123`.
pub(crate) fn host(server: &Server) -> &str {
    server.base.trim_start_matches("http://")
}

/// A WebSocket without a library, so that nothing is answered by itself.
impl Raw {
    /// A WebSocket, opened by hand.
    pub(crate) async fn socket(server: &Server) -> Self {
        let mut raw = Self::connect(server).await;
        raw.upgrade(server).await;
        raw
    }

    /// Turns it into a WebSocket.
    async fn upgrade(&mut self, server: &Server) {
        let head = format!(
            "GET /v1/ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             sec-websocket-protocol: dibs.v1\r\n\r\n",
            host(server)
        );
        self.send(head).await;
        let answer = self.head().await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    }

    /// Sends one short text.
    pub(crate) async fn masked_text(&mut self, text: &str) {
        let mut frame = frame_head(0x81, text.len() as u64);
        frame.extend_from_slice(text.as_bytes());
        self.send(frame).await;
    }

    /// The next frame of the server, short as all of them are: its opcode and payload.
    pub(crate) async fn server_frame(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let head = [self.0.read_u8().await.unwrap(), self.0.read_u8().await.unwrap()];
            let length = match head[1] {
                126 => self.0.read_u16().await.unwrap().into(),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            (head[0] & 0x0f, payload)
        };
        timeout(PATIENCE, read).await.expect("a frame should come")
    }
}

/// The head of a client's frame whose mask changes nothing.
pub(crate) fn frame_head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match length {
        0..=125 => head.push(0x80 | length as u8),
        126..=0xffff => {
            head.push(0x80 | 126);
            head.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&length.to_be_bytes());
        }
    }
    head.extend_from_slice(&[0; 4]);
    head
}
