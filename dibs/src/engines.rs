//! Opens the engines, and waits for those that nobody answers for.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use store::Seams;
use store::gate::Gate;
use store::gate::local::LocalGate;
use store::gate::redis::RedisGate;
use store::ledger::Ledger;
use store::ledger::mysql::{self, MySqlLedger};
use store::ledger::sqlite::SqliteLedger;
use store::log::Log;
use store::log::local::LocalLog;
use store::log::pulsar::PulsarLog;
use store::open::OpenError;
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::config::engines::{Choice, Mix, Servers};
use crate::data::{DataError, DataFolder};
use crate::settings;

/// One of the three seams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Seam {
    Gate,
    Log,
    Ledger,
}

impl Seam {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Log => "log",
            Self::Ledger => "ledger",
        }
    }

    /// What says where it is, as the begin of a sentence.
    fn settings(self) -> &'static str {
        match self {
            Self::Gate => "the setting gate is",
            Self::Log => "the settings log and log_admin are",
            Self::Ledger => "the setting ledger is",
        }
    }
}

/// How a start treats engines that nobody answers for.
pub(crate) struct Patience<'a> {
    /// How long each is waited for.
    pub(crate) within: Duration,
    /// Told of each attempt in vain.
    pub(crate) in_vain: &'a dyn Fn(Seam, &str),
}

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Between two lines of the log about the same engine.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl Patience<'_> {
    /// Tries again and again to open an engine, until it is there, refuses, or the time is over.
    /// An attempt has limits of its own, and is not cut off: it may be a migration in its middle.
    pub(crate) async fn open<T>(
        &self,
        seam: Seam,
        attempt: impl AsyncFn() -> Result<T, OpenError>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + self.within;
        let mut told: Option<Instant> = None;
        loop {
            let why = match attempt().await {
                Ok(opened) => return Ok(opened),
                Err(OpenError::Refused(why)) => anyhow::bail!("{}: {why}", seam.name()),
                Err(OpenError::Unreachable(why)) => why,
            };
            if Instant::now() + PAUSE >= deadline {
                let (settings, within) = (seam.settings(), humantime::format_duration(self.within));
                anyhow::bail!(
                    "the {} was not reached within {within}; see that it runs, and that {settings} \
                     right: {why}",
                    seam.name()
                );
            }
            (self.in_vain)(seam, &why);
            if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                tracing::info!(engine = seam.name(), error = why, "waiting for an engine");
                told = Some(Instant::now());
            }
            sleep(PAUSE).await;
        }
    }
}

/// Where the engines keep what they keep.
pub(crate) enum Ground<'c> {
    /// A data folder, held; the ledger perhaps elsewhere.
    Folder(DataFolder, &'c Choice<mysql::Address>),
    /// Nowhere on this machine.
    Servers(&'c Servers),
}

impl<'c> Ground<'c> {
    /// Holds the data folder, if there is one.
    pub(crate) fn hold(config: &'c Config) -> Result<Self, DataError> {
        Ok(match &config.engines.mix {
            Mix::Local { ledger } => Self::Folder(DataFolder::open(&config.storage.data)?, ledger),
            Mix::Remote(servers) => Self::Servers(servers),
        })
    }

    /// The data folder, if there is one.
    pub(crate) fn folder(&self) -> Option<&DataFolder> {
        match self {
            Self::Folder(folder, _) => Some(folder),
            Self::Servers(_) => None,
        }
    }

    /// The same, to be held on.
    pub(crate) fn into_folder(self) -> Option<DataFolder> {
        match self {
            Self::Folder(folder, _) => Some(folder),
            Self::Servers(_) => None,
        }
    }

    /// Opens the three of them. What lies in the folder is brought up to date; a server that is
    /// not is refused.
    pub(crate) async fn open(
        &self,
        config: &Config,
        patience: &Patience<'_>,
    ) -> anyhow::Result<Seams> {
        let ca = config.engines.ca.as_deref();
        match self {
            Self::Folder(folder, ledger) => {
                let ledger = match ledger {
                    Choice::Local => sqlite(folder).await?,
                    Choice::At(address) => mysql(address, ca, patience).await?,
                };
                let gate = local_gate(config, folder, &ledger).await?;
                Ok(Seams { gate, log: Log::Local(LocalLog::new()), ledger })
            }
            Self::Servers(servers) => {
                let ledger = mysql(&servers.ledger, ca, patience).await?;
                let gate = redis(config, servers, &ledger, patience).await?;
                let install = ledger.install();
                let open = || PulsarLog::open(&servers.log, &servers.log_admin, ca, install);
                let log = Log::Pulsar(patience.open(Seam::Log, open).await?);
                Ok(Seams { gate, log, ledger })
            }
        }
    }
}

pub(crate) async fn sqlite(folder: &DataFolder) -> anyhow::Result<Ledger> {
    let path = folder.ledger()?;
    let opened = SqliteLedger::open(&path).await;
    Ok(Ledger::Sqlite(opened.with_context(|| cannot_open(Seam::Ledger, &path))?))
}

pub(crate) async fn mysql(
    address: &mysql::Address,
    ca: Option<&Path>,
    patience: &Patience<'_>,
) -> anyhow::Result<Ledger> {
    let open = || MySqlLedger::open(address, ca);
    Ok(Ledger::MySql(patience.open(Seam::Ledger, open).await?))
}

async fn local_gate(config: &Config, folder: &DataFolder, ledger: &Ledger) -> anyhow::Result<Gate> {
    let path = folder.gate()?;
    let opened = LocalGate::open(&path, ledger.install(), settings::local_gate(config)).await;
    Ok(Gate::Local(opened.with_context(|| cannot_open(Seam::Gate, &path))?))
}

pub(crate) async fn redis(
    config: &Config,
    servers: &Servers,
    ledger: &Ledger,
    patience: &Patience<'_>,
) -> anyhow::Result<Gate> {
    let (ca, install) = (config.engines.ca.as_deref(), ledger.install());
    let open = || RedisGate::open(&servers.gate, ca, install, settings::bounds(config));
    Ok(Gate::Redis(patience.open(Seam::Gate, open).await?))
}

fn cannot_open(seam: Seam, path: &Path) -> String {
    format!("cannot open the {} in {}", seam.name(), path.display())
}
