//! Pulsar and MySQL, as `tools/engines` brings them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use url::Url;

use super::binary::repository;
use super::fault::Engine;

/// What stands for the Redis that `tools/engines` is not to bring: a deployment has its own.
const NOT_NEEDED: &str = "redis://127.0.0.1:1";

/// Engines in a folder of their own. Dropped, they are stopped.
#[derive(Debug)]
pub struct Servers {
    folder: PathBuf,
    is_ours: bool,
    /// The log.
    pub pulsar: Url,
    /// The log's admin API.
    pub pulsar_admin: Url,
    /// The ledger.
    pub mysql: Url,
}

impl Servers {
    /// Starts them.
    ///
    /// # Errors
    /// They do not come up.
    pub async fn up(folder: &Path) -> anyhow::Result<Self> {
        tool(folder, &["up"]).await?;
        let mut servers = Self::at(folder).await?;
        servers.is_ours = true;
        Ok(servers)
    }

    /// Those that were started in this folder by somebody else, who stops them too.
    ///
    /// # Errors
    /// None run there.
    pub async fn at(folder: &Path) -> anyhow::Result<Self> {
        let told = tool(folder, &["env"]).await?;
        let told = String::from_utf8(told.stdout).context("addresses are text")?;
        Ok(Self {
            folder: folder.to_owned(),
            is_ours: false,
            pulsar: address(&told, "TEST_PULSAR_URL")?,
            pulsar_admin: address(&told, "TEST_PULSAR_ADMIN_URL")?,
            mysql: address(&told, "TEST_MYSQL_URL")?,
        })
    }

    /// Ends one as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&self, engine: Engine) -> anyhow::Result<()> {
        tool(&self.folder, &["stop", engine.name()]).await.map(drop)
    }

    /// Starts one again on its address and its data.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_again(&self, engine: Engine) -> anyhow::Result<()> {
        tool(&self.folder, &["start", engine.name()]).await.map(drop)
    }

    /// Holds one, or lets it go on.
    ///
    /// # Errors
    /// It does not run.
    pub async fn hold(&self, engine: Engine, held: bool) -> anyhow::Result<()> {
        let container = self.folder.join(format!("{}.container", engine.name()));
        if let Ok(container) = tokio::fs::read_to_string(container).await {
            let verb = if held { "pause" } else { "unpause" };
            let output = Command::new("docker").args([verb, container.trim()]).output().await?;
            return succeeded(&format!("docker {verb}"), &output);
        }
        // MariaDB stands in where there is no MySQL.
        let names = match engine {
            Engine::Mysql => vec!["mysql", "mariadb"],
            Engine::Redis | Engine::Pulsar => vec![engine.name()],
        };
        let files = names.iter().map(|name| self.folder.join(format!("{name}.pid")));
        let file = files.into_iter().find(|file| file.is_file());
        let file = file.with_context(|| format!("{} does not run", engine.name()))?;
        let pid = tokio::fs::read_to_string(file).await?.trim().parse()?;
        let pid = Pid::from_raw(pid).context("a process id is above zero")?;
        let signal = if held { Signal::STOP } else { Signal::CONT };
        kill_process_group(pid, signal).with_context(|| format!("cannot hold {}", engine.name()))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if !self.is_ours {
            return;
        }
        let down = std::process::Command::new(script()).arg("down").arg(&self.folder).status();
        if !down.is_ok_and(|status| status.success()) {
            // A stderr that is gone has nobody to read it.
            let _ = writeln!(
                std::io::stderr(),
                "engines may still run: tools/engines down {}",
                self.folder.display()
            );
        }
    }
}

fn script() -> PathBuf {
    repository().join("tools/engines")
}

async fn tool(folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(script());
    command.args(arguments).arg(folder).kill_on_drop(true).process_group(0);
    for variable in ["TEST_REDIS_URL", "TEST_REDIS_TLS_URL"] {
        command.env(variable, NOT_NEEDED);
    }
    for variable in ["TEST_PULSAR_URL", "TEST_MYSQL_URL", "TEST_MARIADB_URL"] {
        command.env_remove(variable);
    }
    let output = command.stdin(Stdio::null()).output().await.context("cannot run tools/engines")?;
    succeeded(&format!("tools/engines {}", arguments.join(" ")), &output)?;
    Ok(output)
}

fn succeeded(what: &str, output: &Output) -> anyhow::Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what} failed: {}", said.trim());
    Ok(())
}

fn address(told: &str, variable: &str) -> anyhow::Result<Url> {
    let line = told.lines().find_map(|line| line.strip_prefix(&format!("export {variable}=")));
    let text = line.with_context(|| format!("tools/engines tells no {variable}"))?;
    // It is quoted for a shell.
    Url::parse(&text.replace('\\', "")).with_context(|| format!("{variable} is no address"))
}
