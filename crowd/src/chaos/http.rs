//! A process asked how it is.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: u64 = 4 << 20;

/// The status and the body of what it answers there.
///
/// # Errors
/// It does not answer.
pub(super) async fn get(server: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let answer = timeout(PATIENCE, ask(server, path)).await.context("no answer in time")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// By HTTP/1.0, so that the answer ends where the connection does.
async fn ask(server: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {server}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).await?;
    Ok(answer)
}
