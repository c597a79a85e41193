//! A Redis with two replicas under three Sentinels, which belongs to one test.

use super::engine::Place;
use super::server::Server;
use super::waiting::{says, until};

/// The name that the Sentinels know it by.
const SERVICE: &str = "shop";

/// In the beginning the first of `servers` is master.
pub(crate) struct Watched {
    pub(crate) servers: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
    scheme: &'static str,
}

impl Watched {
    /// Starts one in which a replica takes over after a second.
    pub(crate) async fn start() -> Self {
        Self::start_as(None).await
    }

    /// Starts one that speaks TLS, if there are settings for it.
    pub(crate) async fn start_as(tls: Option<&[String]>) -> Self {
        let master = Server::start_as("", &["--repl-diskless-sync-delay", "0"], tls);
        let port = master.port().to_string();
        let replica = || Server::start_as("", &["--replicaof", "127.0.0.1", &port], tls);
        let servers = vec![master, replica(), replica()];
        let config = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {SERVICE} 1000\n\
             sentinel failover-timeout {SERVICE} 5000\n"
        );
        let sentinel = || Server::start_as(&config, &["--sentinel"], tls);
        let scheme = if tls.is_some() { "rediss" } else { "redis" };
        let watched = Self { servers, sentinels: (0..3).map(|_| sentinel()).collect(), scheme };
        until(|| says(&watched.servers[0], &["INFO"], "connected_slaves:2\r")).await;
        for replica in &watched.servers[1..] {
            until(|| says(replica, &["INFO"], "master_link_status:up\r")).await;
        }
        for sentinel in &watched.sentinels {
            until(|| says(sentinel, &["INFO"], "status=ok")).await;
            until(|| says(sentinel, &["INFO"], "slaves=2,sentinels=3")).await;
        }
        watched
    }

    pub(crate) fn url(&self) -> String {
        self.url_of(self.sentinels.iter().map(Server::port))
    }

    /// Its address, with Sentinels at these ports.
    pub(crate) fn url_of(&self, ports: impl IntoIterator<Item = u16>) -> String {
        let sentinels: Vec<_> = ports.into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("{}-sentinel://{}/{SERVICE}", self.scheme, sentinels.join(","))
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(&self.url())
    }

    /// Which of the servers all Sentinels name, once it is another than this one.
    pub(crate) async fn successor_of(&self, fallen: usize) -> usize {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        let old = self.servers[fallen].port();
        for sentinel in &self.sentinels {
            until(|| async { sentinel.ask::<(String, u16)>(&ask).await.1 != old }).await;
        }
        let (_, port): (String, u16) = self.sentinels[0].ask(&ask).await;
        self.servers.iter().position(|server| server.port() == port).unwrap()
    }
}
