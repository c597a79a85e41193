//! Secrets of this install, and the operator's key.

use std::fmt;

/// The texts of `DIBS_SECRET`, from which keys are derived: the first one seals, all verify.
#[derive(Clone)]
pub struct Secrets {
    sealing: Vec<u8>,
    retired: Vec<Vec<u8>>,
}

/// A text that holds no usable secrets. Tells which of them is wrong, never what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret {position} has {bytes} bytes, must have at least {} (secrets are separated by commas)",
    Secrets::SHORTEST
)]
pub struct BadSecrets {
    position: usize,
    bytes: usize,
}

impl Secrets {
    /// The least number of bytes of each secret.
    pub const SHORTEST: usize = 32;

    /// Reads one or more secrets, separated by commas; white space around each is no part of it.
    pub fn parse(text: &str) -> Result<Self, BadSecrets> {
        let mut secrets = text.split(',').map(str::trim).enumerate().map(|(at, secret)| {
            let bytes = secret.len();
            if bytes < Self::SHORTEST {
                return Err(BadSecrets { position: at + 1, bytes });
            }
            Ok(secret.as_bytes().to_vec())
        });
        let sealing = secrets.next().expect("a split text has at least one part")?;
        Ok(Self { sealing, retired: secrets.collect::<Result<_, _>>()? })
    }

    /// The secret that new keys are used from.
    pub fn sealing(&self) -> &[u8] {
        &self.sealing
    }

    /// The secrets whose work is still accepted.
    pub fn retired(&self) -> &[Vec<u8>] {
        &self.retired
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// The operator's key. Only its hash is kept.
#[derive(Clone)]
pub struct AdminKey(blake3::Hash);

/// A text that cannot be the operator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {} to {} visible ASCII characters", AdminKey::SHORTEST, AdminKey::LONGEST)]
pub struct BadAdminKey;

impl AdminKey {
    /// The least number of characters.
    pub const SHORTEST: usize = 16;
    /// The largest number of characters.
    pub const LONGEST: usize = 256;

    /// Checks the text: it must be hard to guess and fit into a header.
    pub fn new(text: &str) -> Result<Self, BadAdminKey> {
        let fits = (Self::SHORTEST..=Self::LONGEST).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(blake3::hash(text.as_bytes())))
        } else {
            Err(BadAdminKey)
        }
    }

    /// Whether this is the key. Takes as long for a near miss as for a far one.
    pub fn matches(&self, presented: &str) -> bool {
        // Equality of these hashes is constant-time by the library's promise.
        self.0 == blake3::hash(presented.as_bytes())
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "a secret of at least thirty-two bytes";
    const SECOND: &str = "another secret that is just as long as it";

    #[test]
    fn the_first_secret_seals_and_the_others_are_retired() {
        let secrets = Secrets::parse(&format!("{FIRST}, {SECOND}\n")).unwrap();
        assert_eq!(secrets.sealing(), FIRST.as_bytes());
        assert_eq!(secrets.retired(), [SECOND.as_bytes()]);
        assert!(Secrets::parse(FIRST).unwrap().retired().is_empty());
    }

    #[test]
    fn a_short_or_absent_secret_is_refused_without_showing_it() {
        for (text, position) in [("", 1), ("hunter2", 1), (&format!("{FIRST},hunter2") as &str, 2)]
        {
            let error = Secrets::parse(text).unwrap_err();
            assert_eq!(error.position, position);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(Secrets::parse(&format!("{FIRST},")).is_err());
    }

    #[test]
    fn secrets_and_keys_do_not_print() {
        let secrets = Secrets::parse(FIRST).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(..)");
        let key = AdminKey::new("an operator's-key".replace(' ', "-").as_str()).unwrap();
        assert_eq!(format!("{key:?}"), "AdminKey(..)");
    }

    #[test]
    fn only_the_very_operators_key_matches() {
        let key = AdminKey::new("0123456789abcdef").unwrap();
        assert!(key.matches("0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF"] {
            assert!(!key.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_easy_to_guess_or_fits_no_header_is_refused() {
        for bad in ["", "admin", "0123456789abcde", "0123456789 abcdef", &"x".repeat(257)] {
            assert_eq!(AdminKey::new(bad).unwrap_err(), BadAdminKey, "{bad}");
        }
    }
}
