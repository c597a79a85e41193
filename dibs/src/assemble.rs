//! Puts the roles together in one process: data folder, engines, keys, roles, servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use api::Api;
use axum::Router;
use edge::buyer::BuyerKeys;
use edge::guest::GuestKeys;
use edge::origins::Origins;
use edge::secrets::{AdminKey, Secrets};
use edge::serve;
use push::Push;
use sale::token::TokenKeys;
use store::Seams;
use store::gate::Gate;
use store::gate::local::LocalGate;
use store::ledger::Ledger;
use store::ledger::sqlite::SqliteLedger;
use store::log::Log;
use store::log::local::LocalLog;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use worker::Worker;

use crate::config::Config;
use crate::config::engines::Engine;
use crate::data::{DataFolder, Kept};
use crate::demo::{self, Demo};
use crate::ops;
use crate::readiness::{Readiness, Roles};
use crate::running::{Running, Stops};
use crate::{settings, telemetry};

/// What a start found and made, for the person who started it.
#[derive(Debug, Clone)]
pub struct Started {
    /// Where buyers are answered.
    pub page: SocketAddr,
    /// Where health and metrics are answered.
    pub ops: SocketAddr,
    /// The demo sale, if there is one.
    pub demo: Option<Demo>,
    /// The data folder.
    pub data: PathBuf,
    /// Where the admin key is kept; `None` if the configuration has it.
    pub admin_key: Option<PathBuf>,
    /// Where the secret is kept; `None` if the configuration has it.
    pub secret: Option<PathBuf>,
}

/// Starts every role on the data folder. Answers once claims are taken; an error says what to
/// do about it, and leaves nothing running.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    let folder = DataFolder::open(&config.storage.data)?;
    let page = bind("listen", config.serving.listen).await?;
    let ops = bind("ops_listen", config.serving.ops_listen).await?;
    let counted = telemetry::metrics();
    let stops = Stops::default();
    let readiness = Arc::new(Readiness::default());
    let ended = TaskTracker::new();
    let ops_address = ops.local_addr()?;
    let router = ops::router(readiness.clone());
    ended.spawn(vital(&stops, serve::serve(ops, router, ops::limits(), stops.ops.clone())));

    ended.spawn(telemetry::upkeep(counted, stops.ops.clone()));
    let seams = open_engines(config, &folder).await?;
    let (secrets, secret) = secrets(config, &folder)?;
    let (admin, admin_key) = admin_key(config, &folder)?;
    let keys = Keys::new(config, &seams, &secrets, admin)?;
    let demo = demo::find_or_create(config, &seams).await?;
    let roles = start_roles(config, &seams, &keys, &stops).await?;

    let page_address = page.local_addr()?;
    let router = router_of(&roles);
    let limits = settings::connections(config);
    let served = TaskTracker::new();
    served.spawn(vital(&stops, serve::serve(page, router, limits, stops.accepting.clone())));
    readiness.serve(roles).await;
    let started = Started {
        page: page_address,
        ops: ops_address,
        demo,
        data: folder.path().to_owned(),
        admin_key,
        secret,
    };
    let drain_within = config.serving.drain_within;
    Ok(Running { started, stops, readiness, seams, served, ended, drain_within, folder })
}

/// Opens the ledger, which brings it up to date, and nothing else.
pub async fn migrate(config: &Config) -> anyhow::Result<PathBuf> {
    let folder = DataFolder::open(&config.storage.data)?;
    let ledger = open_ledger(config, &folder).await?;
    ledger.close().await;
    Ok(folder.ledger())
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address by the setting {key}")
    })
}

/// Marks the end of a task that must not end before the process, by panic or otherwise.
fn vital<F>(stops: &Stops, task: F) -> impl Future<Output = ()> + use<F>
where
    F: Future<Output = ()>,
{
    let broken = stops.broken.clone();
    async move {
        let _told_when_dropped = broken.drop_guard();
        task.await;
    }
}

async fn open_ledger(config: &Config, folder: &DataFolder) -> anyhow::Result<Ledger> {
    match config.engines.ledger {
        Engine::Local => {
            let path = folder.ledger();
            let opened = SqliteLedger::open(&path).await;
            Ok(Ledger::Sqlite(opened.with_context(|| cannot_open("ledger", &path))?))
        }
    }
}

