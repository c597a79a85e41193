//! Where a Redis is.

use std::fmt;

use url::{Url, form_urlencoded};

/// What an address looks like.
const RULE: &str = "must be redis://[user:password@]host[:port][/database][?prefix=dibs]; or \
                    redis-cluster://[user:password@]host[:port][,host[:port]...][?prefix=dibs]; or \
                    redis-sentinel://[user:password@]host[:port][,host[:port]...]/service\
                    [/database][?prefix=dibs], which names the Sentinels, with \
                    &sentinel-user=...&sentinel-password=... if they want their own; for TLS \
                    rediss://, rediss-cluster://, rediss-sentinel://; the prefix is 1 to 64 of \
                    a-z, A-Z, 0-9, '-', '_', '.', ':'";

/// Servers that an address may name. More than that is a mistake.
const MOST: usize = 64;

/// The address of a Redis, and how the keys in it begin.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    setup: Setup,
    prefix: String,
}

/// How the Redis is set up. Every URL is one that the client reads.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Setup {
    /// One server.
    Alone(Url),
    /// Some nodes of a Redis Cluster.
    Cluster(Nodes),
    /// Sentinels that know where the master is.
    Sentinels {
        sentinels: Nodes,
        service: String,
        /// The master's address, but for host and port, which the Sentinels tell.
        master: Url,
    },
}

/// At least one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Nodes {
    pub(super) first: Url,
    pub(super) others: Vec<Url>,
}

impl Nodes {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Address {
    /// Reads one of the forms of which the error tells, which repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| RULE.to_owned())
    }

    fn read(text: &str) -> Option<Self> {
        let Parts { scheme, user, hosts, path, query } = Parts::of(text)?;
        let mut options = Options::read(query)?;
        let (client, setup) = match scheme.split_once('-') {
            None => (scheme, None),
            Some((client, setup)) => (client, Some(setup)),
        };
        if !["redis", "rediss"].contains(&client) {
            return None;
        }
        let setup = match setup {
            None => Setup::Alone(server(client, user, hosts, path)?),
            Some("cluster") if path.is_empty() => {
                Setup::Cluster(servers(hosts, |host| server(client, user, host, ""))?)
            }
            Some("sentinel") => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                let own = options.sentinel.take();
                let sentinel = |host: &str| with_login(server(client, "", host, "")?, own.as_ref());
                let sentinels = servers(hosts, sentinel)?;
                let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
                let valid = !service.is_empty() && service.bytes().all(named);
                valid.then_some(())?;
                // The host stands for the one that the Sentinels tell.
                let master = server(client, user, "master", database)?;
                Setup::Sentinels { sentinels, service: service.to_owned(), master }
            }
            Some(_) => return None,
        };
        options.sentinel.is_none().then_some(Self { setup, prefix: options.prefix })
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// How every key begins.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// An address taken apart: the URL of several hosts is one that no URL parser takes.
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let plain = !text.contains('#') && !query.contains('?');
        plain.then_some(Self { scheme, user, hosts, path, query })
    }
}

/// What may stand after the question mark.
struct Options {
    prefix: String,
    sentinel: Option<Login>,
}

struct Login {
    user: String,
    password: String,
}

impl Options {
    fn read(query: &str) -> Option<Self> {
        let (mut prefix, mut user, mut password) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let option = match &*name {
                "prefix" => &mut prefix,
                "sentinel-user" => &mut user,
                "sentinel-password" => &mut password,
                _ => return None,
            };
            if option.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        let prefix = prefix.unwrap_or_else(|| "dibs".to_owned());
        // A brace would move the hash tag of the keys.
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let sentinel = match (user, password) {
            (None, None) => None,
            (user, Some(password)) => Some(Login { user: user.unwrap_or_default(), password }),
            (Some(_), None) => return None,
        };
        let valid = (1..=64).contains(&prefix.len()) && prefix.bytes().all(valid);
        valid.then_some(Self { prefix, sentinel })
    }
}

fn servers(hosts: &str, server: impl Fn(&str) -> Option<Url>) -> Option<Nodes> {
    let mut nodes = hosts.split(',').map(server);
    let first = nodes.next()??;
    let others = nodes.collect::<Option<Vec<_>>>()?;
    (others.len() < MOST).then_some(Nodes { first, others })
}

fn server(scheme: &str, user: &str, host: &str, database: &str) -> Option<Url> {
    let at = if user.is_empty() { "" } else { "@" };
    let url = Url::parse(&format!("{scheme}://{user}{at}{host}/{database}")).ok()?;
    let valid = url.host_str().is_some_and(|host| !host.is_empty() && !host.contains(','))
        && (database.is_empty() || database.parse::<u16>().is_ok())
        && (url.username().is_empty() || url.password().is_some());
    valid.then_some(url)
}

