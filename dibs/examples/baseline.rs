//! The route that figures are compared with: it verifies the same JWT, parses the same body and
//! answers as many bytes as asked for, on the same server loop, and does nothing else.
//!
//! `baseline PORT SECRET`, then `POST /answer/{bytes}`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
// The same allocator.
use dibs as _;
use edge::bearer::bearer;
use edge::body::read_json;
use edge::buyer::{BuyerKeys, KeySource};
use edge::problem::{Kind, Problem};
use edge::serve::{Limits, serve};
use sale::units::Units;
use tokio_util::sync::CancellationToken;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "units")]
    _units: Units,
}

async fn answer(
    State(keys): State<Arc<BuyerKeys>>,
    Path(bytes): Path<usize>,
    request: Request,
) -> Result<Response, Problem> {
    let refused = || Problem::new(Kind::Unauthenticated, "no");
    let jwt = bearer(request.headers()).ok_or_else(refused)?;
    keys.verify(jwt, store::clock::now()).map_err(|_| refused())?;
    let _: Body = read_json(request).await?;
    Ok((StatusCode::ACCEPTED, "x".repeat(bytes)).into_response())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().context("PORT is missing")?.parse()?;
    let secret = args.next().context("SECRET is missing")?.into_bytes();
    let keys = BuyerKeys::new(KeySource::Hs256(secret), None, None, None)?;
    let router = axum::Router::new()
        .route("/answer/{bytes}", post(answer))
        .layer(axum::middleware::from_fn(edge::observe::track))
        .with_state(Arc::new(keys));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    serve(listener, router, Limits::default(), CancellationToken::new()).await;
    Ok(())
}
