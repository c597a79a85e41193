//! Whether this process does its work: each part tries its real path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::Api;
use push::Push;
use serde::Serialize;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// The roles of this process.
pub(crate) struct Roles {
    pub(crate) api: Api,
    pub(crate) push: Push,
    pub(crate) worker: Worker,
}

/// Latches between the start, when nothing is ready, and the drain, when nothing is any more.
#[derive(Default)]
pub(crate) struct Readiness {
    roles: RwLock<Option<Roles>>,
    draining: CancellationToken,
    /// Every part has done its work once.
    proven: AtomicBool,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    phase: Phase,
    parts: BTreeMap<&'static str, Part>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Starting,
    Serving,
    Draining,
}

#[derive(Debug, Serialize)]
struct Part {
    state: State,
    detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It does not work, and the process can answer buyers without it.
    Degraded,
    Failed,
}

/// How long one part may take to tell.
const ANSWER: Duration = Duration::from_secs(2);

impl Readiness {
    /// The roles have started.
    pub(crate) async fn serve(&self, roles: Roles) {
        *self.roles.write().await = Some(roles);
    }

    /// Not ready from now on.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Has the push role say goodbye to those who are connected.
    pub(crate) async fn say_goodbye(&self) {
        if let Some(roles) = &*self.roles.read().await {
            roles.push.drain().await;
        }
    }

    /// Takes the roles, to be ended.
    pub(crate) async fn take(&self) -> Option<Roles> {
        self.roles.write().await.take()
    }

    /// Asks every part.
    pub(crate) async fn report(&self) -> Report {
        self.draining.run_until_cancelled(self.ask()).await.unwrap_or(Report {
            ready: false,
            phase: Phase::Draining,
            parts: BTreeMap::new(),
        })
    }

    async fn ask(&self) -> Report {
        let roles = self.roles.read().await;
        let Some(roles) = &*roles else {
            return Report { ready: false, phase: Phase::Starting, parts: BTreeMap::new() };
        };
        let (api, push, worker) = tokio::join!(
            in_time(async { roles.api.ready() }),
            in_time(roles.push.ready()),
            in_time(roles.worker.ready()),
        );
        let answers_buyers = api.is_ok() && push.is_ok();
        if answers_buyers && worker.is_ok() {
            self.proven.store(true, Ordering::Relaxed);
        }
        // Claims are granted and tickets are read without the worker: the orders wait for it.
        let proven = self.proven.load(Ordering::Relaxed);
        let ready = answers_buyers && proven;
        let without_worker = if ready { State::Degraded } else { State::Failed };
        Report {
            ready,
            phase: if proven { Phase::Serving } else { Phase::Starting },
            parts: BTreeMap::from([
                ("api", Part::of(api, State::Failed)),
                ("push", Part::of(push, State::Failed)),
                ("worker", Part::of(worker, without_worker)),
            ]),
        }
    }
}

async fn in_time(answer: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::time::timeout(ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs())))
}

impl Part {
    fn of(answer: Result<(), String>, otherwise: State) -> Self {
        match answer {
            Ok(()) => Self { state: State::Ok, detail: None },
            Err(detail) => Self { state: otherwise, detail: Some(detail) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(readiness: &Readiness) -> serde_json::Value {
        serde_json::to_value(readiness.report().await).unwrap()
    }

    #[tokio::test]
    async fn before_the_roles_have_started_and_once_it_drains_nothing_is_ready() {
        let readiness = Readiness::default();
        let starting = serde_json::json!({ "ready": false, "phase": "starting", "parts": {} });
        assert_eq!(answered(&readiness).await, starting);
        readiness.drain();
        let draining = serde_json::json!({ "ready": false, "phase": "draining", "parts": {} });
        assert_eq!(answered(&readiness).await, draining);
    }
}
