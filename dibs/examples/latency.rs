//! Claims one after the other on an idle server, each watched over WebSocket, and prints how
//! long it took from sending the claim to its final result: p50 and p99 in ms.
//!
//! `latency HOST:PORT SALE` reads JWTs from standard input, one a line.

use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("HOST:PORT is missing")?;
    let sale = args.next().context("SALE is missing")?;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let claims = format!("http://{address}/v1/sales/{sale}/tickets");
    let mut took = Vec::new();
    for jwt in std::io::stdin().lock().lines() {
        let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
        let protocol = HeaderValue::from_static(sale::frame::SUBPROTOCOL);
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(request, stream).await?;
        let start = Instant::now();
        let body = serde_json::json!({ "units": 1 });
        let answer = http.post(&claims).bearer_auth(jwt?).json(&body).send().await?;
        anyhow::ensure!(answer.status() == 202, "the claim was answered {}", answer.status());
        let answer: serde_json::Value = answer.json().await?;
        let token = answer["token"].as_str().context("no token")?;
        let frame = serde_json::json!({ "type": "watch", "tokens": [token] });
        socket.send(Message::text(frame.to_string())).await?;
        loop {
            let frame = socket.next().await.context("the server closed")??;
            let Message::Text(text) = frame else { continue };
            let frame: serde_json::Value = serde_json::from_str(&text)?;
            if frame["ticket"]["final"] == true {
                break;
            }
        }
        took.push(start.elapsed());
        socket.close(None).await?;
    }
    took.sort();
    anyhow::ensure!(!took.is_empty(), "no JWT on standard input");
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    let mut out = std::io::stdout();
    writeln!(out, "claims={} p50={:.2}ms p99={:.2}ms", took.len(), at(50), at(99))?;
    Ok(())
}
