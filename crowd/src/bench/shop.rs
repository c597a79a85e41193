//! A deployment that is measured: one process on its local engines, or each role as a process on
//! real ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::{Admin, BuyerId, Client, NewSale, Options, SaleId, Timestamp, Units};
use tempfile::TempDir;
use tokio::time::timeout;
use url::Url;

use super::Bench;
use crate::chaos::deployment::migrate;
use crate::chaos::fault::Role;
use crate::chaos::process::{Process, Setting};
use crate::chaos::redis::Redis;
use crate::chaos::servers::Servers;
use crate::load::Signer;

const ADMIN_KEY: &str = "the-admin-key-of-the-bench";
const SHOP_SECRET: &str = "the secret of the shop that the bench stands for";
const SECRET: &str = "the secret that the roles of the bench share";

/// How long a sale may take to open, and verdicts to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The deployment. Dropped, all of it ends.
pub(super) struct Shop {
    processes: Vec<Process>,
    /// Where claims go.
    pub(super) api: SocketAddr,
    /// A client of it.
    pub(super) client: Client,
    admin: Admin,
    signer: Signer,
    folder: TempDir,
    _engines: Option<(Redis, Servers)>,
}

impl Shop {
    /// All roles in one process, on its local engines.
    pub(super) async fn embedded(bench: &Bench, further: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = folder()?;
        let mut settings = usual();
        settings.push(("data".to_owned(), "data".to_owned()));
        settings.extend(further.iter().map(|(key, value)| pair(key, value)));
        let start = Process::start(&bench.dibs, Role::Embedded, "dibs", folder.path(), settings);
        let process = bench.cores.of_servers(start).await?;
        let at = process.listen;
        Self::new(vec![process], (at, at), folder, None)
    }

    /// A process a role, on Redis, Pulsar and MySQL.
    pub(super) async fn on_engines(bench: &Bench) -> anyhow::Result<Self> {
        let folder = folder()?;
        let starting = async {
            let servers = match &bench.servers {
                Some(folder) => Servers::at(folder).await?,
                None => Servers::up(&folder.path().join("engines")).await?,
            };
            let redis = Redis::start(folder.path()).await?;
            let settings = on(&redis, &servers);
            migrate(&bench.dibs, folder.path(), settings.clone()).await?;
            let mut processes = Vec::new();
            for role in [Role::Push, Role::Worker, Role::Api] {
                let (dibs, path) = (&bench.dibs, folder.path());
                let start = Process::start(dibs, role, role.name(), path, settings.clone());
                processes.push(start.await?);
            }
            anyhow::Ok((processes, redis, servers))
        };
        let (processes, redis, servers) = bench.cores.of_servers(starting).await?;
        let at = |role| {
            let found = processes.iter().find(|process: &&Process| process.role == role);
            found.map(|process| process.listen).context("every role was started")
        };
        let (api, push) = (at(Role::Api)?, at(Role::Push)?);
        Self::new(processes, (api, push), folder, Some((redis, servers)))
    }

    fn new(
        processes: Vec<Process>,
        (api, push): (SocketAddr, SocketAddr),
        folder: TempDir,
        engines: Option<(Redis, Servers)>,
    ) -> anyhow::Result<Self> {
        let url = |address| Url::parse(&format!("http://{address}"));
        let client = Client::new(Options::new(url(api)?).push(url(push)?))?;
        let admin = Admin::of(client.clone(), ADMIN_KEY);
        let signer = Signer::new(SHOP_SECRET);
        Ok(Self { processes, api, client, admin, signer, folder, _engines: engines })
    }

    /// Opens a sale with a limit of one, and waits until claims are answered.
    pub(super) async fn sale(&self, id: &str, stock: u32) -> anyhow::Result<()> {
        let id = SaleId::new(id)?;
        let sale = NewSale {
            id: id.clone(),
            name: "Bench".to_owned(),
            stock,
            limit: Units::ONE,
            opens_at: Timestamp::parse("2020-01-01T00:00:00Z")?,
            closes_at: Timestamp::parse("2099-01-01T00:00:00Z")?,
        };
        self.admin.create(&sale).await?;
        let opening = async {
            while self.admin.sale(&id).await?.available.is_none() {
                tokio::time::sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, opening).await.context("the sale does not open")?
    }

    /// Waits until the ledger has decided all that was granted; how many.
    pub(super) async fn decided(&self, sale: &str) -> anyhow::Result<u64> {
        let id = SaleId::new(sale)?;
        let deciding = async {
            loop {
                let report = self.admin.sale(&id).await?;
                if report.held == Some(0) {
                    return Ok(u64::from(report.sold) + report.rejected);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, deciding).await.context("not all is decided in time")?
    }

    /// What vouches for so many buyers, each another one.
    pub(super) async fn buyers(&self, count: usize) -> anyhow::Result<Arc<[String]>> {
        let now = self.client.clock().await?.now();
        let id = |n| BuyerId::new(&format!("buyer-{n:07}")).expect("it is short text");
        Ok((0..count).map(|n| self.signer.vouch(id(n).as_str().to_owned(), now).jwt).collect())
    }

    /// Memory of the (first) process that is resident, in KiB.
    pub(super) fn resident(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.id()?);
        let status = std::fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.context("no VmRSS in it")
    }

    /// Seconds of processor time that the threads of the (first) process have used.
    pub(super) fn used(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/task", self.id()?);
        let mut used = 0.0;
        for thread in std::fs::read_dir(&path).with_context(|| format!("no {path}"))? {
            // One that has ended meanwhile did next to nothing.
            let Ok(times) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let nanoseconds = times.split(' ').next().and_then(|first| first.parse::<f64>().ok());
            used += nanoseconds.with_context(|| format!("no times in {path}"))? / 1e9;
        }
        Ok(used)
    }

    /// Its local ledger.
    pub(super) fn ledger(&self) -> std::path::PathBuf {
        self.folder.path().join("data/ledger.db")
    }

    fn id(&self) -> anyhow::Result<i32> {
        let process = self.processes.first().context("it has a process")?;
        Ok(process.pid()?.as_raw_nonzero().get())
    }
}

fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("crowd-bench-").tempdir().context("no folder for its data")
}

fn pair(key: &str, value: &str) -> Setting {
    (key.to_owned(), value.to_owned())
}

fn usual() -> Vec<Setting> {
    vec![
        pair("demo", "false"),
        pair("log_level", "warn"),
        pair("admin_key", ADMIN_KEY),
        pair("secret", SECRET),
        pair("jwt_keys", &format!("hs256:{SHOP_SECRET}")),
    ]
}

/// A place of its own in each engine.
fn on(redis: &Redis, servers: &Servers) -> Vec<Setting> {
    let name = format!("dibs_bench_{:08x}", rand::random::<u32>());
    let (mut pulsar, mut mysql) = (servers.pulsar.clone(), servers.mysql.clone());
    pulsar.set_path(&format!("/public/{name}"));
    mysql.set_path(&format!("/{name}"));
    let mut settings = usual();
    settings.push(pair("gate", &format!("redis://{}", redis.address)));
    settings.push(pair("log", pulsar.as_str()));
    settings.push(pair("log_admin", servers.pulsar_admin.as_str()));
    settings.push(pair("ledger", mysql.as_str()));
    settings
}
