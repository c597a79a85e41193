//! The namespace of an install: what the migration makes of it, and what opening asks of it.

use std::time::Duration;

use sale::id::InstallId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Address;
use super::admin::{Admin, Answer};
use super::partition::{UNACKED, WORKERS};
use crate::log::PARTITIONS_MOST;
use crate::open::OpenError;

/// The topic of orders.
pub(super) const ORDERS: &str = "orders";

/// The topic of outcomes.
pub(super) const OUTCOMES: &str = "outcomes";

/// Partitions of a topic of orders that is made; of one that stands, whatever it has.
const PARTITIONS: u32 = 4;

/// The property of the topic of orders that names the install. It is given with the topic in one
/// call, so of two installs that come at once one is refused.
const INSTALL: &str = "dibs-install";

/// What may wait in each topic or partition before the broker refuses more. Orders then stay in
/// the outbox, which has a bound of its own.
const BACKLOG_BYTES: u64 = 1 << 30;

/// Tries of a call that met another migration, and the time between two of them.
const TRIES: u32 = 8;
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A namespace, seen through the admin API.
pub(super) struct Namespace<'a> {
    admin: &'a Admin,
    name: &'a str,
    install: InstallId,
}

#[derive(Deserialize)]
struct Partitioned {
    partitions: u32,
    #[serde(default)]
    properties: Option<std::collections::HashMap<String, String>>,
}

impl<'a> Namespace<'a> {
    pub(super) fn new(admin: &'a Admin, address: &'a Address, install: InstallId) -> Self {
        Self { admin, name: address.namespace(), install }
    }

    /// Makes what is missing, and sets the policies.
    pub(super) async fn migrate(&self) -> Result<(), OpenError> {
        let path = format!("namespaces/{}", self.name);
        let made = self.make(|| self.admin.put(&path, json!({}))).await?;
        if made.status == 404 {
            let tenant = self.name.split('/').next().unwrap_or_default();
            return Err(OpenError::Refused(format!(
                "Pulsar at {} has no tenant {tenant}: create it, or name another in the log's \
                 address",
                self.admin
            )));
        }
        self.must(&path, made)?;

        let topic = json!({
            "partitions": PARTITIONS,
            "properties": { INSTALL: self.install.to_string() },
        });
        let path = self.topic(ORDERS, "/partitions");
        let kind = "application/vnd.partitioned-topic-metadata+json";
        let made = self.make(|| self.admin.put_as(&path, kind, topic.clone())).await?;
        self.must(&path, made)?;
        // Before anything else is touched: it may be another install's.
        self.seen(|| self.partitions()).await?;

        for (policy, value) in policies() {
            let path = format!("namespaces/{}/{policy}", self.name);
            let set = self.make(|| self.admin.post(&path, value.clone())).await?;
            self.must(&path, set)?;
        }
        let path = self.topic(OUTCOMES, "");
        let made = self.make(|| self.admin.put(&path, json!({}))).await?;
        self.must(&path, made)?;

        // From the first message that is there.
        let earliest = json!({ "ledgerId": -1, "entryId": -1, "partitionIndex": -1 });
        let path = self.topic(ORDERS, &format!("/subscription/{WORKERS}"));
        let made = self.make(|| self.admin.put(&path, earliest.clone())).await?;
        self.must(&path, made)?;
        self.seen(|| self.check()).await.map(drop)
    }

    /// Looks again for a while: what another migration is making is not seen at once.
    async fn seen<T>(&self, look: impl AsyncFn() -> Result<T, OpenError>) -> Result<T, OpenError> {
        for _ in 1..TRIES {
            if let Ok(seen) = look().await {
                return Ok(seen);
            }
            give_way().await;
        }
        look().await
    }

    /// Refuses a namespace that is not as the migration leaves it; answers the number of
    /// partitions.
    pub(super) async fn check(&self) -> Result<u8, OpenError> {
        let partitions = self.partitions().await?;
        if self.partitioned(OUTCOMES).await?.partitions != 0 {
            return Err(self.refused("its topic outcomes is partitioned; delete that topic, and"));
        }
        let path = self.topic(ORDERS, "/subscriptions");
        let answer = self.admin.get(&path).await?;
        let subscriptions: Vec<String> = self.read(&path, answer)?;
        if !subscriptions.iter().any(|name| name == WORKERS) {
            return Err(self.refused("its topic orders lacks the subscription workers;"));
        }
        Ok(partitions)
    }

