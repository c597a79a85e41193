//! Opens idle WebSocket connections that each watch one ticket, and waits for a line on
//! standard input before it closes them, so that the server's memory can be read meanwhile.
//!
//! `sockets HOST:PORT COUNT TOKEN`

use std::io::BufRead as _;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

async fn watch(address: &str, token: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
    let protocol = HeaderValue::from_static(sale::frame::SUBPROTOCOL);
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    let frame = format!(r#"{{"type":"watch","tokens":["{token}"]}}"#);
    socket.send(Message::text(frame)).await?;
    let answer = socket.next().await.context("the server closed")??;
    anyhow::ensure!(answer.to_text()?.contains(r#""type":"ticket""#), "no ticket: {answer}");
    Ok(socket)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("HOST:PORT is missing")?;
    let count: usize = args.next().context("COUNT is missing")?.parse()?;
    let token = args.next().context("TOKEN is missing")?;
    let mut sockets = Vec::with_capacity(count);
    for n in 0..count {
        sockets.push(watch(&address, &token).await.with_context(|| format!("connection {n}"))?);
    }
    eprintln!("{} connections are open", sockets.len());
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}
