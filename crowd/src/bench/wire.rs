//! One buyer's connection, as cheap as can be: what the crowd spends on a claim limits what it
//! can measure.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection and an answer may take: twice the time limit of a claim.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;

/// A connection that claims, one claim after the other.
pub(super) struct Wire {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// What came back.
pub(super) struct Answer<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: &'a [u8],
}

impl Wire {
    /// Connects.
    pub(super) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(server)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::new() })
    }

    /// Claims one unit of a sale and waits for the whole answer.
    pub(super) async fn claim(&mut self, sale: &str, jwt: &str) -> io::Result<Answer<'_>> {
        self.request.clear();
        for part in [
            "POST /v1/sales/",
            sale,
            "/tickets HTTP/1.1\r\nhost: dibs\r\nauthorization: Bearer ",
            jwt,
            "\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"units\":1}",
        ] {
            self.request.extend_from_slice(part.as_bytes());
        }
        let Head { status, begins, ends } = timeout(PATIENCE, self.ask()).await??;
        Ok(Answer { status, body: &self.answer[begins..ends] })
    }

    async fn ask(&mut self) -> io::Result<Head> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if let Some(head) = Head::read(&self.answer)?
                && self.answer.len() >= head.ends
            {
                return Ok(head);
            }
            if self.answer.len() > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a very long answer"));
            }
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Where an answer's body lies.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    begins: usize,
    ends: usize,
}

impl Head {
    /// None as long as it has not all come.
    fn read(answer: &[u8]) -> io::Result<Option<Self>> {
        let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head =
            std::str::from_utf8(&answer[..end]).map_err(|_| bad("a head that is no text"))?;
        let line = head.lines().next().unwrap_or_default();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut lengths = head.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = lengths.next_back().ok_or_else(|| bad("an answer without a length"))?;
        let begins = end + 4;
        let status = status.ok_or_else(|| bad("an answer without a status"))?;
        Ok(Some(Self { status, begins, ends: begins.saturating_add(length) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nretry-after: 1\r\n\r\n{}";
        assert_eq!(Head::read(&answer[..answer.len() - 4]).unwrap(), None);
        let (begins, ends) = (answer.len() - 2, answer.len());
        assert_eq!(Head::read(answer).unwrap(), Some(Head { status: 202, begins, ends }));
        assert!(Head::read(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
        assert!(Head::read(b"nonsense\r\ncontent-length: 1\r\n\r\n").is_err());
    }
}
