//! Receives orders, and says what is done.

use futures_util::future::try_join_all;
use pulsar::message::proto::MessageIdData;
use sale::id::InstallId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Client, in_time};
use super::partition::{COMMANDS, Command, Partition, UNACKED, subscribe};
use crate::log::{self, Delivery, LogError};

/// Receives orders. Dropping it closes its consumers in the background, after what was
/// acknowledged before; the broker then delivers the rest to others.
pub struct PulsarOrders {
    deliveries: mpsc::Receiver<Delivery>,
    partitions: Vec<mpsc::Sender<Command>>,
}

/// What acknowledges a message. It outlives its consumer: the subscription knows the message by
/// its id, whoever received it.
#[derive(Debug)]
pub(in crate::log) struct Handle {
    pub(super) partition: usize,
    pub(super) message: MessageIdData,
}

impl PulsarOrders {
    /// A consumer for each of the topics, which are the partitions of one.
    pub(super) async fn open(
        client: &Client,
        topics: &[String],
        install: InstallId,
        tasks: &TaskTracker,
        ending: &CancellationToken,
    ) -> Result<Self, LogError> {
        let subscribed =
            topics.iter().map(|topic| in_time(tasks, subscribe(client.clone(), topic.clone())));
        let consumers = try_join_all(subscribed).await?;
        // Room for whatever is unacknowledged, twice: it comes again when a consumer was set up
        // again.
        let (sender, deliveries) = mpsc::channel(2 * topics.len() * UNACKED as usize);
        let mut partitions = Vec::with_capacity(topics.len());
        for (index, (topic, consumer)) in topics.iter().zip(consumers).enumerate() {
            let (commands, obeyed) = mpsc::channel(COMMANDS);
            let partition = Partition {
                index,
                topic: topic.clone(),
                install,
                client: client.clone(),
                tasks: tasks.clone(),
                ending: ending.clone(),
                deliveries: sender.clone(),
                commands: obeyed,
                given_back: Default::default(),
            };
            tasks.spawn(partition.run(consumer));
            partitions.push(commands);
        }
        Ok(Self { deliveries, partitions })
    }

    pub(in crate::log) async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        let ended = || LogError::Unavailable("it has ended".to_owned());
        let first = self.deliveries.recv().await.ok_or_else(ended)?;
        let mut orders = first.size();
        let mut deliveries = vec![first];
        while orders < most
            && let Ok(delivery) = self.deliveries.try_recv()
        {
            orders += delivery.size();
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    /// Acknowledgements are not answered. One that is lost, here or on its way, means that the
    /// message comes again.
    pub(in crate::log) fn ack(&self, deliveries: Vec<Delivery>) {
        self.command(deliveries, Command::Ack);
    }

    pub(in crate::log) fn nack(&self, deliveries: Vec<Delivery>) {
        self.command(deliveries, Command::GiveBack);
    }

    fn command(&self, deliveries: Vec<Delivery>, command: impl Fn(MessageIdData) -> Command) {
        for delivery in deliveries {
            // What another log delivered is not known here.
            if let log::Handle::Pulsar(Handle { partition, message }) = delivery.handle
                && let Some(partition) = self.partitions.get(partition)
            {
                let _ = partition.try_send(command(message));
            }
        }
    }
}
