//! Where a Pulsar is.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

const FORM: &str = "must be pulsar://[:token@]host[:port][/tenant/namespace], or pulsar+ssl:// \
                    for TLS, with one host";

/// The address of a Pulsar, and the namespace in it: pulsar://[:token@]host[:port][/tenant/namespace],
/// or pulsar+ssl:// for TLS. Without a namespace it is public/dibs.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    service: String,
    namespace: String,
    token: Option<String>,
}

impl Address {
    /// Reads it from its text; the error says what is allowed, and repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{FORM}; {error}"))?;
        let port = match url.scheme() {
            "pulsar" => 6650,
            "pulsar+ssl" => 6651,
            _ => return Err(FORM.to_owned()),
        };
        // The client takes one host alone; a list of them would be looked up as one name.
        let host = url.host_str().filter(|host| !host.is_empty() && !host.contains(','));
        let host = host.ok_or(FORM)?;
        if !url.username().is_empty() {
            return Err(format!("{FORM}; Pulsar knows a token and no user"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(FORM.to_owned());
        }
        let token = url.password().map(|token| percent_decode_str(token).decode_utf8());
        let token = token.transpose().map_err(|_| "must hold a token of UTF-8")?;
        Ok(Self {
            service: format!("{}://{host}:{}", url.scheme(), url.port().unwrap_or(port)),
            namespace: namespace(url.path())?,
            token: token.filter(|token| !token.is_empty()).map(|token| token.into_owned()),
        })
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Tenant and namespace, as they stand in every path.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn topic(&self, name: &str) -> String {
        format!("persistent://{}/{name}", self.namespace)
    }
}

fn namespace(path: &str) -> Result<String, String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok("public/dibs".to_owned());
    }
    let name = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-=:._".contains(&b);
        !part.is_empty() && !part.bytes().all(|b| b == b'.') && part.bytes().all(allowed)
    };
    match path.split_once('/') {
        Some((tenant, namespace)) if name(tenant) && name(namespace) => Ok(path.to_owned()),
        Some(_) | None => Err(format!("{FORM}; tenant and namespace are of a-z, 0-9 and -=:._")),
    }
}

/// Without the token.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.namespace)
    }
}

/// Without the token.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_defaults_for_port_and_namespace() {
        let address = Address::parse("pulsar://mq").unwrap();
        assert_eq!(address.to_string(), "pulsar://mq:6650/public/dibs");
        let address = Address::parse("pulsar+ssl://mq/").unwrap();
        assert_eq!(address.to_string(), "pulsar+ssl://mq:6651/public/dibs");
        let address = Address::parse("pulsar://10.0.0.7:16650/shop/flash-1").unwrap();
        assert_eq!(address.to_string(), "pulsar://10.0.0.7:16650/shop/flash-1");
        assert_eq!(address.topic("orders"), "persistent://shop/flash-1/orders");
    }

    #[test]
    fn a_token_is_read_and_never_shown() {
        let address = Address::parse("pulsar://:ey.J-h_c%3D@mq").unwrap();
        assert_eq!(address.token(), Some("ey.J-h_c="));
        assert!(!format!("{address} {address:?}").contains("ey."));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "redis://secret",
            "pulsar://",
            "pulsar:secret",
            "pulsar://secret:1,other:2",
            "pulsar://secret,other",
            "pulsar://user:secret@mq",
            "pulsar://mq/secret",
            "pulsar://mq/secret/",
            "pulsar://mq/a/b/secret",
            "pulsar://mq/a/../secret",
            "pulsar://mq/a/sec%20ret",
            "pulsar://mq?secret",
            "pulsar://:%ff@mq",
        ] {
            let refused = Address::parse(text).expect_err(text);
            assert!(refused.starts_with("must "), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
