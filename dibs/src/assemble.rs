//! Puts a process together: engines, keys, roles, servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use edge::serve;
use edge::vital::vital;
use store::Seams;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::config::engines::Mix;
use crate::crew::Crew;
use crate::demo::{self, Demo};
use crate::engines::{Ground, Patience};
use crate::keys::{self, Found};
use crate::ops;
use crate::readiness::Readiness;
use crate::roles::{Role, Roles};
use crate::running::{Running, Stops};
use crate::{settings, telemetry};

/// What a start found and made, for the person who started it.
#[derive(Debug, Clone)]
pub struct Started {
    /// What it can do.
    pub roles: Roles,
    /// Where buyers are answered, if they are.
    pub page: Option<SocketAddr>,
    /// Where health and metrics are answered.
    pub ops: SocketAddr,
    /// The demo sale, if there is one.
    pub demo: Option<Demo>,
    /// The data folder, if there is one.
    pub data: Option<PathBuf>,
    /// Where the admin key is kept; `None` if the configuration has it.
    pub admin_key: Option<PathBuf>,
    /// Where the secret is kept; `None` if the configuration has it.
    pub secret: Option<PathBuf>,
}

/// Starts these roles, with the connections of buyers on the runtime `front`. Answers once they
/// do their work; an error says what to do about it, and leaves nothing running.
pub async fn start(config: &Config, roles: Roles, front: &Handle) -> anyhow::Result<Running> {
    let ground = Ground::hold(config)?;
    let page =
        roles.answer_buyers().then(|| reserve("listen", config.serving.listen)).transpose()?;
    let ops = listen("ops_listen", reserve("ops_listen", config.serving.ops_listen)?)?;
    let ops_address = ops.local_addr()?;
    let stops = Stops::default();
    let readiness = Arc::new(Readiness::default());
    let ended = TaskTracker::new();
    let counted = telemetry::metrics(roles);
    let router = ops::router(readiness.clone());
    ended.spawn(vital(&stops.broken, serve::serve(ops, router, ops::limits(), stops.ops.clone())));
    ended.spawn(telemetry::upkeep(counted, stops.ops.clone()));

    let patience = Patience {
        within: config.engines.start_within,
        in_vain: &|seam, why| readiness.awaits(seam, why),
    };
    let seams = ground.open(config, &patience).await?;
    let secrets = keys::secrets(config, ground.folder())?;
    keys::admit(&seams.ledger, &secrets.key, false).await?;
    let admin = roles.has(Role::Api).then(|| keys::admin(config, ground.folder())).transpose()?;
    let (admin, admin_key) = admin.map(|Found { key, kept }| (key, kept)).unzip();
    let demo = find_demo(config, &seams).await?;
    let crew = Crew::start(roles, config, &seams, &secrets.key, admin, &stops).await?;

    let served = TaskTracker::new();
    let page_address = page.as_ref().map(TcpSocket::local_addr).transpose()?;
    // Not before: a proxy that is refused turns to another process at once.
    if let Some(page) = page.map(|page| listen("listen", page)).transpose()? {
        let (router, limits) = (crew.router(), settings::connections(config));
        let serving = serve::serve(page, router, limits, stops.accepting.clone());
        served.spawn_on(vital(&stops.broken, serving), front);
    }
    readiness.serve(crew, seams.clone()).await;
    let started = Started {
        roles,
        page: page_address,
        ops: ops_address,
        demo,
        data: ground.folder().map(|folder| folder.path().to_owned()),
        admin_key: admin_key.flatten(),
        secret: secrets.kept,
    };
    let (drain_within, folder) = (config.serving.drain_within, ground.into_folder());
    Ok(Running { started, stops, readiness, seams, served, ended, drain_within, folder })
}

/// Where gate and log are servers, `dibs migrate` alone makes the demo sale: of many processes
/// that start at once, none is the first.
async fn find_demo(config: &Config, seams: &Seams) -> anyhow::Result<Option<Demo>> {
    let Seams { gate, ledger, .. } = seams;
    match (&config.engines.mix, config.demo()) {
        (_, false) => Ok(None),
        (Mix::Local { .. }, true) => {
            demo::find_or_create(config.claims.answer_within, gate, ledger).await
        }
        (Mix::Remote(_), true) => demo::find(ledger).await,
    }
}

fn reserve(key: &str, address: SocketAddr) -> anyhow::Result<TcpSocket> {
    serve::reserve(address).with_context(|| taken(key, address))
}

fn listen(key: &str, reserved: TcpSocket) -> anyhow::Result<TcpListener> {
    let address = reserved.local_addr()?;
    serve::listen(reserved).with_context(|| taken(key, address))
}

fn taken(key: &str, address: SocketAddr) -> String {
    format!("cannot listen on {address}; choose another address by the setting {key}")
}
