//! The roles of this process, at work.

use api::Api;
use axum::Router;
use edge::secrets::{AdminKey, Secrets};
use push::Push;
use store::Seams;
use worker::Worker;

use crate::config::Config;
use crate::keys::Keys;
use crate::roles::{Role, Roles};
use crate::running::Stops;
use crate::settings;

/// Those that were asked for.
pub(crate) struct Crew {
    pub(crate) api: Option<Api>,
    pub(crate) push: Option<Push>,
    pub(crate) worker: Option<Worker>,
}

impl Crew {
    /// Starts them. `admin` opens the admin API; it is there where the api is one of them.
    pub(crate) async fn start(
        roles: Roles,
        config: &Config,
        seams: &Seams,
        secrets: &Secrets,
        admin: Option<AdminKey>,
        stops: &Stops,
    ) -> anyhow::Result<Self> {
        let keys = Keys::new(config, seams.ledger.install(), secrets)?;
        let api = match admin {
            Some(admin) => {
                let (keys, settings) = (keys.api(admin), settings::api(config));
                Some(Api::start(seams.clone(), keys, settings, stops.api.clone()).await?)
            }
            None => None,
        };
        let push = roles
            .has(Role::Push)
            .then(|| Push::start(seams.clone(), keys.push(), settings::push(config), &stops.push));
        let worker = roles
            .has(Role::Worker)
            .then(|| Worker::start(seams.clone(), settings::worker(config), stops.worker.clone()));
        Ok(Self { api, push, worker })
    }

    /// What buyers may ask of them. The pages come with the api.
    pub(crate) fn router(&self) -> Router {
        let api = match &self.api {
            Some(api) => api.router().merge(web::router()),
            None => Router::new().fallback(edge::problem::no_such_path),
        };
        let all = match &self.push {
            Some(push) => api.merge(push.router()),
            None => api,
        };
        all.layer(axum::middleware::from_fn(edge::observe::track))
    }

    /// Has those who are connected told when to come back.
    pub(crate) async fn say_goodbye(&self) {
        if let Some(push) = &self.push {
            push.drain().await;
        }
    }

    /// Waits until their work in hand is finished, after their stops have fired.
    pub(crate) async fn end(self) {
        let api = async {
            if let Some(api) = self.api {
                api.end().await;
            }
        };
        let worker = async {
            if let Some(worker) = self.worker {
                worker.end().await;
            }
        };
        let push = async {
            if let Some(push) = self.push {
                push.end().await;
            }
        };
        tokio::join!(api, worker, push);
    }
}
