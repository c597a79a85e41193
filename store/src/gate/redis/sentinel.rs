//! Sentinels, who know where the master is.
//!
//! The client's own is not used: it asks one Sentinel after the other with time limits longer
//! than a call, and believes the first.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{Client, ErrorKind, ProtocolVersion, RedisError, cmd};
use url::Url;

use super::address::Nodes;
use super::fault::Fault;
use super::info::Part;
use super::node::Node;
use super::wire::{Connection, Server, client, too_slow};

/// How long a Sentinel may take to be reached and to answer. It leaves time to connect to the
/// master within one call.
const ASK: Duration = Duration::from_millis(500);

/// Sentinels, and the service that they watch.
pub(super) struct Sentinels {
    clients: Vec<Client>,
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
        // A Sentinel sends nothing unasked on such a connection, so that the older protocol does.
        let clients = sentinels.iter().map(|url| client(url, ca, ProtocolVersion::RESP2));
        Ok(Self {
            clients: clients.collect::<Result<_, _>>().map_err(Fault::NotSent)?,
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
                Ok(connection) => return Ok(connection),
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
        for answer in join_all(self.clients.iter().map(|client| self.ask(client))).await {
            match answer {
                Ok(None) => {}
                Ok(Some((host, port))) => {
                    let node = Node { host, port };
                    match named.iter_mut().find(|(each, _)| *each == node) {
                        Some((_, by)) => *by += 1,
                        None => named.push((node, 1)),
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if named.is_empty() => return Err(unheard(error)),
            Some(_) => {}
            None if named.is_empty() => return Err(Fault::Unfit(self.unknown())),
            None => {}
        }
        named.sort_by_key(|(_, by)| std::cmp::Reverse(*by));
        Ok(named.into_iter().map(|(node, _)| node).collect())
    }

    async fn ask(&self, client: &Client) -> Result<Option<(String, u16)>, RedisError> {
        let answer = async {
            let mut sentinel = client.get_multiplexed_async_connection().await?;
            let mut ask = cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
            ask.query_async(&mut sentinel).await
        };
        tokio::time::timeout(ASK, answer).await.unwrap_or_else(|_| Err(too_slow()))
    }

    fn unknown(&self) -> String {
        let service = &self.service;
        format!("the Sentinels watch no service {service}: correct the name after the slash")
    }
}

fn unheard(error: RedisError) -> Fault {
    match error.code() {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Fault::Unfit(refused(&error)),
        Some("ERR") => Fault::Unfit(format!(
            "these servers are no Sentinels: name them by redis-sentinel:// only if they are \
             ({error})"
        )),
        None if error.kind() == ErrorKind::AuthenticationFailed => Fault::Unfit(refused(&error)),
        Some(_) | None => Fault::NotSent(error),
    }
}

fn refused(error: &RedisError) -> String {
    format!(
        "the Sentinels refuse this user and password, which are not those of Redis: correct \
         sentinel-user and sentinel-password in the gate's address ({error})"
    )
}
