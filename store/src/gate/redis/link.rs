//! The way to a Redis, however it is set up.

use redis::{Cmd, FromRedisValue, Pipeline, Value};

use super::address::{Address, Setup};
use super::cluster::{Cluster, Work};
use super::fault::{self, Fault};
use super::info::Part;
use super::sentinel::Sentinels;
use super::wire::{End, Server, Wire};

/// Connections to a Redis, which are made anew when they are lost. Calls share them.
pub(super) struct Link {
    address: Address,
    ca: Option<Vec<u8>>,
    way: Way,
}

enum Way {
    One(Wire),
    Cluster(Cluster),
}

impl Link {
    /// Connects. The certificate may be signed by a root of `ca` or by a usual one.
    pub(super) async fn open(address: &Address, ca: Option<Vec<u8>>) -> Result<Self, Fault> {
        let trusts_more = ca.is_some();
        let tried = Self::connect(address, ca).await;
        // The client trusts either the one or the other.
        if trusts_more
            && let Err(Fault::NotSent(error)) = &tried
            && fault::is_certificate(error)
        {
            return Self::connect(address, None).await.or(tried);
        }
        tried
    }

    async fn connect(address: &Address, ca: Option<Vec<u8>>) -> Result<Self, Fault> {
        let trusted = ca.as_deref();
        let way = match address.setup() {
            Setup::Alone(url) => {
                Way::One(Wire::new(End::Server(Server::new(url, trusted, Part::Alone)?)))
            }
            Setup::Sentinels { sentinels, service, master } => {
                let sentinels = Sentinels::new(sentinels, service, master, trusted)?;
                Way::One(Wire::new(End::Master(sentinels)))
            }
            Setup::Cluster(nodes) => Way::Cluster(Cluster::new(nodes, trusted)),
        };
        match &way {
            Way::One(wire) => wire.connect().await?,
            Way::Cluster(cluster) => cluster.connect().await?,
        }
        Ok(Self { address: address.clone(), ca, way })
    }

    /// A second way to the same Redis.
    pub(super) async fn another(&self) -> Result<Self, Fault> {
        Self::connect(&self.address, self.ca.clone()).await
    }

    /// Sees that this is the way that calls should take.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        match &self.way {
            Way::One(wire) => wire.check().await,
            Way::Cluster(cluster) => cluster.check().await,
        }
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        match &self.way {
            Way::One(wire) => wire.query(command).await,
            Way::Cluster(cluster) => {
                let answer = cluster.send(Work::Command(command)).await?;
                T::from_redis_value(answer).map_err(|error| Fault::Sent(error.into()))
            }
        }
    }

    /// Sends several commands at once. All are on one key, and none does more when it is
    /// repeated: where a cluster is moving the key, some may be.
    pub(super) async fn pipeline(&self, commands: &Pipeline) -> Result<(), Fault> {
        match &self.way {
            Way::One(wire) => wire.pipeline::<Value>(commands).await.map(drop),
            Way::Cluster(cluster) => cluster.send(Work::Pipeline(commands)).await.map(drop),
        }
    }
}
