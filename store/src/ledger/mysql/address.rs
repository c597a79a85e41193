//! Where a MySQL or MariaDB is.

use std::fmt;

use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

/// The address of a database in a MySQL or MariaDB:
/// `mysql://user[:password]@host[:port]/database[?ssl-mode=…]`.
///
/// `ssl-mode` is one of [`Address::SSL_MODES`]. Without it the connection is encrypted where the
/// server offers it, and the server's certificate is not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
}

const RULE: &str = "must be mysql://user[:password]@host[:port]/database[?ssl-mode=…]";

/// Characters of a database's name: those that every server takes without more ado.
const LONGEST_DATABASE: usize = 64;

impl Address {
    /// What `ssl-mode` may say. The last two verify the certificate, and the host's name in it.
    pub const SSL_MODES: [&str; 5] =
        ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"];

    /// Reads it from its text; the error says what is allowed, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{RULE}; {error}"))?;
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        if url.scheme() != "mysql" || !named || url.username().is_empty() {
            return Err(RULE.to_owned());
        }
        let database = url.path().trim_start_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(1..=LONGEST_DATABASE).contains(&database.len()) || !database.bytes().all(plain) {
            return Err(format!(
                "{RULE}; a database is named by 1 to {LONGEST_DATABASE} letters, digits, - and _"
            ));
        }
        for (key, value) in url.query_pairs() {
            if key != "ssl-mode" || !Self::SSL_MODES.contains(&&*value) {
                let modes = Self::SSL_MODES.join(", ");
                return Err(format!("{RULE}; the only parameter is ssl-mode, one of {modes}"));
            }
        }
        if url.fragment().is_some() || MySqlConnectOptions::from_url(&url).is_err() {
            return Err(format!("{RULE}; percent-encode what is special in user and password"));
        }
        Ok(Self { url })
    }

    /// The database's name.
    pub(super) fn database(&self) -> &str {
        self.url.path().trim_start_matches('/')
    }

    /// How to connect to it.
    pub(super) fn options(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::from_url(&self.url).expect("parse has read it before")
    }

    /// How to connect to the server, whether the database is there or not.
    pub(super) fn options_of_server(&self) -> MySqlConnectOptions {
        let mut url = self.url.clone();
        url.set_path("");
        MySqlConnectOptions::from_url(&url).expect("parse has read all but the path")
    }

    /// Whether the server's certificate is verified.
    pub(super) fn verifies(&self) -> bool {
        match self.options().get_ssl_mode() {
            MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity => true,
            MySqlSslMode::Disabled | MySqlSslMode::Preferred | MySqlSslMode::Required => false,
        }
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_username("").expect("a URL with a host takes a user");
        url.set_password(None).expect("a URL with a host takes a password");
        url.fmt(f)
    }
}

/// Without user and password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_neither_user_nor_password() {
        let address = Address::parse("mysql://ada:s%40cret@db.example:3307/shop").unwrap();
        assert_eq!(address.to_string(), "mysql://db.example:3307/shop");
        assert_eq!(format!("{address:?}"), "mysql://db.example:3307/shop");
        assert_eq!(address.database(), "shop");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_allowed_and_without_its_text() {
        for text in [
            "",
            "sekret",
            "mysql:sekret",
            "redis://u:sekret@h/d",
            "mysql://h/sekret",
            "mysql://:sekret@h/d",
            "mysql://u:sekret@h",
            "mysql://u:sekret@h/",
            "mysql://u:sekret@h/a/b",
            "mysql://u:sekret@h/a%60b",
            "mysql://u:sekret@h/d?ssl-mode=sekret",
            "mysql://u:sekret@h/d?ssl-mode=required",
            "mysql://u:sekret@h/d?ssl-ca=sekret",
            "mysql://u:sekret@h/d#sekret",
            "mysql://u:sekret%ff@h/d",
        ] {
            let why = Address::parse(text).unwrap_err();
            assert!(why.contains("mysql://user") && !why.contains("sekret"), "{text}: {why}");
        }
    }

    #[test]
    fn every_mode_of_encryption_is_read() {
        for mode in Address::SSL_MODES {
            let address = Address::parse(&format!("mysql://u@h/d?ssl-mode={mode}")).unwrap();
            assert_eq!(address.verifies(), mode.starts_with("VERIFY"), "{mode}");
        }
    }
}
