//! Who may do what: the admin's key, the secret behind tokens, the keys of buyers' JWTs.

use edge::buyer::{BuyerKeys, KeySource};
use edge::secrets::Secrets;

use super::parse;
use super::setting::section;

section! {
    /// Keys and secrets. None of them is ever printed.
    Keys in "Keys" {
        /// The key of the admin API, at least 16 characters. Unset, one is made at the first
        /// start and kept in the data folder (`admin-key`).
        admin_key: Option<AdminKeyText> = Secret(""), "TEXT", parse::optional(AdminKeyText::new);
        /// Seals tickets' tokens and guests' JWTs: text of at least 32 bytes. Several are
        /// separated by commas: the first seals, all are read. Unset, one is made at the first
        /// start and kept in the data folder (`secret`).
        secret: Option<Secrets> = Secret(""), "TEXTS", parse::optional(secrets);
        /// The keys of the shop's own buyers' JWTs: the path of a JWKS or PEM file, or hs256:
        /// and a secret of at least 32 bytes.
        jwt_keys: KeySource = Secret(""), "FILE|hs256:TEXT", jwt_keys;
        /// The issuer (iss) that the shop's JWTs must have. Unset, any.
        jwt_issuer: Option<String> = Plain(""), "TEXT", parse::optional(parse::text);
        /// The audience (aud) that the shop's JWTs must have. Unset, any.
        jwt_audience: Option<String> = Plain(""), "TEXT", parse::optional(parse::text);
        /// Whether anybody may claim as a guest. Unset, guests are allowed where jwt_keys is
        /// unset.
        guests: Option<bool> = Plain(""), "true|false", parse::optional(parse::truth);
    }
}

/// The admin's key: visible ASCII, at least [`AdminKeyText::LEAST`] characters.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKeyText(String);

impl AdminKeyText {
    /// The fewest characters of a key.
    pub const LEAST: usize = 16;

    /// Checks the text; it has to fit into a header.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = text.len() >= Self::LEAST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(Self::rule()) }
    }

    /// The key, to be sent or compared, never to be shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn rule() -> String {
        format!("must be at least {} visible ASCII characters without spaces", Self::LEAST)
    }
}

impl Keys {
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let named = self.jwt_issuer.is_some() || self.jwt_audience.is_some();
        (named && matches!(self.jwt_keys, KeySource::None)).then_some(
            "jwt_issuer and jwt_audience are checked on the shop's JWTs only; set jwt_keys too",
        )
    }
}

fn secrets(text: &str) -> Result<Secrets, String> {
    Secrets::parse(text)
        .map_err(|_| "must be one or more texts of at least 32 bytes, separated by commas".into())
}

fn jwt_keys(text: &str) -> Result<KeySource, String> {
    let rule = "must be the path of a JWKS or PEM file, or hs256: and a secret of at least 32 bytes";
    if text.is_empty() {
        return Ok(KeySource::None);
    }
    let source = match text.strip_prefix("hs256:") {
        Some(secret) => KeySource::Hs256(secret.as_bytes().to_vec()),
        None => KeySource::File(
            std::fs::read(text).map_err(|error| format!("{rule}; reading the file: {error}"))?,
        ),
    };
    match BuyerKeys::new(source.clone(), None, None, None) {
        Ok(_) => Ok(source),
        Err(error) => Err(format!("{rule}; {error}")),
    }
}