async fn open_engines(config: &Config, folder: &DataFolder) -> anyhow::Result<Seams> {
    let ledger = open_ledger(config, folder).await?;
    let gate = match config.engines.gate {
        Engine::Local => {
            let path = folder.gate();
            let opened =
                LocalGate::open(&path, ledger.install(), settings::local_gate(config)).await;
            Gate::Local(opened.with_context(|| cannot_open("gate", &path))?)
        }
    };
    let log = match config.engines.log {
        Engine::Local => Log::Local(LocalLog::new()),
    };
    Ok(Seams { gate, log, ledger })
}

fn cannot_open(seam: &str, path: &std::path::Path) -> String {
    format!("cannot open the {seam} in {}", path.display())
}

fn secrets(config: &Config, folder: &DataFolder) -> anyhow::Result<(Secrets, Option<PathBuf>)> {
    if let Some(secrets) = &config.keys.secret {
        return Ok((secrets.clone(), None));
    }
    let (text, path) = folder.secret(Kept::Secret)?;
    let secrets = Secrets::parse(&text).with_context(|| path.display().to_string())?;
    Ok((secrets, Some(path)))
}

fn admin_key(config: &Config, folder: &DataFolder) -> anyhow::Result<(AdminKey, Option<PathBuf>)> {
    if let Some(key) = &config.keys.admin_key {
        return Ok((key.key(), None));
    }
    let (text, path) = folder.secret(Kept::AdminKey)?;
    let key = AdminKey::new(&text).with_context(|| path.display().to_string())?;
    Ok((key, Some(path)))
}

/// Every key that the roles need.
struct Keys {
    tokens: Arc<TokenKeys>,
    buyers: Arc<BuyerKeys>,
    guests: Option<Arc<GuestKeys>>,
    admin: AdminKey,
    origins: Arc<Origins>,
}

impl Keys {
    fn new(
        config: &Config,
        seams: &Seams,
        secrets: &Secrets,
        admin: AdminKey,
    ) -> anyhow::Result<Self> {
        let install = seams.ledger.install();
        let guests = config.guests().then_some(secrets);
        let buyers = BuyerKeys::new(
            config.keys.jwt_keys.clone(),
            config.keys.jwt_issuer.clone(),
            config.keys.jwt_audience.clone(),
            guests,
        )?;
        Ok(Self {
            tokens: Arc::new(TokenKeys::new(install, secrets.sealing(), secrets.retired())),
            buyers: Arc::new(buyers),
            guests: guests.map(|secrets| Arc::new(GuestKeys::new(secrets))),
            admin,
            origins: Arc::new(Origins::new(config.serving.origins.clone())),
        })
    }
}

async fn start_roles(
    config: &Config,
    seams: &Seams,
    keys: &Keys,
    stops: &Stops,
) -> anyhow::Result<Roles> {
    let api_keys = api::Keys {
        tokens: keys.tokens.clone(),
        buyers: keys.buyers.clone(),
        guests: keys.guests.clone(),
        admin: keys.admin.clone(),
        origins: keys.origins.clone(),
    };
    let push_keys = push::Keys {
        tokens: keys.tokens.clone(),
        buyers: keys.buyers.clone(),
        origins: keys.origins.clone(),
    };
    let api = Api::start(seams.clone(), api_keys, settings::api(config), stops.api.clone()).await?;
    let push = Push::start(seams.clone(), push_keys, settings::push(config), &stops.push);
    let worker = Worker::start(seams.clone(), settings::worker(config), stops.worker.clone());
    Ok(Roles { api, push, worker })
}

fn router_of(roles: &Roles) -> Router {
    roles
        .api
        .router()
        .merge(roles.push.router())
        .merge(web::router())
        .layer(axum::middleware::from_fn(edge::observe::track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_dies_is_noticed() {
        let stops = Stops::default();
        let tasks = TaskTracker::new();
        let task = tasks.spawn(vital(&stops, async { panic!("on purpose") }));
        stops.broken.cancelled().await;
        assert!(task.await.unwrap_err().is_panic());
    }
}
