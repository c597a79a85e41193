//! A server by its host and port.

use std::net::IpAddr;

use url::{Host, Url};

/// The port of a Redis whose address names none.
const PORT: u16 = 6379;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Node {
    /// The one that a URL leads to.
    pub(super) fn of(url: &Url) -> Self {
        let host = match url.host() {
            Some(Host::Ipv6(ip)) => ip.to_string(),
            Some(host @ (Host::Domain(_) | Host::Ipv4(_))) => host.to_string(),
            None => String::new(),
        };
        Self { host, port: url.port().unwrap_or(PORT) }
    }

    /// Reads `host:port`; an IPv6 address may stand without brackets, as Redis writes it.
    /// Without a host it is the one that said it.
    pub(super) fn read(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self::told(Some(host), port.parse().ok()?, said_by)
    }

    /// One of which another one told; without a host it is the other's.
    pub(super) fn told(host: Option<&str>, port: u16, said_by: &Self) -> Option<Self> {
        let host = match host {
            None | Some("") => &said_by.host,
            // Redis does not know it itself yet.
            Some("?") => return None,
            Some(host) => host,
        };
        Some(Self { host: host.to_owned(), port })
    }

    /// Its URL, all else being as in this one.
    pub(super) fn url(&self, like: &Url) -> Option<Url> {
        let mut url = like.clone();
        match self.host.parse::<IpAddr>() {
            Ok(ip) => url.set_ip_host(ip).ok()?,
            Err(_) => url.set_host(Some(&self.host)).ok()?,
        }
        url.set_port(Some(self.port)).ok()?;
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node { host: host.to_owned(), port }
    }

    #[test]
    fn what_a_node_says_of_another_leads_there() {
        let here = node("10.0.0.1", 7000);
        for (text, read) in [
            ("10.0.0.2:7001", Some(node("10.0.0.2", 7001))),
            ("redis.shop:7001", Some(node("redis.shop", 7001))),
            ("fd00::1:7001", Some(node("fd00::1", 7001))),
            ("[fd00::1]:7001", Some(node("fd00::1", 7001))),
            (":7001", Some(node("10.0.0.1", 7001))),
            ("?:7001", None),
            ("10.0.0.2", None),
            ("10.0.0.2:s", None),
        ] {
            assert_eq!(Node::read(text, &here), read, "{text}");
        }
    }

    #[test]
    fn a_url_leads_back_to_its_node() {
        let like = Url::parse("rediss://ada:s3cret@h/2").unwrap();
        for node in [node("10.0.0.2", 7001), node("fd00::1", 6379), node("redis.shop", 1)] {
            let url = node.url(&like).unwrap();
            assert_eq!(Node::of(&url), node);
            assert_eq!((url.password(), url.path()), (Some("s3cret"), "/2"));
        }
        assert_eq!(Node::of(&like), node("h", 6379));
    }
}
