//! Who the buyers are, and who vouches for them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sale::time::Timestamp;
use serde::{Serialize, Serializer};

use super::plan::BadSetting;

/// How long a signed JWT is good.
const GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest secret that servers accept for HS256, in bytes.
const SHORTEST: usize = 32;

/// Who vouches for the buyers.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The server itself: each buyer asks to be its guest.
    Guests,
    /// The shop, whose key is here.
    Signed(Signer),
}

/// Signs JWTs as the shop does.
#[derive(Clone)]
pub struct Signer(EncodingKey);

/// A buyer with what vouches for him.
#[derive(Clone)]
pub struct Vouched {
    /// His id.
    pub buyer: String,
    /// Says so to the server.
    pub jwt: String,
}

impl FromStr for Identity {
    type Err = BadSetting;

    /// `guests`, or `hs256:SECRET` as the servers' setting `jwt_keys` has it. The error does not
    /// tell the secret.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let bad = |what: &str| Err(BadSetting(what.to_owned()));
        match text.split_once(':') {
            None if text == "guests" => Ok(Self::Guests),
            Some(("hs256", secret)) if secret.len() >= SHORTEST => {
                Ok(Self::Signed(Signer::new(secret)))
            }
            Some(("hs256", _)) => bad("the secret of hs256 must have 32 bytes or more"),
            None | Some(_) => bad("give `guests`, or hs256:SECRET as in the servers' jwt_keys"),
        }
    }
}

impl Signer {
    /// Signs with the secret of HS256.
    pub fn new(secret: &str) -> Self {
        Self(EncodingKey::from_secret(secret.as_bytes()))
    }

    /// Vouches for a buyer.
    pub fn vouch(&self, buyer: String, now: Timestamp) -> Vouched {
        #[derive(Serialize)]
        struct Claims<'a> {
            sub: &'a str,
            exp: i64,
        }
        let claims = Claims { sub: &buyer, exp: now.plus(GOOD_FOR).millis() / 1000 };
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0)
            .expect("an HMAC key signs any claims");
        Vouched { buyer, jwt }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// Without the secret.
impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Guests => "guests",
            Self::Signed(_) => "hs256",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let secret = "a secret of the shop with 32 bytes or more";
        let identity: Identity = format!("hs256:{secret}").parse().unwrap();
        let shown = format!("{identity:?} {}", serde_json::to_string(&identity).unwrap());
        assert!(!shown.contains(secret), "{shown}");
        let short = "hs256:short".parse::<Identity>().unwrap_err().to_string();
        assert!(!short.contains("hs256:short"), "{short}");
    }
}
