//! A Redis Cluster that belongs to one test: three masters, each with a replica.

use super::engine::Place;
use super::server::Server;
use super::waiting::{says, until};

/// Slots of a cluster.
const SLOTS: usize = 16_384;

/// Its nodes. In the beginning the first three are masters, and each has the replica that stands
/// three places on.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
    scheme: &'static str,
}

impl Cluster {
    /// Starts one whose replicas take over after a second.
    pub(crate) async fn start() -> Self {
        Self::start_as(None).await
    }

    /// Starts one that speaks TLS, if there are settings for it.
    pub(crate) async fn start_as(tls: Option<&[String]>) -> Self {
        let settings = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-replica-validity-factor",
            "0",
            "--cluster-allow-replica-migration",
            "no",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let cluster = Self {
            nodes: (0..6).map(|_| Server::start_as("", &settings, tls)).collect(),
            scheme: if tls.is_some() { "rediss" } else { "redis" },
        };
        let nodes = &cluster.nodes;
        for (n, node) in nodes[..3].iter().enumerate() {
            let (first, last) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])
                .await;
        }
        for node in &nodes[1..] {
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port().to_string()]).await;
        }
        for node in nodes {
            until(|| says(node, &["CLUSTER", "INFO"], "cluster_known_nodes:6\r")).await;
        }
        for n in 0..3 {
            let master: String = nodes[n].ask(&["CLUSTER", "MYID"]).await;
            until(|| says(&nodes[n + 3], &["CLUSTER", "NODES"], &master)).await;
            nodes[n + 3].command(&["CLUSTER", "REPLICATE", &master]).await;
        }
        for (n, node) in nodes.iter().enumerate() {
            until(|| says(node, &["CLUSTER", "INFO"], "cluster_state:ok\r")).await;
            until(|| says(node, &["CLUSTER", "INFO"], "cluster_slots_ok:16384\r")).await;
            let link = if n < 3 { "connected_slaves:1\r" } else { "master_link_status:up\r" };
            until(|| says(node, &["INFO"], link)).await;
        }
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("{}-cluster://{}", self.scheme, nodes.join(","))
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(&self.url())
    }

    /// Which of the first three has this key.
    pub(crate) async fn master_of(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]).await;
        (0..3).find(|n| slot < (n + 1) * SLOTS / 3).unwrap()
    }
}
