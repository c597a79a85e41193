//! Sentinels, who know where the master is.
//!
//! The client's own is not used: it asks one Sentinel after the other with time limits longer
//! than a call, and believes the first.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::{join_all, select_ok};
use redis::{ErrorKind, RedisError, cmd};
use url::Url;

use super::address::Nodes;
use super::fault::Fault;
use super::info::Part;
use super::node::Node;
use super::wire::{Connection, End, Server, Wire};

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
        let masters = self.named().await?.into_iter().map(|node| Box::pin(self.reach(node)));
        select_ok(masters).await.map(|(connection, _)| connection)
    }

    async fn reach(&self, node: Node) -> Result<Connection, Fault> {
        let url = node.url(&self.master).ok_or_else(|| {
            Fault::Unfit(format!("the Sentinels name a master that has no usable name: {node:?}"))
        })?;
        let server = Server::new(&url, self.ca.as_deref(), Part::Master)?;
        let mut connection = server.connect().await?;
        // In the Sentinels' words, with which it is compared.
        connection.to = node;
        Ok(connection)
    }

    /// The master that most of the Sentinels name that answer; several, if as many name another,
    /// and never none. Whom fewer name is not it: a Sentinel that is cut off names the old one,
    /// whose writes will be lost. All are asked at once, so that those that are away cost no
    /// more than one time limit.
    pub(super) async fn named(&self) -> Result<Vec<Node>, Fault> {
        let mut named = HashMap::<Node, usize>::new();
        let mut failed = None;
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let asked = self.wires.iter().map(|wire| wire.ask::<Option<_>>(&ask, ASK));
        for answer in join_all(asked).await {
            match answer {
                Ok(None) => {}
                Ok(Some((host, port))) => *named.entry(Node { host, port }).or_default() += 1,
                Err(fault) => failed = Some(fault),
            }
        }
        let Some(most) = named.values().max().copied() else {
            return Err(failed.map_or_else(|| Fault::Unfit(self.unknown()), unheard));
        };
        Ok(named.into_iter().filter(|(_, by)| *by == most).map(|(node, _)| node).collect())
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
