//! The log in Pulsar: `orders` is partitioned and shared by the workers, `outcomes` is heard whole by everybody.

mod address;

use std::path::Path;
use std::sync::Arc;

use sale::id::InstallId;
use sale::order::Batch;
use sale::outcome::Outcome;

use super::{Delivery, FeedEvent, LogError};
use crate::open::OpenError;
pub use address::Address;

/// The log in Pulsar. Clones share its connections.
#[derive(Clone)]
pub struct PulsarLog(Arc<Inner>);

struct Inner {}

/// Receives orders.
pub struct PulsarOrders {}

/// Receives outcomes.
pub struct PulsarFeed {}

/// What acknowledges a message.
#[derive(Debug)]
pub(super) struct Handle {}

impl PulsarLog {
    /// Connects, and refuses a namespace without the topics that [`migrate`] makes. `admin` is
    /// the address of the broker's admin API, `ca` a PEM file with further root certificates.
    pub async fn open(
        address: &Address,
        admin: &url::Url,
        ca: Option<&Path>,
        install: InstallId,
    ) -> Result<Self, OpenError> {
        let _ = (address, admin, ca, install);
        Err(OpenError::Refused("not built yet".to_owned()))
    }

    pub(super) async fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        let _ = batch;
        todo!()
    }

    pub(super) async fn publish_outcomes(&self, outcomes: Vec<Outcome>) -> Result<(), LogError> {
        let _ = outcomes;
        todo!()
    }

    pub(super) async fn orders(&self) -> Result<PulsarOrders, LogError> {
        todo!()
    }

    pub(super) async fn outcomes(&self) -> Result<PulsarFeed, LogError> {
        todo!()
    }

    pub(super) async fn probe(&self) -> Result<(), LogError> {
        todo!()
    }

    pub(super) async fn close(&self) {
        let Inner {} = &*self.0;
    }
}

/// Makes the topics, subscriptions and policies that are missing; what is there stays.
pub async fn migrate(
    address: &Address,
    admin: &url::Url,
    ca: Option<&Path>,
    install: InstallId,
) -> Result<(), OpenError> {
    let _ = (address, admin, ca, install);
    Err(OpenError::Refused("not built yet".to_owned()))
}

impl PulsarOrders {
    pub(super) async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        let _ = most;
        todo!()
    }

    pub(super) async fn ack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        let _ = deliveries;
        todo!()
    }

    pub(super) async fn nack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        let _ = deliveries;
        todo!()
    }
}

impl PulsarFeed {
    pub(super) async fn next(&mut self) -> Result<FeedEvent, LogError> {
        todo!()
    }
}
