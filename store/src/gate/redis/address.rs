//! Where a Redis is.

use std::fmt;

use url::Url;

/// The address of a Redis: redis://[user:password@]host[:port][/database][?prefix=dibs], or rediss:// for TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
}

impl Address {
    /// Reads it from its text; the error says what is allowed, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("must be redis://[user:password@]host[:port][/database][?prefix=dibs], or rediss:// for TLS; {error}"))?;
        if !["redis", "rediss"].contains(&url.scheme()) {
            return Err("must be redis://[user:password@]host[:port][/database][?prefix=dibs], or rediss:// for TLS".to_owned());
        }
        Ok(Self { url })
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.fmt(f)
    }
}

/// Without user and password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
