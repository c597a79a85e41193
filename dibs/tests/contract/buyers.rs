//! Buyers' JWTs: which are believed, and that all others are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::ask::{problem, seconds, shop_key, signed};
use crate::harness::{Place, Server};

const RSA: &[u8] = include_bytes!("../../../edge/tests/keys/test-rsa-private.pem");
const OTHER_RSA: &[u8] = include_bytes!("../../../edge/tests/keys/test-other-rsa-private.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../../edge/tests/keys/test-rsa-public.pem");
const ED: &[u8] = include_bytes!("../../../edge/tests/keys/test-ed25519-private.pem");
const ED_PUBLIC: &[u8] = include_bytes!("../../../edge/tests/keys/test-ed25519-public.pem");

async fn claim(server: &Server, authorization: &str) -> Response {
    let call = server.call(Method::POST, "/v1/sales/cups/tickets").json(&json!({ "units": 1 }));
    call.header("authorization", authorization).send().await.unwrap()
}

async fn believed(server: &Server, jwt: &str) {
    let answer = claim(server, &format!("Bearer {jwt}")).await;
    assert!(answer.status().is_success(), "{jwt}: {}", answer.text().await.unwrap());
}

async fn refused(server: &Server, jwt: &str) {
    problem(claim(server, &format!("Bearer {jwt}")).await, 401, "unauthenticated").await;
}

fn good() -> Value {
    json!({ "sub": "ada", "exp": seconds(60) })
}

/// The JWT of another header or other claims with the signature it had before.
fn forged(jwt: &str, header: Option<&str>, claims: Option<&Value>) -> String {
    let parts: Vec<_> = jwt.split('.').collect();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = header.map_or(parts[0].to_owned(), encode);
    let claims = claims.map_or(parts[1].to_owned(), |claims| encode(&claims.to_string()));
    format!("{header}.{claims}.{}", parts[2])
}

#[tokio::test]
async fn a_claim_without_a_good_jwt_is_unauthenticated_and_takes_no_stock() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let (algorithm, key) = (Algorithm::HS256, shop_key());
    let right = signed(algorithm, &key, &good());

    let bare = server.call(Method::POST, "/v1/sales/cups/tickets").json(&json!({ "units": 1 }));
    problem(bare.send().await.unwrap(), 401, "unauthenticated").await;
    for other in ["Bearer ", "Bearer", "Basic YWRhOmFkYQ==", &right, &format!("Token {right}")] {
        problem(claim(&server, other).await, 401, "unauthenticated").await;
    }
    let twice = server.claim("cups", "ada").bearer_auth(&right).json(&json!({ "units": 1 }));
    problem(twice.send().await.unwrap(), 401, "unauthenticated").await;

    for garbage in ["x", "a.b", "a.b.c", "a.b.c.d", "..", &"a".repeat(5000)] {
        refused(&server, garbage).await;
    }
    let unsigned = right.rsplit_once('.').unwrap().0.to_owned() + ".";
    refused(&server, &unsigned).await;
    for none in [r#"{"alg":"none"}"#, r#"{"alg":"None"}"#, r#"{"alg":"NONE","typ":"JWT"}"#, "{}"] {
        refused(&server, &forged(&right, Some(none), None)).await;
        refused(&server, &forged(&unsigned, Some(none), None)).await;
    }
    refused(&server, &signed(Algorithm::HS384, &key, &good())).await;
    let other = EncodingKey::from_secret(b"another secret that is long enough too");
    refused(&server, &signed(algorithm, &other, &good())).await;
    refused(&server, &right[..right.len() - 1]).await;
    let eve = json!({ "sub": "eve", "exp": seconds(60) });
    refused(&server, &forged(&right, None, Some(&eve))).await;
    for claims in [
        json!({ "sub": "ada", "exp": seconds(-1) }),
        json!({ "sub": "ada", "exp": 0 }),
        json!({ "sub": "ada" }),
        json!({ "sub": "ada", "exp": "tomorrow" }),
        json!({ "sub": "ada", "exp": seconds(60), "nbf": seconds(50) }),
        json!({ "exp": seconds(60) }),
        json!({ "sub": "", "exp": seconds(60) }),
        json!({ "sub": 7, "exp": seconds(60) }),
        json!({ "sub": "x".repeat(65), "exp": seconds(60) }),
    ] {
        refused(&server, &signed(algorithm, &key, &claims)).await;
    }
    let sale = server.sale("cups").await;
    assert_eq!((&sale["available"], &sale["held"]), (&json!(5), &json!(0)));

    believed(&server, &right).await;
    for sub in [&"x".repeat(64), "søren@example.org"] {
        let claims = json!({ "sub": sub, "exp": seconds(60), "nbf": seconds(-1), "more": [1] });
        believed(&server, &signed(algorithm, &key, &claims)).await;
    }
    let lower = claim(&server, &format!("bearer {right}")).await;
    assert_eq!(lower.status(), StatusCode::OK, "the scheme's case does not matter");
}

