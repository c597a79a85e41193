//! The log in Pulsar: `orders` is partitioned and shared by the workers, `outcomes` is heard
//! whole by everybody.

mod address;
mod admin;
mod client;
mod feed;
mod namespace;
mod orders;
mod partition;
mod publisher;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use sale::fence::Fence;
use sale::id::InstallId;
use sale::order::Batch;
use sale::outcome::Outcome;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::LogError;
use crate::open::OpenError;
use admin::Admin;
use client::{Client, connect, in_time, late};
use namespace::{Namespace, ORDERS, OUTCOMES};
use publisher::Publisher;

pub use address::Address;
pub use feed::PulsarFeed;
pub(super) use orders::Handle;
pub use orders::PulsarOrders;

/// To ask whether everything works.
const PROBE: Duration = Duration::from_secs(5);

/// To hand over what is in flight and to take leave.
const CLOSE: Duration = Duration::from_secs(10);

/// The log in Pulsar. Clones share its connections.
#[derive(Clone)]
pub struct PulsarLog(Arc<Inner>);

struct Inner {
    install: InstallId,
    orders: Publisher,
    outcomes: Publisher,
    /// Apart from the one that publishes: a receipt that comes too late takes the connection
    /// with it.
    consuming: Client,
    /// The partitions of the topic of orders, and how many they are.
    partitions: Vec<String>,
    count: u8,
    topic_of_outcomes: String,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl PulsarLog {
    /// Connects, and refuses a namespace without the topics that [`migrate`] makes. `admin` is
    /// the address of the broker's admin API, `ca` a PEM file with further root certificates.
    pub async fn open(
        address: &Address,
        admin: &Url,
        ca: Option<&Path>,
        install: InstallId,
    ) -> Result<Self, OpenError> {
        // First, because it says what is wrong: a token that the broker refuses is to the client
        // just a connection that fails.
        let admin = Admin::new(admin, address, ca)?;
        let count = Namespace::new(&admin, address, install).check().await?;
        let tasks = TaskTracker::new();
        let client = || in_time(&tasks, connect(address.clone(), ca.map(Path::to_owned)));
        let (publishing, consuming) = tokio::try_join!(client(), client()).map_err(|error| {
            OpenError::Unreachable(format!("Pulsar at {address} cannot be used: {error}"))
        })?;
        let orders = address.topic(ORDERS);
        let partitions: Vec<_> =
            (0..count).map(|index| format!("{orders}-partition-{index}")).collect();
        let topic_of_outcomes = address.topic(OUTCOMES);
        let publisher =
            |topics: &[String]| Publisher::new(publishing.clone(), tasks.clone(), topics);
        Ok(Self(Arc::new(Inner {
            install,
            orders: publisher(&partitions),
            outcomes: publisher(std::slice::from_ref(&topic_of_outcomes)),
            consuming,
            partitions,
            count,
            topic_of_outcomes,
            tasks,
            ending: CancellationToken::new(),
        })))
    }

    pub(super) async fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        self.going_on()?;
        self.0.orders.publish(batch.to_json().into_bytes()).await
    }

    pub(super) fn partitions(&self) -> u8 {
        self.0.count
    }

    pub(super) async fn publish_fences(&self, fence: impl Fn(u8) -> Fence) -> Result<(), LogError> {
        self.going_on()?;
        let publish = |partition: u8| {
            let text = fence(partition).to_json().into_bytes();
            self.0.orders.publish_to(partition.into(), text)
        };
        try_join_all((0..self.0.count).map(publish)).await.map(drop)
    }

    pub(super) async fn publish_outcomes(&self, outcomes: Vec<Outcome>) -> Result<(), LogError> {
        self.going_on()?;
        let text =
            serde_json::to_vec(&outcomes).expect("an outcome has text keys and plain values only");
        self.0.outcomes.publish(text).await
    }

    pub(super) async fn orders(&self) -> Result<PulsarOrders, LogError> {
        self.going_on()?;
        let Inner { consuming, partitions, install, tasks, ending, .. } = &*self.0;
        PulsarOrders::open(consuming, partitions, *install, tasks, ending).await
    }

    pub(super) async fn outcomes(&self) -> Result<PulsarFeed, LogError> {
        self.going_on()?;
        PulsarFeed::open(&self.0.consuming, &self.0.topic_of_outcomes, &self.0.tasks).await
    }

    /// Whether both topics can be published to, over connections that answer.
    pub(super) async fn probe(&self) -> Result<(), LogError> {
        self.going_on()?;
        let both = async { tokio::try_join!(self.0.orders.probe(), self.0.outcomes.probe()) };
        match timeout(PROBE, both).await {
            Ok(answered) => answered.map(drop),
            Err(_) => Err(late()),
        }
    }

    /// Whatever is in flight gets its receipt first, and what was acknowledged is said.
    pub(super) async fn close(&self) {
        self.0.ending.cancel();
        self.0.tasks.close();
        let end = async {
            self.0.tasks.wait().await;
            tokio::join!(self.0.orders.close(), self.0.outcomes.close());
        };
        if timeout(CLOSE, end).await.is_err() {
            tracing::warn!("the log was left before the broker had answered everything");
        }
    }

    fn going_on(&self) -> Result<(), LogError> {
        if self.0.ending.is_cancelled() {
            return Err(LogError::Unavailable("it has ended".to_owned()));
        }
        Ok(())
    }
}

/// Makes the topics, the subscription and the policies of a namespace, which is then this
/// install's. What is there stays; any number may do it at once.
pub async fn migrate(
    address: &Address,
    admin: &Url,
    ca: Option<&Path>,
    install: InstallId,
) -> Result<(), OpenError> {
    let admin = Admin::new(admin, address, ca)?;
    Namespace::new(&admin, address, install).migrate().await
}
