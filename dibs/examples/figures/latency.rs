//! From the claim to its final result over WebSocket on an idle system, one claim after the
//! other; where the engines are given, beside the round trips that lie inside it.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::round_trips::{Engines, NAMES, RoundTrips};
use crate::table::{Sorted, row};

/// Claims by each of the buyers on standard input, and prints the rows.
pub(crate) async fn measure(
    api: &str,
    push: &str,
    sale: &str,
    engines: Option<Engines<'_>>,
) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let claims = format!("http://{api}/v1/sales/{sale}/tickets");
    let jwts = std::io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?;
    let mut round_trips = match &engines {
        Some(engines) => Some(RoundTrips::open(engines, jwts.len()).await?),
        None => None,
    };
    let (mut whole, mut parts) = (Vec::new(), NAMES.map(|_| Vec::new()));
    for jwt in &jwts {
        let socket = connect(push).await?;
        whole.push(claim_to_final(&http, &claims, jwt, socket).await?);
        if let Some(round_trips) = &mut round_trips {
            for (all, one) in parts.iter_mut().zip(round_trips.next().await?) {
                all.push(one);
            }
        }
    }
    let whole = Sorted::new(whole);
    row("claim to pushed result, idle", &whole.to_string(), "")?;
    if engines.is_none() {
        return Ok(());
    }
    let mut sum = 0.0;
    for (name, times) in NAMES.iter().zip(parts) {
        let times = Sorted::new(times);
        sum += times.millis(50);
        row(&format!("… {name}"), &times.to_string(), "")?;
    }
    let figure =
        format!("**{:.2}** (p50 {:.2} ms / {sum:.2} ms)", whole.millis(50) / sum, whole.millis(50));
    row("claim to pushed result / sum of these round trips", &figure, "≤ 1.5")
}

async fn connect(push: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{push}/v1/ws").into_client_request()?;
    let protocol = HeaderValue::from_static(sale::frame::SUBPROTOCOL);
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let stream = TcpStream::connect(push).await?;
    stream.set_nodelay(true)?;
    Ok(client_async(request, stream).await?.0)
}

async fn claim_to_final(
    http: &reqwest::Client,
    claims: &str,
    jwt: &str,
    mut socket: WebSocketStream<TcpStream>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let body = serde_json::json!({ "units": 1 });
    let answer = http.post(claims).bearer_auth(jwt).json(&body).send().await?;
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
    let took = begun.elapsed();
    socket.close(None).await?;
    Ok(took)
}
