//! Where the tests find their Redis, and a place of one's own in it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use redis::aio::MultiplexedConnection;
use sale::id::InstallId;
use store::gate::redis::{self as engine, Address, RedisGate};
use store::gate::{Bounds, Gate};
use store::open::OpenError;

/// A setting of the tests that need an engine.
#[expect(clippy::disallowed_methods, reason = "tests learn the addresses of their engines here")]
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("this test needs {name}: ./test sets it"))
}

/// A prefix and an install of one's own in a Redis.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) install: InstallId,
    pub(crate) ca: Option<PathBuf>,
}

impl Place {
    pub(crate) fn new(url: &str) -> Self {
        let prefix = format!("dibs-test-{:032x}", rand::random::<u128>());
        Self { url: url.to_owned(), prefix, install: InstallId(rand::random()), ca: None }
    }

    pub(crate) async fn try_open(&self, bounds: Bounds) -> Result<Gate, OpenError> {
        let address = Address::parse(&format!("{}?prefix={}", self.url, self.prefix)).unwrap();
        engine::migrate(&address, self.ca.as_deref(), self.install).await?;
        let gate = RedisGate::open(&address, self.ca.as_deref(), self.install, bounds).await?;
        Ok(Gate::Redis(gate))
    }

    pub(crate) async fn open(&self, bounds: Bounds) -> Gate {
        self.try_open(bounds).await.unwrap()
    }

    /// Every key of this place.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.prefix);
        let mut redis = connection(&self.url).await;
        let (mut keys, mut cursor) = (BTreeSet::new(), 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(10_000);
            let (next, found): (_, Vec<String>) = scan.query_async(&mut redis).await.unwrap();
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                return keys.into_iter().collect();
            }
        }
    }

    /// Leaves nothing of it behind in a Redis that belongs to others too.
    pub(crate) async fn clear(self) {
        let mut redis = connection(&self.url).await;
        let keys = self.keys().await;
        redis::cmd("UNLINK").arg(keys).exec_async(&mut redis).await.unwrap();
    }
}

/// A connection beside those of the gate.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
