//! The topic of orders, as somebody else sees it who may read and write there.

use futures_util::StreamExt as _;
use pulsar::consumer::InitialPosition;
use pulsar::producer::Message;
use pulsar::{Consumer, ConsumerOptions, Producer, Pulsar, SubType, TokioExecutor};
use serde_json::Value;
use url::Url;

use crate::harness::eventually;
use crate::install::Install;

/// Marks the messages that were published here.
const COPY: &str = "copy";

/// Reads every message from the first on, and publishes messages.
pub(crate) struct Topic {
    consumer: Consumer<Vec<u8>, TokioExecutor>,
    producers: Vec<Producer<TokioExecutor>>,
    published: usize,
}

impl Topic {
    pub(crate) async fn of(install: &Install) -> Self {
        let topic = topic(install);
        let url = Url::parse(install.address("log")).unwrap();
        let service = format!("pulsar://{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let client = Pulsar::builder(service, TokioExecutor).build().await.unwrap();
        let partitions = client.lookup_partitioned_topic(format!("persistent://{topic}")).await;
        let partitions: Vec<_> = partitions.unwrap().into_iter().map(|(name, _)| name).collect();
        let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
        let consumer = client
            .consumer()
            .with_topics(&partitions)
            .with_subscription("stranger")
            .with_subscription_type(SubType::Exclusive)
            .with_options(options)
            .build()
            .await
            .unwrap();
        let mut producers = Vec::new();
        for partition in partitions {
            producers.push(client.producer().with_topic(partition).build().await.unwrap());
        }
        Self { consumer, producers, published: 0 }
    }

    /// The next message that was not published here.
    pub(crate) async fn next(&mut self) -> Vec<u8> {
        loop {
            let message = self.consumer.next().await.unwrap().unwrap();
            self.consumer.ack(&message).await.unwrap();
            let copies = |property: &pulsar::proto::KeyValue| property.key == COPY;
            if !message.payload.metadata.properties.iter().any(copies) {
                return message.payload.data;
            }
        }
    }

    /// Publishes a message in the next partition.
    pub(crate) async fn publish(&mut self, payload: Vec<u8>) {
        let partition = self.published % self.producers.len();
        self.published += 1;
        let properties = [(COPY.to_owned(), String::new())].into();
        let message = Message { payload, properties, ..Message::default() };
        let receipt = self.producers[partition].send_non_blocking(message).await.unwrap();
        receipt.await.unwrap();
    }
}

/// Waits until the workers have acknowledged every message.
pub(crate) async fn until_acknowledged(install: &Install) {
    let address = format!(
        "{}/admin/v2/persistent/{}/partitioned-stats?perPartition=false",
        install.address("log_admin"),
        topic(install)
    );
    eventually("every message is acknowledged", async || {
        let stats: Value = reqwest::get(&address).await.unwrap().json().await.unwrap();
        (stats["subscriptions"]["workers"]["msgBacklog"] == 0).then_some(())
    })
    .await;
}

/// Such as `public/namespace/orders`.
fn topic(install: &Install) -> String {
    let url = Url::parse(install.address("log")).unwrap();
    format!("{}/orders", url.path().trim_matches('/'))
}
