//! Processes of every role, the engines that they share, and a proxy between each pair.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::process::Command;
use url::Url;

use super::fault::{Door, Engine, Engines, Role};
use super::process::{Process, Setting};
use super::proxy::Proxy;
use super::redis::Redis;
use super::servers::Servers;

/// Opens the admin API of a deployment.
pub const ADMIN_KEY: &str = "the-admin-key-of-chaos";
/// Vouches for its buyers.
pub const SHOP_SECRET: &str = "the secret of the shop that chaos stands for";
/// Seals its tokens.
const SECRET: &str = "the secret that the roles of chaos share";

/// Where an embedded process keeps its data.
const DATA: &str = "data";

/// How long after its grant an order is answered on its merits, unless it is set otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// How many processes of each role there are on shared engines.
const EACH: usize = 2;

/// What lets a run be short: what is a matter of patience comes sooner than by default.
const IMPATIENT: [(&str, &str); 9] = [
    ("resend_after", "2s"),
    ("resend_most", "8s"),
    ("tend_every", "500ms"),
    ("reread_every", "1s"),
    ("ping_every", "3s"),
    ("pong_within", "3s"),
    ("heartbeat_every", "2s"),
    ("drain_within", "3s"),
    ("retire_after", "0s"),
];

/// All of it. Dropped, all of it ends.
#[derive(Debug)]
pub struct Deployment {
    /// What it stands on.
    pub engines: Engines,
    /// The processes.
    pub processes: Vec<Process>,
    pub(super) links: Vec<Link>,
    pub(super) doors: Vec<(Door, Proxy)>,
    pub(super) redis: Option<Redis>,
    pub(super) servers: Option<Servers>,
    pub(super) folder: PathBuf,
    /// As the processes are set; none where that is no duration.
    pub(super) answer_within_ms: Option<u64>,
}

/// What connects a process to an engine.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) role: Role,
    pub(super) engine: Engine,
    pub(super) proxies: Vec<Proxy>,
}

impl Deployment {
    /// Starts it with this binary, its logs and its data in this folder. Further settings beat
    /// the usual ones of chaos. `servers` names a folder of `tools/engines` whose Pulsar and
    /// MySQL are used and left running; else it brings its own.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn start(
        engines: Engines,
        dibs: &Path,
        folder: &Path,
        further: &[Setting],
        servers: Option<&Path>,
    ) -> anyhow::Result<Self> {
        tokio::fs::create_dir_all(folder).await?;
        // Processes run in it.
        let folder = folder.canonicalize()?;
        // What an earlier deployment has left there belongs to another install.
        for left in [DATA, super::redis::DATA].map(|name| folder.join(name)) {
            if left.exists() {
                tokio::fs::remove_dir_all(left).await?;
            }
        }
        let mut deployment = Self {
            engines,
            processes: Vec::new(),
            links: Vec::new(),
            doors: Vec::new(),
            redis: None,
            servers: None,
            folder,
            answer_within_ms: answer_within_ms(further),
        };
        match engines {
            Engines::Embedded => deployment.start_embedded(dibs, further).await?,
            Engines::Real => deployment.start_roles(dibs, further, servers).await?,
        }
        deployment.open_doors().await?;
        Ok(deployment)
    }

    async fn start_embedded(&mut self, dibs: &Path, further: &[Setting]) -> anyhow::Result<()> {
        let mut settings = usual();
        settings.push(("data".to_owned(), DATA.to_owned()));
        settings.extend_from_slice(further);
        let folder = &self.folder;
        let process = Process::start(dibs, Role::Embedded, "embedded", folder, settings).await?;
        self.processes.push(process);
        Ok(())
    }

    async fn start_roles(
        &mut self,
        dibs: &Path,
        further: &[Setting],
        servers: Option<&Path>,
    ) -> anyhow::Result<()> {
        let redis = Redis::start(&self.folder).await?;
        let servers = match servers {
            Some(folder) => Servers::at(folder).await?,
            None => Servers::up(&self.folder.join("engines")).await?,
        };
        let install = Install::new(&redis, &servers);
        (self.redis, self.servers) = (Some(redis), Some(servers));
        migrate(dibs, &self.folder, install.settings()?).await?;
        let mut starting = Vec::new();
        for role in [Role::Push, Role::Api, Role::Worker] {
            for n in 1..=EACH {
                let name = format!("{}-{n}", role.name());
                let mut settings = install.through_links(role, &mut self.links).await?;
                settings.extend_from_slice(further);
                let folder = self.folder.clone();
                starting.push(
                    async move { Process::start(dibs, role, &name, &folder, settings).await },
                );
            }
        }
        self.processes = try_join_all(starting).await?;
        Ok(())
    }

    async fn open_doors(&mut self) -> anyhow::Result<()> {
        for process in &self.processes {
            let doors = match process.role {
                Role::Embedded => vec![Door::Api, Door::Push],
                Role::Api => vec![Door::Api],
                Role::Push => vec![Door::Push],
                Role::Worker => vec![],
            };
            for door in doors {
                self.doors.push((door, Proxy::before(process.listen).await?));
            }
        }
        Ok(())
    }

    /// Where buyers go: pairs of where they claim and where they read.
    pub fn entrances(&self) -> Vec<(Url, Url)> {
        let at = |which| {
            let doors = self.doors.iter().filter(move |(door, _)| *door == which);
            doors.map(|(_, proxy)| url(proxy.address()))
        };
        at(Door::Api).zip(at(Door::Push)).collect()
    }

    /// The operator's way in, past every proxy.
    ///
    /// # Errors
    /// No process takes claims.
    pub fn operator(&self) -> anyhow::Result<Url> {
        let mut answering = self.processes.iter().filter(|process| match process.role {
            Role::Embedded | Role::Api => true,
            Role::Worker | Role::Push => false,
        });
        Ok(url(answering.next().context("no process takes claims")?.listen))
    }

    /// Waits until each process does its work.
    ///
    /// # Errors
    /// One does not come to it.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        try_join_all(self.processes.iter_mut().map(Process::until_ready)).await.map(drop)
    }
}

