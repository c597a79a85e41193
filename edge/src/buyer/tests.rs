use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use super::*;
use crate::guest::GuestKeys;

const NOW: i64 = 1_767_323_045;
const SHARED: &[u8] = b"a secret the merchant shares with us";
const SECRET: &str = "the first secret of this install";
const NEXT: &str = "the second secret of this install";

const RSA: &[u8] = include_bytes!("../../tests/keys/test-rsa-private.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/keys/test-rsa-public.pem");
const RSA_PKCS1: &[u8] = include_bytes!("../../tests/keys/test-rsa-public-pkcs1.pem");
const RSA_WEAK: &[u8] = include_bytes!("../../tests/keys/test-rsa-1024-public.pem");
const RSA_CERTIFICATE: &[u8] = include_bytes!("../../tests/keys/test-rsa-certificate.pem");
const OTHER_RSA: &[u8] = include_bytes!("../../tests/keys/test-other-rsa-private.pem");
const ED: &[u8] = include_bytes!("../../tests/keys/test-ed25519-private.pem");
const ED_PUBLIC: &[u8] = include_bytes!("../../tests/keys/test-ed25519-public.pem");
const P256_PUBLIC: &[u8] = include_bytes!("../../tests/keys/test-p256-public.pem");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000).unwrap()
}

fn ada() -> Value {
    json!({"sub": "ada", "exp": NOW + 60})
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA).unwrap()
}

fn ed() -> EncodingKey {
    EncodingKey::from_ed_pem(ED).unwrap()
}

fn sign(alg: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(alg) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(SHARED), claims)
}

fn raw(header: &str, claims: &str, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", part(header.as_bytes()), part(claims.as_bytes()), part(signature))
}

fn jwk(kid: Option<&str>, key: &EncodingKey, alg: Algorithm) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, alg).unwrap();
    jwk.common.key_id = kid.map(str::to_owned);
    serde_json::to_value(jwk).unwrap()
}

fn jwks(keys: &[Value]) -> KeySource {
    KeySource::File(json!({ "keys": keys }).to_string().into_bytes())
}

fn keys(source: KeySource) -> BuyerKeys {
    BuyerKeys::new(source, None, None, None).unwrap()
}

fn shared() -> BuyerKeys {
    keys(KeySource::Hs256(SHARED.to_vec()))
}

fn refusal(keys: &BuyerKeys, jwt: &str) -> BadJwt {
    keys.verify(jwt, at(NOW)).unwrap_err()
}

#[test]
fn each_accepted_algorithm_vouches_for_its_buyer() {
    let by = |source, alg, key: &EncodingKey| {
        let jwt = sign(alg, None, key, &ada());
        keys(source).verify(&jwt, at(NOW)).unwrap().as_str().to_owned()
    };
    let secret = EncodingKey::from_secret(SHARED);
    assert_eq!(by(KeySource::Hs256(SHARED.to_vec()), Algorithm::HS256, &secret), "ada");
    assert_eq!(by(KeySource::File(RSA_PUBLIC.to_vec()), Algorithm::RS256, &rsa()), "ada");
    assert_eq!(by(KeySource::File(RSA_PKCS1.to_vec()), Algorithm::RS256, &rsa()), "ada");
    assert_eq!(by(KeySource::File(ED_PUBLIC.to_vec()), Algorithm::EdDSA, &ed()), "ada");
}

#[test]
fn alg_none_is_refused_however_it_is_written() {
    let all = [shared(), keys(KeySource::File(RSA_PUBLIC.to_vec()))];
    for keys in &all {
        for alg in ["none", "None", "NONE", "", "nOnE"] {
            let header = json!({"alg": alg, "typ": "JWT"}).to_string();
            let jwt = raw(&header, &ada().to_string(), b"");
            assert_eq!(refusal(keys, &jwt), BadJwt::Algorithm, "{alg}");
        }
    }
}

#[test]
fn a_public_key_is_never_used_as_a_shared_secret() {
    let pem = std::str::from_utf8(RSA_PUBLIC).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let jwks = jwks(&[jwk(Some("1"), &rsa(), Algorithm::RS256)]);
    for keys in [keys(KeySource::File(RSA_PUBLIC.to_vec())), keys(jwks)] {
        for bytes in [RSA_PUBLIC, pem.trim_end().as_bytes(), RSA_PKCS1, &der] {
            for kid in [None, Some("1")] {
                let key = EncodingKey::from_secret(bytes);
                let jwt = sign(Algorithm::HS256, kid, &key, &ada());
                assert_eq!(refusal(&keys, &jwt), BadJwt::UnknownKey);
            }
        }
    }
}

