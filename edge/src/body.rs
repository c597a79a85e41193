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
    parse(&read(request, ARRIVES_WITHIN).await?)
}

fn says_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

async fn read(request: Request, within: Duration) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), LARGEST).collect();
    match tokio::time::timeout(within, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Kind::InvalidRequest, "the body ended too early")),
        Err(_) => Err(Problem::new(Kind::InvalidRequest, "the body did not arrive in time")),
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        units: u8,
        note: Option<String>,
    }

    async fn sent(content_type: &str, body: impl Into<Body>) -> Result<Order, Problem> {
        let request = Request::builder().header("content-type", content_type);
        read_json(request.body(body.into()).unwrap()).await
    }

    async fn refusal(body: &'static str) -> (Kind, String) {
        let problem = sent("application/json", body).await.unwrap_err();
        (problem.kind(), format!("{problem:?}"))
    }

    #[tokio::test]
    async fn a_json_object_of_any_json_type_is_read() {
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/x+json"]
        {
            let order = sent(content_type, " {\"units\":2}\n").await.unwrap();
            assert_eq!(order, Order { units: 2, note: None }, "{content_type}");
        }
    }

    #[tokio::test]
    async fn a_wrong_or_absent_content_type_is_refused_by_name() {
        for content_type in ["", "text/plain", "application/jsonp", "text/json", "json"] {
            let problem = sent(content_type, "{\"units\":2}").await.unwrap_err();
            assert_eq!(problem.kind(), Kind::InvalidRequest);
            assert!(format!("{problem:?}").contains("Content-Type"), "{content_type}");
        }
        let bare = read_json::<Order>(Request::new("{\"units\":2}".into())).await;
        assert_eq!(bare.unwrap_err().kind(), Kind::InvalidRequest);
    }

    #[tokio::test]
    async fn every_fault_names_its_field() {
        for (body, names) in [
            ("{}", "`units`"),
            ("{\"units\":1,\"unit\":2}", "`unit`"),
            ("{\"units\":1,\"units\":1}", "`units`"),
            ("{\"units\":-1}", "`units`"),
            ("{\"units\":1.5}", "`units`"),
            ("{\"units\":\"1e3\"}", "`units`"),
            ("{\"units\":1e3}", "`units`"),
            ("{\"units\":256}", "`units`"),
            ("{\"units\":9223372036854775808}", "`units`"),
            ("{\"units\":null}", "`units`"),
            ("{\"units\":1,\"note\":7}", "`note`"),
        ] {
            let (kind, text) = refusal(body).await;
            assert_eq!(kind, Kind::InvalidRequest, "{body}");
            assert!(text.contains(names), "{body}: {text}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_object_is_refused() {
        for body in ["", "[1]", "1", "null", "{", "{\"units\":1", "{\"units\":1}{}", "{units:1}"] {
            assert_eq!(refusal(body).await.0, Kind::InvalidRequest, "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_of_four_kibibytes_is_read_and_a_larger_one_is_not() {
        let padded = |bytes: usize| format!("{:<bytes$}", "{\"units\":2}");
        assert!(sent("application/json", padded(LARGEST)).await.is_ok());
        let problem = sent("application/json", padded(LARGEST + 1)).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::PayloadTooLarge);
        let announced = Request::builder()
            .header("content-type", "application/json")
            .header("content-length", LARGEST + 1)
            .body(Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>()));
        let problem = read_json::<Order>(announced.unwrap()).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::PayloadTooLarge, "without waiting for the body");
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
        let problem = read(Request::new(body), Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::InvalidRequest);
    }
}