    /// The partitions of the topic of orders, if it is this install's.
    async fn partitions(&self) -> Result<u8, OpenError> {
        let orders = self.partitioned(ORDERS).await?;
        let Some(partitions) =
            u8::try_from(orders.partitions).ok().filter(|count| *count <= PARTITIONS_MOST)
        else {
            return Err(
                self.refused("its topic orders has more than 63 partitions; delete it, and")
            );
        };
        let properties = orders.properties.unwrap_or_default();
        match properties.get(INSTALL).map(|install| *install == self.install.to_string()) {
            Some(true) if partitions > 0 => Ok(partitions),
            Some(true) | None => {
                Err(self.refused("its topic orders was not made by Dibs; delete it, and"))
            }
            Some(false) => Err(OpenError::Refused(format!(
                "the namespace {} of Pulsar belongs to another install of Dibs (another ledger): \
                 name one of its own in the log's address",
                self.name
            ))),
        }
    }

    async fn partitioned(&self, topic: &str) -> Result<Partitioned, OpenError> {
        // Asking must not create the topic where brokers do so by themselves.
        let path = self.topic(topic, "/partitions?checkAllowAutoCreation=false");
        let answer = self.admin.get(&path).await?;
        if answer.status == 404 && answer.reason().starts_with("Namespace") {
            return Err(self.refused("it does not exist;"));
        }
        if answer.status == 404 {
            return Err(self.refused(&format!("it has no topic {topic};")));
        }
        self.read(&path, answer)
    }

    /// Repeats a call while another migration is writing the same.
    async fn make<F: Future<Output = Result<Answer, OpenError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<Answer, OpenError> {
        let mut answer = call().await?;
        for _ in 1..TRIES {
            if !answer.is_passing() {
                break;
            }
            give_way().await;
            answer = call().await?;
        }
        Ok(answer)
    }

    /// That something is there already is as good as having made it.
    fn must(&self, path: &str, answer: Answer) -> Result<(), OpenError> {
        if answer.is_done() || answer.is_there() { Ok(()) } else { Err(self.odd(path, &answer)) }
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        answer: Answer,
    ) -> Result<T, OpenError> {
        if !answer.is_done() {
            return Err(self.odd(path, &answer));
        }
        serde_json::from_str(&answer.body).map_err(|_| self.odd(path, &answer))
    }

    fn odd(&self, path: &str, answer: &Answer) -> OpenError {
        let line = format!(
            "the admin API of Pulsar at {} answered {path} with {}",
            self.admin,
            answer.summary()
        );
        if answer.is_passing() { OpenError::Unreachable(line) } else { OpenError::Refused(line) }
    }

    fn refused(&self, why: &str) -> OpenError {
        OpenError::Refused(format!(
            "the namespace {} of Pulsar cannot be used: {why} run `dibs migrate`",
            self.name
        ))
    }

    fn topic(&self, topic: &str, rest: &str) -> String {
        format!("persistent/{}/{topic}{rest}", self.name)
    }
}

/// Waits for another migration to get on.
async fn give_way() {
    sleep(AGAIN_AFTER.mul_f64(rand::random_range(0.5..2.0))).await;
}

/// The policies of the namespace, which is Dibs's own: each is set, whatever the broker's
/// defaults are.
fn policies() -> [(&'static str, Value); 8] {
    [
        // Orders stay until they are acknowledged, however long that takes.
        ("messageTTL", json!(0)),
        ("subscriptionExpirationTime", json!(0)),
        // What is acknowledged, and outcomes, which no subscription keeps, may go.
        ("retention", json!({ "retentionTimeInMinutes": 0, "retentionSizeInMB": 0 })),
        // At its bound the topic refuses; it must not drop the oldest orders.
        (
            "backlogQuota?backlogQuotaType=destination_storage",
            json!({ "limitSize": BACKLOG_BYTES, "policy": "producer_exception" }),
        ),
        (
            "inactiveTopicPolicies",
            json!({
                "inactiveTopicDeleteMode": "delete_when_no_subscriptions",
                "maxInactiveDurationSeconds": 60,
                "deleteWhileInactive": false,
            }),
        ),
        // A topic that somebody deleted must not come back without its subscription and install.
        ("autoTopicCreation", json!({ "allowAutoTopicCreation": false })),
        // Producers count from 0 again after each start, and the ledger knows doubles anyway.
        ("deduplication", json!(false)),
        ("maxUnackedMessagesPerConsumer", json!(UNACKED)),
    ]
}
