//! Where a MySQL or MariaDB is.

use std::fmt;

use url::Url;

/// The address of a MySQL or MariaDB: mysql://user[:password]@host[:port]/database.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
}

impl Address {
    /// Reads it from its text; the error says what is allowed, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| {
            format!("must be mysql://user[:password]@host[:port]/database; {error}")
        })?;
        if !["mysql"].contains(&url.scheme()) {
            return Err("must be mysql://user[:password]@host[:port]/database".to_owned());
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
