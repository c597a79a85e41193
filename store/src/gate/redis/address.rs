//! Where a Redis is.

use std::fmt;

use url::Url;

/// What an address looks like.
const RULE: &str = "must be redis://[user:password@]host[:port][/database][?prefix=dibs], or \
                    rediss:// for TLS; the prefix is 1 to 64 of a-z, A-Z, 0-9, '-', '_', '.', ':'";

/// The address of a Redis, and how the keys in it begin.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    prefix: String,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database][?prefix=dibs]`, or `rediss://` for
    /// TLS. The error says what is allowed, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| RULE.to_owned())
    }

    fn read(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        let prefix = prefix_of(&url)?;
        let database = url.path().strip_prefix('/').unwrap_or_default();
        let valid = ["redis", "rediss"].contains(&url.scheme())
            && url.host_str().is_some_and(|host| !host.is_empty())
            && (database.is_empty() || database.parse::<u16>().is_ok())
            && (url.username().is_empty() || url.password().is_some())
            && url.fragment().is_none();
        url.set_query(None);
        valid.then_some(Self { url, prefix })
    }

    /// As the client reads it.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "rediss"
    }

    /// How every key begins.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

fn prefix_of(url: &Url) -> Option<String> {
    let mut query = url.query_pairs();
    let prefix = match (query.next(), query.next()) {
        (None, _) => "dibs".to_owned(),
        (Some((name, value)), None) if name == "prefix" => value.into_owned(),
        (Some(_), _) => return None,
    };
    // A brace would move the hash tag of the keys.
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    ((1..=64).contains(&prefix.len()) && prefix.bytes().all(valid)).then_some(prefix)
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, prefix } = self;
        write!(f, "{}://", url.scheme())?;
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{}?prefix={prefix}", url.path().trim_end_matches('/'))
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
    fn an_address_names_host_database_and_prefix_and_shows_no_secret() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1?prefix=dibs"),
            ("redis://h:6390/3?prefix=shop:a", "redis://h:6390/3?prefix=shop:a"),
            ("rediss://dibs:s3cret@h:1/", "rediss://h:1?prefix=dibs"),
            ("redis://:s3cret@[::1]:1", "redis://[::1]:1?prefix=dibs"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "",
            "localhost:6379",
            "http://h",
            "redis://",
            "redis://s3cret@h",
            "redis://h/name",
            "redis://h/-1",
            "redis://h?prefix=",
            "redis://h?prefix=a{b}",
            "redis://h?prefix=a&prefix=b",
            "redis://h?s3cret=1",
            "rediss://h/#insecure",
        ] {
            let refused = Address::parse(text).unwrap_err();
            assert!(refused.starts_with("must be redis://"), "{text}");
            assert!(!refused.contains("s3cret"), "{text}");
        }
    }
}