#[test]
fn other_algorithms_of_a_known_keys_family_are_refused() {
    let key = EncodingKey::from_secret(SHARED);
    for alg in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(refusal(&shared(), &sign(alg, None, &key, &ada())), BadJwt::Algorithm);
    }
    let keys = keys(KeySource::File(RSA_PUBLIC.to_vec()));
    for alg in [Algorithm::RS512, Algorithm::PS256] {
        assert_eq!(refusal(&keys, &sign(alg, None, &rsa(), &ada())), BadJwt::Algorithm);
    }
}

#[test]
fn a_wrong_key_or_a_changed_part_is_refused() {
    let stranger = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let jwt = sign(Algorithm::HS256, None, &stranger, &ada());
    assert_eq!(refusal(&shared(), &jwt), BadJwt::Signature);

    let stranger = EncodingKey::from_rsa_pem(OTHER_RSA).unwrap();
    let jwt = sign(Algorithm::RS256, None, &stranger, &ada());
    assert_eq!(refusal(&keys(KeySource::File(RSA_PUBLIC.to_vec())), &jwt), BadJwt::Signature);

    let good = hs256(&ada());
    let eve = URL_SAFE_NO_PAD.encode(json!({"sub": "eve", "exp": NOW + 60}).to_string());
    let parts: Vec<_> = good.split('.').collect();
    let forged = format!("{}.{eve}.{}", parts[0], parts[2]);
    assert_eq!(refusal(&shared(), &forged), BadJwt::Signature);
    assert_eq!(refusal(&shared(), &format!("{}.{}.", parts[0], parts[1])), BadJwt::Signature);
}

#[test]
fn a_jwt_ends_at_its_exp_and_begins_at_its_nbf() {
    let jwt = hs256(&json!({"sub": "ada", "exp": NOW, "nbf": NOW - 60}));
    assert!(shared().verify(&jwt, at(NOW - 1)).is_ok());
    assert_eq!(shared().verify(&jwt, at(NOW)), Err(BadJwt::Expired));
    assert_eq!(shared().verify(&jwt, at(NOW + 3600)), Err(BadJwt::Expired));
    assert!(shared().verify(&jwt, at(NOW - 64)).is_ok(), "the merchant's clock may be ahead");
    assert_eq!(shared().verify(&jwt, at(NOW - 66)), Err(BadJwt::NotYet));
    let fraction = hs256(&json!({"sub": "ada", "exp": NOW as f64 + 0.5}));
    assert!(shared().verify(&fraction, at(NOW)).is_ok());
}

#[test]
fn exp_and_sub_are_required_and_checked() {
    let refused = |claims: Value| refusal(&shared(), &hs256(&claims));
    let exp = NOW + 60;
    assert_eq!(refused(json!({"sub": "ada"})), BadJwt::NoExpiry);
    assert_eq!(refused(json!({"sub": "ada", "exp": null})), BadJwt::NoExpiry);
    assert_eq!(refused(json!({"sub": "ada", "exp": "never"})), BadJwt::Malformed);
    assert_eq!(refused(json!({"exp": exp})), BadJwt::Subject);
    assert_eq!(refused(json!({"sub": "", "exp": exp})), BadJwt::Subject);
    assert_eq!(refused(json!({"sub": "x".repeat(65), "exp": exp})), BadJwt::Subject);
    assert_eq!(refused(json!({"sub": 7, "exp": exp})), BadJwt::Malformed);
    let longest = hs256(&json!({"sub": "x".repeat(64), "exp": exp}));
    assert!(shared().verify(&longest, at(NOW)).is_ok());
}

