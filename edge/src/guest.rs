//! Guests: buyers without a merchant's account, vouched for by this install.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sale::id::BuyerId;
use sale::time::Timestamp;
use serde::Serialize;

use crate::secrets::Secrets;

const CONTEXT: &str = "dibs 2026-11 guest jwt hmac key";
const LIVES: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Issues JWTs to guests, signed with a key that is derived from the sealing secret.
pub struct GuestKeys {
    header: Header,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: i64,
    exp: i64,
}

impl GuestKeys {
    /// The keys of this install's guests.
    pub fn new(secrets: &Secrets) -> Self {
        let (kid, secret) = derive(secrets.sealing());
        let header = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
        Self { header, key: EncodingKey::from_secret(&secret) }
    }

    /// A new guest and his JWT, good for 30 days.
    pub fn issue(&self, now: Timestamp) -> (BuyerId, String) {
        let buyer = BuyerId::new(&format!("guest-{:032x}", rand::random::<u128>()))
            .expect("a guest's id has 38 bytes");
        let claims = Claims {
            sub: buyer.as_str(),
            iat: now.millis() / 1000,
            exp: now.plus(LIVES).millis() / 1000,
        };
        let jwt = jsonwebtoken::encode(&self.header, &claims, &self.key)
            .expect("an HMAC key of 32 bytes signs any claims");
        (buyer, jwt)
    }
}

impl fmt::Debug for GuestKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestKeys(..)")
    }
}

/// The `kid` and the HMAC key that a secret stands for.
pub(crate) fn derive(secret: &[u8]) -> (String, [u8; 32]) {
    let key = blake3::derive_key(CONTEXT, secret);
    (format!("guest-{}", &blake3::hash(&key).to_hex()[..16]), key)
}
