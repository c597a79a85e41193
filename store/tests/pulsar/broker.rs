//! A namespace of its own for each test, in the Pulsar that `./test` brings.

use std::time::Duration;

use serde_json::Value;
use store::log::Log;
use store::log::pulsar::{Address, PulsarLog, migrate};
use url::Url;

use crate::contract::{INSTALL, within};

/// A namespace that is deleted when the test is over.
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) admin: Url,
}

#[expect(clippy::disallowed_methods, reason = "tests read their engines' addresses themselves")]
pub(crate) fn engine(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names the Pulsar to test with"))
}

impl Namespace {
    /// A name that nobody uses, with nothing there.
    pub(crate) fn missing() -> Self {
        let name = format!("public/test-{:016x}", rand::random::<u64>());
        let address = format!("{}/{name}", engine("TEST_PULSAR_URL"));
        Self {
            name,
            address: Address::parse(&address).unwrap(),
            admin: Url::parse(&engine("TEST_PULSAR_ADMIN_URL")).unwrap(),
        }
    }

    pub(crate) async fn migrated() -> Self {
        let namespace = Self::missing();
        migrate(&namespace.address, &namespace.admin, None, INSTALL).await.unwrap();
        namespace
    }

    pub(crate) async fn open(&self) -> Log {
        Log::Pulsar(PulsarLog::open(&self.address, &self.admin, None, INSTALL).await.unwrap())
    }

    /// The broker's address alone.
    pub(crate) fn service(&self) -> String {
        engine("TEST_PULSAR_URL")
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("persistent://{}/{name}", self.name)
    }

    /// Calls the admin API with this namespace's part of a path.
    pub(crate) async fn call(&self, method: &str, kind: &str, rest: &str) -> (u16, String) {
        let request = request(&self.admin, method, &format!("{kind}/{}{rest}", self.name));
        tokio::task::spawn_blocking(move || send(request)).await.unwrap()
    }

    /// Moves a topic away from under its clients: the broker closes their producers and
    /// consumers, as it does when it stops or hands the topic to another broker.
    pub(crate) async fn unload(&self, topic: &str) {
        let (status, body) = self.call("PUT", "persistent", &format!("/{topic}/unload")).await;
        assert_eq!(status, 204, "{body}");
    }

    /// Waits until `reached` holds for the statistics of the subscription of the workers.
    pub(crate) async fn until(&self, reached: impl Fn(&Value) -> bool) {
        within(async {
            loop {
                let path = "/orders/partitioned-stats?perPartition=false";
                let (status, body) = self.call("GET", "persistent", path).await;
                assert_eq!(status, 200, "{body}");
                let stats: Value = serde_json::from_str(&body).unwrap();
                if reached(&stats["subscriptions"]["workers"]) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Waits until the broker has every acknowledgement: nothing is left that could come again.
    pub(crate) async fn until_all_is_acknowledged(&self) {
        self.until(|workers| workers["msgBacklog"] == 0).await;
    }
}

fn request(admin: &Url, method: &str, path: &str) -> ureq::http::Request<()> {
    let address = admin.join(&format!("/admin/v2/{path}")).unwrap();
    ureq::http::Request::builder().method(method).uri(address.as_str()).body(()).unwrap()
}

fn send(request: ureq::http::Request<()>) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let config = config.timeout_global(Some(Duration::from_secs(30)));
    let mut response = config.build().new_agent().run(request).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// With everything in it. A test that failed has said so already, so this says nothing.
impl Drop for Namespace {
    fn drop(&mut self) {
        for path in [
            format!("persistent/{}/orders/partitions?force=true", self.name),
            format!("persistent/{}/outcomes?force=true", self.name),
            format!("namespaces/{}", self.name),
        ] {
            send(request(&self.admin, "DELETE", &path));
        }
    }
}