#[test]
fn issuer_and_audience_are_asked_of_the_merchant_if_configured() {
    let source = KeySource::Hs256(SHARED.to_vec());
    let secrets = Secrets::parse(SECRET).unwrap();
    let (issuer, audience) = (Some("shop".to_owned()), Some("dibs".to_owned()));
    let keys = BuyerKeys::new(source, issuer, audience, Some(&secrets)).unwrap();
    let verdict = |iss: Value, aud: Value| {
        let jwt = hs256(&json!({"sub": "ada", "exp": NOW + 60, "iss": iss, "aud": aud}));
        keys.verify(&jwt, at(NOW)).map(|buyer| buyer.as_str().to_owned())
    };
    assert_eq!(verdict(json!("shop"), json!("dibs")), Ok("ada".into()));
    assert_eq!(verdict(json!("shop"), json!(["other", "dibs"])), Ok("ada".into()));
    assert_eq!(verdict(json!("shop"), json!(["other"])), Err(BadJwt::Audience));
    assert_eq!(verdict(json!("shop"), json!(null)), Err(BadJwt::Audience));
    assert_eq!(verdict(json!("shops"), json!("dibs")), Err(BadJwt::Issuer));
    assert_eq!(verdict(json!(null), json!("dibs")), Err(BadJwt::Issuer));
    let (guest, jwt) = GuestKeys::new(&secrets).issue(at(NOW));
    assert_eq!(keys.verify(&jwt, at(NOW)), Ok(guest));
}

#[test]
fn a_key_set_is_searched_by_key_id_or_tried_in_whole() {
    let other = EncodingKey::from_rsa_pem(OTHER_RSA).unwrap();
    let set = keys(jwks(&[
        jwk(Some("old"), &other, Algorithm::RS256),
        jwk(Some("new"), &rsa(), Algorithm::RS256),
        jwk(Some("ed"), &ed(), Algorithm::EdDSA),
        jwk(Some("hs"), &EncodingKey::from_secret(SHARED), Algorithm::HS256),
    ]));
    let verdict =
        |alg, kid, key: &EncodingKey| set.verify(&sign(alg, kid, key, &ada()), at(NOW)).map(|_| ());
    assert_eq!(verdict(Algorithm::RS256, Some("new"), &rsa()), Ok(()));
    assert_eq!(verdict(Algorithm::RS256, None, &rsa()), Ok(()));
    assert_eq!(verdict(Algorithm::RS256, Some("old"), &other), Ok(()));
    assert_eq!(verdict(Algorithm::EdDSA, Some("ed"), &ed()), Ok(()));
    let secret = EncodingKey::from_secret(SHARED);
    assert_eq!(verdict(Algorithm::HS256, Some("hs"), &secret), Ok(()));
    assert_eq!(verdict(Algorithm::RS256, Some("old"), &rsa()), Err(BadJwt::Signature));
    assert_eq!(verdict(Algorithm::RS256, Some("ed"), &rsa()), Err(BadJwt::UnknownKey));
    assert_eq!(verdict(Algorithm::RS256, Some("gone"), &rsa()), Err(BadJwt::UnknownKey));
}