async fn shop_of(file: &str, content: &[u8], more: &[(&str, &str)]) -> Server {
    let place = Place::new();
    let path = place.path().join(file);
    std::fs::write(&path, content).unwrap();
    let keys = path.display().to_string();
    let settings: Vec<_> = [("jwt_keys", &*keys)].into_iter().chain(more.iter().copied()).collect();
    let server = Server::start_in(place, &settings).await;
    server.open_sale("cups", 9, 1).await;
    server
}

#[tokio::test]
async fn keys_come_from_a_pem_file_and_no_other_algorithm_passes_with_them() {
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    let server = shop_of("shop.pem", RSA_PUBLIC, &[]).await;
    believed(&server, &signed(Algorithm::RS256, &rsa, &good())).await;
    let other = EncodingKey::from_rsa_pem(OTHER_RSA).unwrap();
    refused(&server, &signed(Algorithm::RS256, &other, &good())).await;
    refused(&server, &signed(Algorithm::RS512, &rsa, &good())).await;
    refused(&server, &signed(Algorithm::HS256, &shop_key(), &good())).await;
    // The public key is public: whoever has it must not be able to sign with it.
    let confused = EncodingKey::from_secret(RSA_PUBLIC);
    refused(&server, &signed(Algorithm::HS256, &confused, &good())).await;

    let ed = EncodingKey::from_ed_pem(ED).unwrap();
    let server = shop_of("shop.pem", ED_PUBLIC, &[]).await;
    believed(&server, &signed(Algorithm::EdDSA, &ed, &good())).await;
    refused(&server, &signed(Algorithm::RS256, &rsa, &good())).await;
}

#[tokio::test]
async fn keys_come_from_a_jwks_file_and_issuer_and_audience_are_asked_for() {
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    let ed = EncodingKey::from_ed_pem(ED).unwrap();
    let keys = json!({ "keys": [
        Jwk::from_encoding_key(&rsa, Algorithm::RS256).unwrap(),
        Jwk::from_encoding_key(&ed, Algorithm::EdDSA).unwrap(),
    ] });
    let named = [("jwt_issuer", "https://shop.example"), ("jwt_audience", "dibs")];
    let server = shop_of("shop.json", keys.to_string().as_bytes(), &named).await;
    let meant = |iss: Value, aud: Value| json!({ "sub": "ada", "exp": seconds(60), "iss": iss, "aud": aud });
    let shop = json!("https://shop.example");
    for aud in [json!("dibs"), json!(["other", "dibs"])] {
        let claims = meant(shop.clone(), aud);
        believed(&server, &signed(Algorithm::RS256, &rsa, &claims)).await;
        believed(&server, &signed(Algorithm::EdDSA, &ed, &claims)).await;
    }
    for claims in
        [meant(json!("https://evil.example"), json!("dibs")), meant(shop, json!("other")), good()]
    {
        refused(&server, &signed(Algorithm::EdDSA, &ed, &claims)).await;
    }
}
