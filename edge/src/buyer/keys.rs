//! The keys themselves: read from JWKS, PEM or a shared secret, each bound to one algorithm.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::jwk::{KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use crate::guest;
use crate::secrets::Secrets;

/// Where the merchant's keys come from.
#[derive(Clone)]
pub enum KeySource {
    /// There are none: only guests can buy, if they may.
    None,
    /// The content of a JWKS file (JSON) or of a PEM file with one public key, RSA or Ed25519.
    File(Vec<u8>),
    /// A secret that is shared with the merchant, for HS256.
    Hs256(Vec<u8>),
}

/// Why a [`KeySource`] gives no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// The file is neither JWKS nor PEM.
    #[error("the key file must be a JWKS (JSON) or a PEM file with one public key")]
    NeitherJwksNorPem,
    /// The PEM file holds something else than one public key.
    #[error("the PEM file must hold one public key (RSA or Ed25519) and nothing else")]
    NotOnePublicKey,
    /// The JWKS has no key for HS256, EdDSA or RS256 signatures.
    #[error("the JWKS has no key for signatures with HS256, EdDSA (Ed25519) or RS256")]
    NoneUsable,
    /// The JWKS has more keys than are tried.
    #[error("the JWKS has more than {} usable keys", Key::MOST)]
    TooMany,
    /// A key is broken or weak.
    #[error("a key is broken or too short: RSA needs 2048 to 4096 bits, HS256 32 bytes")]
    Weak,
    /// The shared secret is a PEM text: a public key must never be used as a secret.
    #[error("the secret for HS256 is a PEM text; name its file instead, as a public key")]
    SecretIsPem,
}

/// The algorithms that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alg {
    Hs256,
    EdDsa,
    Rs256,
}

/// Who answers for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voucher {
    Merchant,
    Install,
}

/// One key, for one algorithm.
pub(super) struct Key {
    alg: Alg,
    kid: Option<String>,
    voucher: Voucher,
    decoding: DecodingKey,
}

impl Alg {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "EdDSA" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }

    fn of_library(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

impl Key {
    /// The most keys of a JWKS: what one JWT without a key id can make us try.
    const MOST: usize = 16;

    pub(super) fn of_guests(secrets: &Secrets) -> Vec<Self> {
        let retired = secrets.retired().iter().map(Vec::as_slice);
        let all = std::iter::once(secrets.sealing()).chain(retired);
        all.map(|secret| {
            let (kid, key) = guest::derive(secret);
            let decoding = DecodingKey::from_secret(&key);
            Self { alg: Alg::Hs256, kid: Some(kid), voucher: Voucher::Install, decoding }
        })
        .collect()
    }

    pub(super) fn of_merchant(source: KeySource) -> Result<Vec<Self>, BadKeys> {
        match source {
            KeySource::None => Ok(Vec::new()),
            KeySource::File(content) => match content.trim_ascii_start() {
                json @ [b'{', ..] => from_jwks(json),
                pem @ [b'-', ..] => Ok(vec![from_pem(pem)?]),
                _ => Err(BadKeys::NeitherJwksNorPem),
            },
            KeySource::Hs256(secret) if secret.trim_ascii_start().starts_with(b"-----BEGIN") => {
                Err(BadKeys::SecretIsPem)
            }
            KeySource::Hs256(secret) => {
                Ok(vec![Self::checked(Alg::Hs256, None, DecodingKey::from_secret(&secret))?])
            }
        }
    }

    /// Whether a JWT of this algorithm and key id is to be tried with this key. Guests' JWTs
    /// always carry the id of their key.
    pub(super) fn fits(&self, alg: Alg, kid: Option<&str>) -> bool {
        self.alg == alg
            && match (self.kid.as_deref(), kid) {
                (Some(own), Some(asked)) => own == asked,
                (Some(_), None) => self.voucher == Voucher::Merchant,
                (None, _) => true,
            }
    }

    pub(super) fn signed(&self, message: &str, signature: &str) -> bool {
        let alg = self.alg.of_library();
        crypto::verify(signature, message.as_bytes(), &self.decoding, alg).unwrap_or(false)
    }

    pub(super) fn voucher(&self) -> Voucher {
        self.voucher
    }

    /// A key of the merchant's, if it is long enough and the library can work with it.
    fn checked(alg: Alg, kid: Option<String>, decoding: DecodingKey) -> Result<Self, BadKeys> {
        let strong = match alg {
            Alg::Hs256 => decoding.try_get_as_bytes().is_ok_and(|secret| secret.len() >= 32),
            Alg::EdDsa => decoding.try_get_as_bytes().is_ok_and(|key| key.len() == 32),
            Alg::Rs256 => rsa_bits(&decoding).is_some_and(|bits| (2041..=4096).contains(&bits)),
        };
        let none = "AA";
        if !strong || crypto::verify(none, b"", &decoding, alg.of_library()).is_err() {
            return Err(BadKeys::Weak);
        }
        Ok(Self { alg, kid, voucher: Voucher::Merchant, decoding })
    }
}

fn rsa_bits(key: &DecodingKey) -> Option<usize> {
    let AlgorithmParameters::RSA(key) = Jwk::from_decoding_key(key, None).ok()?.algorithm else {
        return None;
    };
    let modulus = URL_SAFE_NO_PAD.decode(key.n).ok()?;
    Some(modulus.iter().skip_while(|byte| **byte == 0).count() * 8)
}

fn from_jwks(json: &[u8]) -> Result<Vec<Key>, BadKeys> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|_| BadKeys::NeitherJwksNorPem)?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let Some(alg) = usable(jwk) else { continue };
        let decoding = DecodingKey::from_jwk(jwk).map_err(|_| BadKeys::Weak)?;
        keys.push(Key::checked(alg, jwk.common.key_id.clone(), decoding)?);
    }
    match keys.len() {
        0 => Err(BadKeys::NoneUsable),
        1..=Key::MOST => Ok(keys),
        _ => Err(BadKeys::TooMany),
    }
}

/// The algorithm that a JWK is for, if it is for signatures and one that is accepted. A set may
/// hold keys for other ends: they are passed over.
#[expect(clippy::wildcard_enum_match_arm, reason = "keys of any other kind are passed over")]
fn usable(jwk: &Jwk) -> Option<Alg> {
    use jsonwebtoken::jwk::EllipticCurve::Ed25519;
    let (alg, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Alg::Rs256, KeyAlgorithm::RS256),
        AlgorithmParameters::OctetKey(_) => (Alg::Hs256, KeyAlgorithm::HS256),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == Ed25519 => {
            (Alg::EdDsa, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|to| *to == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    (signs && common.key_algorithm.is_none_or(|named| named == name)).then_some(alg)
}

fn from_pem(pem: &[u8]) -> Result<Key, BadKeys> {
    let text = std::str::from_utf8(pem).map_err(|_| BadKeys::NotOnePublicKey)?;
    let public = text.contains("-----BEGIN PUBLIC KEY-----")
        || text.contains("-----BEGIN RSA PUBLIC KEY-----");
    if !public || text.matches("-----BEGIN ").count() != 1 {
        return Err(BadKeys::NotOnePublicKey);
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Key::checked(Alg::EdDsa, None, key);
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(|_| BadKeys::NotOnePublicKey)?;
    Key::checked(Alg::Rs256, None, key)
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::File(_) => "File(..)",
            Self::Hs256(_) => "Hs256(..)",
        })
    }
}
