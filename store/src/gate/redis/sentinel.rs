//! Sentinels, who know where the master is.
//!
//! The client's own is not used: it asks one Sentinel after the other with time limits longer
//! than a call, and believes the first.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{ErrorKind, RedisError, cmd};
use url::Url;

use super::address::Nodes;
use super::fault::Fault;
use super::info::Part;
use super::node::Node;
use super::wire::{Connection, End, Server, Wire, too_slow};

/// How long a Sentinel may take to be reached and to answer. It leaves time to connect to the
/// master within one call.
const ASK: Duration = Duration::from_millis(500);

/// Sentinels, and the service that they watch.
pub(super) struct Sentinels {
    wires: Vec<Wire>,
    service: String,
    /// The master's URL, but for host and port.
    master: Url,
    ca: Option<Vec<u8>>,
}

impl Sentinels {
    pub(super) fn new(
        sentinels: &Nodes,
        service: &str,
        master: &Url,
        ca: Option<&[u8]>,
    ) -> Result<Self, Fault> {
        let wire = |url| Server::new(url, ca, Part::Sentinel).map(|to| Wire::new(End::Server(to)));
        Ok(Self {
            wires: sentinels.iter().map(wire).collect::<Result<_, Fault>>()?,
            service: service.to_owned(),
            master: master.clone(),
            ca: ca.map(<[u8]>::to_vec),
        })
    }

    /// Connects to the master. A Redis that the Sentinels name and that is none is not used: they
    /// name the old one until a failover is over.
    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        let mut failed = None;
        for node in self.named().await? {
            let Some(url) = node.url(&self.master) else { continue };
            match Server::new(&url, self.ca.as_deref(), Part::Master)?.connect().await {
                Ok(mut connection) => {
                    // In the Sentinels' words, with which it is compared.
                    connection.to = node;
                    return Ok(connection);
                }
                Err(fault) => failed = Some(fault),
            }
        }
        Err(failed.unwrap_or_else(|| Fault::Unfit(self.unknown())))
    }

    /// The masters that the Sentinels name, first the one that most of them do. All are asked at
    /// once, so that those that are away cost no more than one time limit.
    pub(super) async fn named(&self) -> Result<Vec<Node>, Fault> {
        let mut named = Vec::<(Node, usize)>::new();
        let mut failed = None;
        for answer in join_all(self.wires.iter().map(|wire| self.ask(wire))).await {
            match answer {
                Ok(None) => {}
                Ok(Some((host, port))) => {
                    let node = Node { host, port };
                    match named.iter_mut().find(|(each, _)| *each == node) {
                        Some((_, by)) => *by += 1,
                        None => named.push((node, 1)),
                    }
                }
                Err(fault) => failed = Some(fault),
            }
        }
        match failed {
            Some(fault) if named.is_empty() => return Err(unheard(fault)),
            Some(_) => {}
            None if named.is_empty() => return Err(Fault::Unfit(self.unknown())),
            None => {}
        }
        named.sort_by_key(|(_, by)| std::cmp::Reverse(*by));
        Ok(named.into_iter().map(|(node, _)| node).collect())
    }

    async fn ask(&self, sentinel: &Wire) -> Result<Option<(String, u16)>, Fault> {
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer = tokio::time::timeout(ASK, sentinel.query(&ask)).await;
        answer.unwrap_or_else(|_| Err(Fault::NotSent(too_slow())))
    }

    fn unknown(&self) -> String {
        let service = &self.service;
        format!("the Sentinels watch no service {service}: correct the name after the slash")
    }
}

/// What it means when no Sentinel could be asked.
fn unheard(fault: Fault) -> Fault {
    match fault {
        Fault::NotSent(error) | Fault::Sent(error) if is_login(&error) => Fault::Unfit(format!(
            "the Sentinels refuse this user and password, which are not those of Redis: correct \
             sentinel-user and sentinel-password in the gate's address ({error})"
        )),
        // To ask changes nothing.
        Fault::Sent(error) => Fault::NotSent(error),
        fault @ (Fault::NotSent(_)
        | Fault::Unfit(_)
        | Fault::NotYet(_)
        | Fault::Unreadable(_)
        | Fault::InDoubt(_)) => fault,
    }
}

fn is_login(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
        || error.kind() == ErrorKind::AuthenticationFailed
}
