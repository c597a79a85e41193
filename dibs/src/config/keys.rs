//! Who may do what: the admin's key, the secret behind tokens, the keys of buyers' JWTs.

use edge::buyer::{BuyerKeys, KeySource};
use edge::secrets::{AdminKey, Secrets};

use super::parse;
use super::setting::section;

section! {
    /// Keys and secrets. None of them is ever printed.
    Keys in "Keys" {
        /// The key of the admin API, at least 16 characters. Unset, one is made at the first
        /// start and kept in the data folder (`admin-key`), where there is one.
        admin_key: Option<AdminKeyText> = Secret(""), "TEXT", parse::optional(AdminKeyText::new);
        /// Seals tickets' tokens and guests' JWTs: text of at least 32 bytes. Several are
        /// separated by commas: the first seals, all are read. Unset, one is made at the first
        /// start and kept in the data folder (`secret`), where gate, log and ledger are local;
        /// otherwise it must be set, the same for every role.
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

/// The text of the admin's key.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKeyText(String);

impl AdminKeyText {
    /// Checks the text: hard to guess, and it has to fit into a header.
    pub fn new(text: &str) -> Result<Self, String> {
        match AdminKey::new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(rule) => Err(rule.to_string()),
        }
    }

    /// The key to compare with.
    pub fn key(&self) -> AdminKey {
        AdminKey::new(&self.0).expect("the constructor has checked it")
    }

    /// The text, to be sent, never to be shown.
    pub fn reveal(&self) -> &str {
        &self.0
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
    Secrets::parse(text).map_err(|error| error.to_string())
}

fn jwt_keys(text: &str) -> Result<KeySource, String> {
    let rule =
        "must be the path of a JWKS or PEM file, or hs256: and a secret of at least 32 bytes";
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
