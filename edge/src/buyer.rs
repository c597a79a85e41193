//! Buyers' JWTs: who a caller is, vouched for by the merchant or, for guests, by this install.

mod keys;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sale::id::BuyerId;
use sale::time::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::secrets::Secrets;
pub use keys::{BadKeys, KeySource};
use keys::{Key, Voucher};

/// The longest JWT that is looked at, in bytes.
const LONGEST: usize = 4096;

/// How far the merchant's clock may be ahead of ours, in seconds.
const AHEAD: f64 = 5.0;

/// The keys that vouch for buyers: the merchant's, and those of this install's guests.
///
/// Each key stands for one algorithm, and only JWTs that name this algorithm are tried with it.
pub struct BuyerKeys {
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// Why a JWT vouches for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJwt {
    /// It is longer than is looked at.
    #[error("the JWT is longer than {LONGEST} bytes")]
    TooLong,
    /// It is no JWT in compact form, or its parts are not what they should be.
    #[error("the JWT cannot be read")]
    Malformed,
    /// Its algorithm is none that is accepted.
    #[error("the JWT must be signed with HS256, EdDSA or RS256")]
    Algorithm,
    /// No key of its algorithm and key id is known.
    #[error("the JWT is signed with a key that is not known here")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the JWT's signature does not hold")]
    Signature,
    /// `exp` is missing.
    #[error("the JWT has no exp")]
    NoExpiry,
    /// `exp` is past.
    #[error("the JWT has expired")]
    Expired,
    /// `nbf` lies in the future.
    #[error("the JWT is not valid yet")]
    NotYet,
    /// `sub` is missing or no buyer id.
    #[error("the JWT's sub must be 1 to 64 bytes")]
    Subject,
    /// `iss` is not the configured one.
    #[error("the JWT's iss is not the expected one")]
    Issuer,
    /// `aud` does not hold the configured one.
    #[error("the JWT's aud does not hold the expected one")]
    Audience,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl BuyerKeys {
    /// Prepares the keys. `issuer` and `audience` are asked of the merchant's JWTs, where given;
    /// guests are admitted if `guests` is.
    pub fn new(
        source: KeySource,
        issuer: Option<String>,
        audience: Option<String>,
        guests: Option<&Secrets>,
    ) -> Result<Self, BadKeys> {
        let mut keys = guests.map(Key::of_guests).unwrap_or_default();
        keys.extend(Key::of_merchant(source)?);
        Ok(Self { keys, issuer, audience })
    }

    /// The buyer that a JWT vouches for at `now`: the signature holds under a key of the very
    /// algorithm it names, `exp` is there and not past, `nbf` is past, `sub` is a buyer id.
    pub fn verify(&self, jwt: &str, now: Timestamp) -> Result<BuyerId, BadJwt> {
        if jwt.len() > LONGEST {
            return Err(BadJwt::TooLong);
        }
        let (message, signature) = jwt.rsplit_once('.').ok_or(BadJwt::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(BadJwt::Malformed)?;
        let voucher = self.voucher(&read(header)?, message, signature)?;
        let claims: Claims = read(claims)?;
        claims.stand_at(now)?;
        match voucher {
            Voucher::Merchant => self.is_meant_for_us(&claims)?,
            Voucher::Install => {}
        }
        BuyerId::new(&claims.sub.unwrap_or_default()).map_err(|_| BadJwt::Subject)
    }

    fn voucher(&self, header: &Header, message: &str, signature: &str) -> Result<Voucher, BadJwt> {
        if header.crit.is_some() {
            return Err(BadJwt::Malformed);
        }
        let alg = keys::Alg::parse(&header.alg).ok_or(BadJwt::Algorithm)?;
        let mut outcome = Err(BadJwt::UnknownKey);
        for key in self.keys.iter().filter(|key| key.fits(alg, header.kid.as_deref())) {
            if key.signed(message, signature) {
                return Ok(key.voucher());
            }
            outcome = Err(BadJwt::Signature);
        }
        outcome
    }

    fn is_meant_for_us(&self, claims: &Claims) -> Result<(), BadJwt> {
        if self.issuer.is_some() && self.issuer != claims.iss {
            return Err(BadJwt::Issuer);
        }
        let named = |wanted: &String| match &claims.aud {
            Some(Audience::One(one)) => one == wanted,
            Some(Audience::Many(many)) => many.contains(wanted),
            None => false,
        };
        if self.audience.as_ref().is_none_or(named) { Ok(()) } else { Err(BadJwt::Audience) }
    }
}

impl Claims {
    fn stand_at(&self, now: Timestamp) -> Result<(), BadJwt> {
        let now = now.millis() as f64 / 1000.0;
        if self.exp.ok_or(BadJwt::NoExpiry)? <= now {
            return Err(BadJwt::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > now + AHEAD) { Err(BadJwt::NotYet) } else { Ok(()) }
    }
}

fn read<T: DeserializeOwned>(part: &str) -> Result<T, BadJwt> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| BadJwt::Malformed)?;
    // Serde would read an array as the fields of a struct in their order.
    if json.first() != Some(&b'{') {
        return Err(BadJwt::Malformed);
    }
    serde_json::from_slice(&json).map_err(|_| BadJwt::Malformed)
}

impl fmt::Debug for BuyerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuyerKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