fn with_login(mut url: Url, login: Option<&Login>) -> Option<Url> {
    if let Some(Login { user, password }) = login {
        url.set_username(user).ok()?;
        url.set_password(Some(password)).ok()?;
    }
    Some(url)
}

/// Host and port, without user and password.
fn show(server: &Url) -> String {
    let host = server.host_str().unwrap_or_default();
    server.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Without users and passwords.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |nodes: &Nodes| nodes.iter().map(show).collect::<Vec<_>>().join(",");
        let database = |url: &Url| url.path().trim_end_matches('/').to_owned();
        match &self.setup {
            Setup::Alone(url) => write!(f, "{}://{}{}", url.scheme(), show(url), database(url))?,
            Setup::Cluster(nodes) => {
                write!(f, "{}-cluster://{}", nodes.first.scheme(), all(nodes))?;
            }
            Setup::Sentinels { sentinels, service, master } => {
                let (scheme, hosts) = (master.scheme(), all(sentinels));
                write!(f, "{scheme}-sentinel://{hosts}/{service}{}", database(master))?;
            }
        }
        write!(f, "?prefix={}", self.prefix)
    }
}

/// Without users and passwords.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::Node;
    use super::*;

    #[test]
    fn an_address_names_servers_database_and_prefix_and_shows_no_secret() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1?prefix=dibs"),
            ("redis://h:6390/3?prefix=shop:a", "redis://h:6390/3?prefix=shop:a"),
            ("rediss://dibs:s3cret@h:1/", "rediss://h:1?prefix=dibs"),
            ("redis://:s3cret@[::1]:1", "redis://[::1]:1?prefix=dibs"),
            ("redis-cluster://h", "redis-cluster://h?prefix=dibs"),
            ("redis-cluster://:s3cret@h:1,[::1]:2,g/", "redis-cluster://h:1,[::1]:2,g?prefix=dibs"),
            ("rediss-cluster://a:s3cret@h:1?prefix=b", "rediss-cluster://h:1?prefix=b"),
            ("redis-sentinel://h:1,g:2/shop", "redis-sentinel://h:1,g:2/shop?prefix=dibs"),
            ("rediss-sentinel://:s3cret@h/shop/3", "rediss-sentinel://h/shop/3?prefix=dibs"),
            (
                "redis-sentinel://h/shop?sentinel-user=s3cret&sentinel-password=s3cret&prefix=a",
                "redis-sentinel://h/shop?prefix=a",
            ),
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
            "redis://h,g",
            "redis://h/name",
            "redis://h/-1",
            "redis://h/1/2",
            "redis://h?prefix=",
            "redis://h?prefix=a{b}",
            "redis://h?prefix=a&prefix=b",
            "redis://h?s3cret=1",
            "redis://h?sentinel-password=s3cret",
            "rediss://h/#insecure",
            "redis-cluster://",
            "redis-cluster://h,",
            "redis-cluster://h:1,,g:2",
            "redis-cluster://s3cret@h",
            "redis-cluster://h/3",
            "redis-cluster://h:99999",
            "redis-cluster://h?sentinel-password=s3cret",
            "redis-sentinel://h",
            "redis-sentinel://h/",
            "redis-sentinel://h/a b",
            "redis-sentinel://h/shop/s3cret",
            "redis-sentinel://h/shop?sentinel-user=s3cret",
            "redis-other://h",
            "rediss+cluster://h",
        ] {
            let refused = Address::parse(text).unwrap_err();
            assert!(refused.starts_with("must be redis://"), "{text}");
            assert!(!refused.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn sentinels_get_their_own_login_and_the_master_its_own() {
        let text = "rediss-sentinel://ada:m%40ster@h:1,g/shop/2?sentinel-password=w%40tch";
        let address = Address::parse(text).unwrap();
        let Setup::Sentinels { sentinels, service, master } = address.setup() else {
            panic!("{address}")
        };
        let urls: Vec<_> = sentinels.iter().map(Url::as_str).collect();
        assert_eq!(urls, ["rediss://:w%40tch@h:1/", "rediss://:w%40tch@g/"]);
        assert_eq!(service, "shop");
        let told = Node { host: "::1".to_owned(), port: 7000 };
        assert_eq!(told.url(master).unwrap().as_str(), "rediss://ada:m%40ster@[::1]:7000/2");
    }
}
