//! JSON bodies, read within bounds.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// The most bytes of a body that are read.
pub const LARGEST: usize = 4096;

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);

/// Reads a JSON object of at most 4 KiB as `T`.
///
/// What is wrong with it is told as [`Kind::InvalidRequest`] with a detail that names the field
/// (or the header), or as [`Kind::PayloadTooLarge`]. Repeated fields are refused; unknown ones
/// too if `T` says `deny_unknown_fields`.
pub async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    if !says_json(request.headers()) {
        let detail = "the header Content-Type must be application/json";
        return Err(Problem::new(Kind::InvalidRequest, detail));
    }
    parse(&read(request).await?)
}

fn says_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), LARGEST).collect();
    match tokio::time::timeout(ARRIVES_WITHIN, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Kind::InvalidRequest, "the body ended too early")),
        Err(_) => Err(Problem::new(Kind::InvalidRequest, "the body did not arrive within 5 s")),
    }
}

fn too_large() -> Problem {
    Problem::new(Kind::PayloadTooLarge, format!("the body may have at most {LARGEST} bytes"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde would read an array as the fields of a struct in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Kind::InvalidRequest, "the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|fault| {
        let path = fault.path().to_string();
        let detail = match path.as_str() {
            "." | "?" => fault.into_inner().to_string(),
            field => format!("`{field}`: {}", fault.inner()),
        };
        Problem::new(Kind::InvalidRequest, detail)
    })?;
    reader.end().map_err(|fault| Problem::new(Kind::InvalidRequest, fault.to_string()))?;
    Ok(value)
}