/// A place of this deployment's own in each engine.
struct Install {
    redis: SocketAddr,
    servers: (Url, Url, Url),
    name: String,
}

impl Install {
    fn new(redis: &Redis, servers: &Servers) -> Self {
        let of = |url: &Url| url.clone();
        Self {
            redis: redis.address,
            servers: (of(&servers.pulsar), of(&servers.pulsar_admin), of(&servers.mysql)),
            name: format!("dibs_chaos_{:08x}", rand::random::<u32>()),
        }
    }

    /// Past every proxy.
    fn settings(&self) -> anyhow::Result<Vec<Setting>> {
        let (pulsar, admin, mysql) = &self.servers;
        self.at(self.redis, pulsar.clone(), admin.clone(), mysql.clone())
    }

    /// Through proxies of a process's own, which become known.
    async fn through_links(
        &self,
        role: Role,
        links: &mut Vec<Link>,
    ) -> anyhow::Result<Vec<Setting>> {
        let redis = Proxy::before(self.redis).await?;
        let ((pulsar, at_pulsar), (admin, at_admin), (mysql, at_mysql)) = (
            through_proxy(&self.servers.0).await?,
            through_proxy(&self.servers.1).await?,
            through_proxy(&self.servers.2).await?,
        );
        let settings = self.at(redis.address(), at_pulsar, at_admin, at_mysql)?;
        let mut link = |engine, proxies| {
            links.push(Link { role, engine, proxies });
        };
        link(Engine::Redis, vec![redis]);
        link(Engine::Pulsar, vec![pulsar, admin]);
        link(Engine::Mysql, vec![mysql]);
        Ok(settings)
    }

    fn at(
        &self,
        redis: SocketAddr,
        mut pulsar: Url,
        admin: Url,
        mut mysql: Url,
    ) -> anyhow::Result<Vec<Setting>> {
        pulsar.set_path(&format!("/public/{}", self.name));
        mysql.set_path(&format!("/{}", self.name));
        let mut settings = usual();
        let mut set = |key: &str, value: String| settings.push((key.to_owned(), value));
        set("gate", format!("redis://{redis}"));
        set("log", pulsar.into());
        set("log_admin", admin.into());
        set("ledger", mysql.into());
        Ok(settings)
    }
}

/// The same address with a proxy in the way.
async fn through_proxy(engine: &Url) -> anyhow::Result<(Proxy, Url)> {
    let addresses = engine.socket_addrs(|| None)?;
    let proxy = Proxy::before(*addresses.first().context("an engine has an address")?).await?;
    let mut through = engine.clone();
    let fits = through.set_host(Some("127.0.0.1")).is_ok()
        && through.set_port(Some(proxy.address().port())).is_ok();
    ensure!(fits, "{} of an engine has no host and port", engine.scheme());
    Ok((proxy, through))
}

/// Prepares the ledger that these settings name.
pub(crate) async fn migrate(
    dibs: &Path,
    folder: &Path,
    settings: Vec<Setting>,
) -> anyhow::Result<()> {
    let mut command = Command::new(dibs);
    command.arg("migrate").env_clear().current_dir(folder).kill_on_drop(true);
    for (key, value) in settings {
        command.env(format!("DIBS_{}", key.to_ascii_uppercase()), value);
    }
    let output = command.output().await.context("cannot run dibs migrate")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "dibs migrate failed: {}", said.trim());
    Ok(())
}

/// The setting `answer_within`, in milliseconds; none where it is no duration.
fn answer_within_ms(further: &[Setting]) -> Option<u64> {
    let set = further.iter().rev().find(|(key, _)| key == "answer_within");
    let within = set.map_or(Ok(ANSWER_WITHIN), |(_, value)| humantime::parse_duration(value));
    u64::try_from(within.ok()?.as_millis()).ok()
}

fn usual() -> Vec<Setting> {
    let given = [("demo", "false"), ("guests", "true"), ("admin_key", ADMIN_KEY)];
    let all = given.into_iter().chain([("secret", SECRET)]).chain(IMPATIENT);
    let mut settings: Vec<_> = all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    settings.push(("jwt_keys".to_owned(), format!("hs256:{SHOP_SECRET}")));
    settings
}

fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).expect("an address and a scheme are a URL")
}
