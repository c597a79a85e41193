//! Writes JWTs of so many buyers to standard output, one a line, for load tools.
//!
//! `buyers COUNT SECRET`

use std::io::Write as _;

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

#[derive(serde::Serialize)]
struct Claims {
    sub: String,
    exp: u64,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let count: u32 = args.next().context("COUNT is missing")?.parse()?;
    let key = EncodingKey::from_secret(args.next().context("SECRET is missing")?.as_bytes());
    let now = u64::try_from(store::clock::now().millis())? / 1000;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for n in 0..count {
        let claims = Claims { sub: format!("buyer-{n:07}"), exp: now + 86_400 };
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?;
        writeln!(out, "{jwt}")?;
    }
    Ok(())
}