#[test]
fn keys_of_a_set_for_other_ends_are_passed_over() {
    let mut encryption = jwk(Some("enc"), &rsa(), Algorithm::RS256);
    encryption["use"] = json!("enc");
    let mut pss = jwk(Some("pss"), &rsa(), Algorithm::RS256);
    pss["alg"] = json!("PS256");
    let ec = json!({"kty": "EC", "crv": "P-256", "kid": "ec",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let strange = json!({"kty": "OKP", "crv": "Ed448", "x": "AA", "kid": "448"});
    let passed_over = [encryption, pss, ec, strange];
    let none = BuyerKeys::new(jwks(&passed_over), None, None, None).unwrap_err();
    assert_eq!(none, BadKeys::NoneUsable);
    let mut all = passed_over.to_vec();
    all.push(jwk(Some("good"), &ed(), Algorithm::EdDSA));
    let jwt = sign(Algorithm::EdDSA, Some("good"), &ed(), &ada());
    assert!(keys(jwks(&all)).verify(&jwt, at(NOW)).is_ok());
}

#[test]
fn key_files_that_would_not_guard_are_refused() {
    let refused = |source| BuyerKeys::new(source, None, None, None).unwrap_err();
    let file = |content: &[u8]| KeySource::File(content.to_vec());
    assert_eq!(refused(file(b"")), BadKeys::NeitherJwksNorPem);
    assert_eq!(refused(file(b"{\"keys\":7}")), BadKeys::NeitherJwksNorPem);
    assert_eq!(refused(file(b"{\"keys\":[]}")), BadKeys::NoneUsable);
    for not_public in [RSA, ED, RSA_CERTIFICATE, P256_PUBLIC, &[RSA_PUBLIC, ED_PUBLIC].concat()] {
        assert_eq!(refused(file(not_public)), BadKeys::NotOnePublicKey);
    }
    assert_eq!(refused(file(RSA_WEAK)), BadKeys::Weak);
    assert_eq!(refused(KeySource::Hs256(b"short".to_vec())), BadKeys::Weak);
    assert_eq!(refused(KeySource::Hs256(RSA_PUBLIC.to_vec())), BadKeys::SecretIsPem);
    let short = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"});
    assert_eq!(refused(jwks(&[short])), BadKeys::Weak);
    let broken = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
    assert_eq!(refused(jwks(&[broken])), BadKeys::Weak);
    let many = vec![jwk(None, &ed(), Algorithm::EdDSA); 17];
    assert_eq!(refused(jwks(&many)), BadKeys::TooMany);
}

#[test]
fn a_text_that_is_no_jwt_is_refused() {
    let claims = ada().to_string();
    let mac = |header: &str, claims: &str| {
        let key = EncodingKey::from_secret(SHARED);
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", part(header), part(claims));
        let tag = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{tag}")
    };
    assert!(shared().verify(&mac("{\"alg\":\"HS256\"}", &claims), at(NOW)).is_ok());
    let good = hs256(&ada());
    let malformed = [
        String::new(),
        "..".into(),
        "a.b".into(),
        format!(" {good}"),
        mac("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", &claims),
        mac("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", &claims),
        mac("{\"alg\":\"HS256\"}", "{\"sub\":\"a\",\"sub\":\"b\",\"exp\":99999999999}"),
        mac("{\"alg\":\"HS256\"}", "[\"a\",99999999999,null,null,null]"),
        mac("{\"alg\":\"HS256\"}", "not json"),
    ];
    for jwt in &malformed {
        assert_eq!(refusal(&shared(), jwt), BadJwt::Malformed, "{jwt}");
    }
    assert_eq!(refusal(&shared(), &format!("{good}.{good}")), BadJwt::Signature);
    let long = hs256(&json!({"sub": "ada", "exp": NOW + 60, "more": "x".repeat(4096)}));
    assert_eq!(refusal(&shared(), &long), BadJwt::TooLong);
}

#[test]
fn guests_are_known_across_a_rotation_of_the_secret() {
    let [first, second] = [SECRET, NEXT].map(|text| Secrets::parse(text).unwrap());
    let rotated = Secrets::parse(&format!("{NEXT},{SECRET}")).unwrap();
    let of = |secrets| BuyerKeys::new(KeySource::None, None, None, Some(secrets)).unwrap();
    let (guest, jwt) = GuestKeys::new(&first).issue(at(NOW));
    assert_eq!(of(&first).verify(&jwt, at(NOW)), Ok(guest.clone()));
    assert_eq!(of(&rotated).verify(&jwt, at(NOW)), Ok(guest));
    assert_eq!(of(&second).verify(&jwt, at(NOW)), Err(BadJwt::UnknownKey));
    let (_, newer) = GuestKeys::new(&rotated).issue(at(NOW));
    assert!(of(&second).verify(&newer, at(NOW)).is_ok());
    assert_eq!(of(&first).verify(&newer, at(NOW)), Err(BadJwt::UnknownKey));
}

#[test]
fn a_guests_jwt_holds_thirty_days_and_only_where_guests_are_admitted() {
    let secrets = Secrets::parse(SECRET).unwrap();
    let (guest, jwt) = GuestKeys::new(&secrets).issue(at(NOW));
    let keys = BuyerKeys::new(KeySource::None, None, None, Some(&secrets)).unwrap();
    let days = 24 * 60 * 60;
    assert_eq!(keys.verify(&jwt, at(NOW + 30 * days - 1)), Ok(guest.clone()));
    assert_eq!(keys.verify(&jwt, at(NOW + 30 * days)), Err(BadJwt::Expired));
    assert_ne!(GuestKeys::new(&secrets).issue(at(NOW)).0, guest);
    assert!(guest.as_str().starts_with("guest-"));
    let closed = BuyerKeys::new(KeySource::None, None, None, None).unwrap();
    assert_eq!(closed.verify(&jwt, at(NOW)), Err(BadJwt::UnknownKey));
    assert_eq!(shared().verify(&jwt, at(NOW)), Err(BadJwt::Signature));
}
