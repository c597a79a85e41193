//! The keys of the roles: from the configuration, else from the data folder.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use edge::buyer::BuyerKeys;
use edge::guest::GuestKeys;
use edge::origins::Origins;
use edge::secrets::{AdminKey, Secrets};
use sale::id::InstallId;
use sale::token::TokenKeys;
use store::ledger::Ledger;

use crate::config::Config;
use crate::data::{DataFolder, Kept};

/// A key, and the file that it is kept in; `None` if the configuration has it.
pub(crate) struct Found<T> {
    pub(crate) key: T,
    pub(crate) kept: Option<PathBuf>,
}

/// What seals tokens and guests' JWTs.
pub(crate) fn secrets(
    config: &Config,
    folder: Option<&DataFolder>,
) -> anyhow::Result<Found<Secrets>> {
    if let Some(secrets) = &config.keys.secret {
        return Ok(Found { key: secrets.clone(), kept: None });
    }
    let folder = folder.context("there is no data folder to keep a secret in: set DIBS_SECRET")?;
    let (text, path) = folder.secret(Kept::Secret)?;
    let key = Secrets::parse(&text).with_context(|| path.display().to_string())?;
    Ok(Found { key, kept: Some(path) })
}

/// Sees that tokens of this install open with these secrets: those of another one would make
/// every ticket of a buyer "not found". Any are taken `anew` where an operator wants it so.
pub(crate) async fn admit(ledger: &Ledger, secrets: &Secrets, anew: bool) -> anyhow::Result<()> {
    let keys = tokens(ledger.install(), secrets).ids();
    if ledger.admit_keys(&keys, anew).await.context("cannot check the secret")? {
        return Ok(());
    }
    anyhow::bail!(
        "this secret has sealed no token of this install, so that buyers would not find their \
         tickets: set DIBS_SECRET to the text that the other processes have (to change it, put the \
         new text in front of the old one, separated by a comma). If the old one is lost, \
         `dibs migrate --new-secret` accepts this one"
    )
}

fn tokens(install: InstallId, secrets: &Secrets) -> TokenKeys {
    TokenKeys::new(install, secrets.sealing(), secrets.retired())
}

/// What opens the admin API.
pub(crate) fn admin(
    config: &Config,
    folder: Option<&DataFolder>,
) -> anyhow::Result<Found<AdminKey>> {
    if let Some(key) = &config.keys.admin_key {
        return Ok(Found { key: key.key(), kept: None });
    }
    let folder =
        folder.context("there is no data folder to keep an admin key in: set DIBS_ADMIN_KEY")?;
    let (text, path) = folder.secret(Kept::AdminKey)?;
    let key = AdminKey::new(&text).with_context(|| path.display().to_string())?;
    Ok(Found { key, kept: Some(path) })
}

/// What api and push share.
pub(crate) struct Keys {
    tokens: Arc<TokenKeys>,
    buyers: Arc<BuyerKeys>,
    guests: Option<Arc<GuestKeys>>,
    origins: Arc<Origins>,
}

impl Keys {
    pub(crate) fn new(
        config: &Config,
        install: InstallId,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let guests = config.guests().then_some(secrets);
        let buyers = BuyerKeys::new(
            config.keys.jwt_keys.clone(),
            config.keys.jwt_issuer.clone(),
            config.keys.jwt_audience.clone(),
            guests,
        )?;
        Ok(Self {
            tokens: Arc::new(tokens(install, secrets)),
            buyers: Arc::new(buyers),
            guests: guests.map(|secrets| Arc::new(GuestKeys::new(secrets))),
            origins: Arc::new(Origins::new(config.serving.origins.clone())),
        })
    }

    pub(crate) fn api(&self, admin: AdminKey) -> api::Keys {
        api::Keys {
            tokens: self.tokens.clone(),
            buyers: self.buyers.clone(),
            guests: self.guests.clone(),
            admin,
            origins: self.origins.clone(),
        }
    }

    pub(crate) fn push(&self) -> push::Keys {
        push::Keys {
            tokens: self.tokens.clone(),
            buyers: self.buyers.clone(),
            origins: self.origins.clone(),
        }
    }
}
