//! Buyers' JWTs: whoever is vouched for is named by claims that hold, under a header that names
//! the key's algorithm. The keys that a merchant hands over are read or refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge::bearer::bearer;
use edge::buyer::{BuyerKeys, KeySource};
use edge::origins::{Origin, Origins};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use sale::time::Timestamp;
use serde_json::Value;

const SECRET: &[u8] = b"a secret that the merchant shares with dibs";
const NOW: i64 = 1_800_000_000_000;

pub(crate) fn run(data: &[u8]) {
    header(data);
    let now = Timestamp::from_millis(NOW).expect("it is a time");
    if let Ok(keys) = BuyerKeys::new(KeySource::File(data.to_vec()), None, None, None) {
        let _ = keys.verify("eyJhbGciOiJSUzI1NiJ9.e30.AA", now);
        let _ = keys.verify("eyJhbGciOiJFZERTQSJ9.e30.AA", now);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys = BuyerKeys::new(KeySource::Hs256(SECRET.to_vec()), None, None, None)
        .expect("the secret is long enough");
    let _ = keys.verify(text, now);
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, text));
    let jwt = signed(header, claims);
    assert!(keys.verify(&jwt[..jwt.len() - 1], now).is_err(), "its signature is torn");
    if let Ok(buyer) = keys.verify(&jwt, now) {
        let (header, claims) = (object(header), object(claims));
        assert_eq!(header["alg"], "HS256");
        assert_eq!(header.get("crit").unwrap_or(&Value::Null), &Value::Null);
        assert_eq!(claims["sub"], buyer.as_str());
        assert!(claims["exp"].as_f64().expect("it expires") > NOW as f64 / 1000.0);
        let not_before = claims["nbf"].as_f64().unwrap_or(0.0);
        assert!(not_before <= NOW as f64 / 1000.0 + 5.0);
    }
}

/// The header that carries it, and the one that names a page's origin.
fn header(data: &[u8]) {
    use axum::http::{HeaderMap, HeaderValue, header};
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value.clone());
    if let Some(credentials) = bearer(&headers) {
        assert!(!credentials.is_empty() && !credentials.starts_with(' '));
    }
    headers.insert(header::ORIGIN, value.clone());
    headers.insert(header::HOST, HeaderValue::from_static("shop.example"));
    if Origins::new(Vec::new()).admits(&headers) {
        assert!([&b"http://shop.example"[..], b"https://shop.example"].contains(&value.as_bytes()));
    }
    if let Ok(origin) =
        value.to_str().map_err(drop).and_then(|text| Origin::parse(text).map_err(drop))
    {
        assert_eq!(Origin::parse(origin.as_str()).as_ref(), Ok(&origin));
    }
}

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("HMAC signs");
    format!("{message}.{signature}")
}

fn object(json: &str) -> Value {
    serde_json::from_str(json).expect("it was read")
}
