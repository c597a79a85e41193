//! `dibs migrate`: brings the engines up to date, any number of times.

use std::path::Path;

use store::gate::redis;
use store::ledger::{Ledger, mysql};
use store::log::pulsar;

use crate::config::Config;
use crate::config::engines::{Choice, Mix, Servers};
use crate::data::DataFolder;
use crate::demo;
use crate::engines::{self, Patience, Seam};
use crate::keys;

/// Does it, and tells a line for each engine. A secret that it is given is checked, or accepted
/// as a `new_secret`. Where gate and log are servers, it also makes the demo sale, if one is
/// wanted and there is no sale at all.
pub(crate) async fn run(
    config: &Config,
    new_secret: bool,
    mut tell: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let patience = Patience { within: config.engines.start_within, in_vain: &|_, _| {} };
    let ca = config.engines.ca.as_deref();
    match &config.engines.mix {
        Mix::Local { ledger } => {
            match ledger {
                Choice::Local => {
                    let folder = DataFolder::open(&config.storage.data)?;
                    let ledger = engines::sqlite(&folder).await?;
                    tell(&up_to_date(Seam::Ledger, &folder.ledger()?.display()))?;
                    admit(config, Some(&folder), &ledger, new_secret).await?;
                    ledger.close().await;
                }
                Choice::At(address) => {
                    let ledger = ledger_of(address, ca, &patience).await?;
                    tell(&up_to_date(Seam::Ledger, address))?;
                    admit(config, None, &ledger, new_secret).await?;
                    ledger.close().await;
                }
            }
            tell("the gate and the log are local: a start brings them up to date")
        }
        Mix::Remote(servers) => remote(config, servers, new_secret, &patience, tell).await,
    }
}

async fn remote(
    config: &Config,
    servers: &Servers,
    new_secret: bool,
    patience: &Patience<'_>,
    mut tell: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ca = config.engines.ca.as_deref();
    let ledger = ledger_of(&servers.ledger, ca, patience).await?;
    tell(&up_to_date(Seam::Ledger, &servers.ledger))?;
    admit(config, None, &ledger, new_secret).await?;

    let install = ledger.install();
    let migrate = || pulsar::migrate(&servers.log, &servers.log_admin, ca, install);
    patience.open(Seam::Log, migrate).await?;
    tell(&up_to_date(Seam::Log, &servers.log))?;

    let mark = || redis::migrate(&servers.gate, ca, install);
    patience.open(Seam::Gate, mark).await?;
    let gate = engines::redis(config, servers, &ledger, patience).await?;
    tell(&up_to_date(Seam::Gate, &servers.gate))?;

    if config.demo()
        && let Some(demo) =
            demo::find_or_create(config.claims.answer_within, &gate, &ledger).await?
    {
        tell(&format!("the demo sale {} opens at {}", demo.id, demo.opens_at))?;
    }
    gate.close().await;
    ledger.close().await;
    Ok(())
}

/// Where the roles are given their secret by somebody else, there is none to check here.
async fn admit(
    config: &Config,
    folder: Option<&DataFolder>,
    ledger: &Ledger,
    new_secret: bool,
) -> anyhow::Result<()> {
    if folder.is_some() || new_secret || config.keys.secret.is_some() {
        let secrets = keys::secrets(config, folder)?;
        keys::admit(ledger, &secrets.key, new_secret).await?;
    }
    Ok(())
}

async fn ledger_of(
    address: &mysql::Address,
    ca: Option<&Path>,
    patience: &Patience<'_>,
) -> anyhow::Result<Ledger> {
    patience.open(Seam::Ledger, || mysql::migrate(address, ca)).await?;
    engines::mysql(address, ca, patience).await
}

fn up_to_date(seam: Seam, place: &dyn std::fmt::Display) -> String {
    format!("the {} {place} is up to date", seam.name())
}
