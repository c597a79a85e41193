//! Pulsar and MySQL, as `tools/engines` brings them.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Output, Stdio};

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use url::Url;

use super::binary::repository;
use super::fault::{Engine, ToEngine};

/// What stands for the Redis that `tools/engines` is not to bring: a deployment has its own.
const NOT_NEEDED: &str = "redis://127.0.0.1:1";

/// Engines in a folder of their own. Dropped, they are stopped, or put back in order if they are
/// somebody else's.
#[derive(Debug)]
pub struct Servers {
    running: Running,
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
        let running = Running { folder: folder.to_owned(), is_ours: true, broken: None };
        tool(folder, &["up"]).await?;
        Self::told(running).await
    }

    /// Those that were started in this folder by somebody else, who stops them too.
    ///
    /// # Errors
    /// None run there.
    pub async fn at(folder: &Path) -> anyhow::Result<Self> {
        Self::told(Running { folder: folder.to_owned(), is_ours: false, broken: None }).await
    }

    async fn told(running: Running) -> anyhow::Result<Self> {
        let told = tool(&running.folder, &["env"]).await?;
        let told = String::from_utf8(told.stdout).context("addresses are text")?;
        Ok(Self {
            running,
            pulsar: address(&told, "TEST_PULSAR_URL")?,
            pulsar_admin: address(&told, "TEST_PULSAR_ADMIN_URL")?,
            mysql: address(&told, "TEST_MYSQL_URL")?,
        })
    }

    /// Ends one as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self, engine: Engine) -> anyhow::Result<()> {
        self.running.broken = Some((engine, ToEngine::Kill));
        tool(&self.running.folder, &["stop", engine.name()]).await.map(drop)
    }

    /// Starts one again on its address and its data.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_again(&mut self, engine: Engine) -> anyhow::Result<()> {
        tool(&self.running.folder, &["start", engine.name()]).await?;
        self.running.broken = None;
        Ok(())
    }

    /// Holds one, or lets it go on.
    ///
    /// # Errors
    /// It does not run.
    pub async fn hold(&mut self, engine: Engine, held: bool) -> anyhow::Result<()> {
        if held {
            self.running.broken = Some((engine, ToEngine::Stop));
        }
        let holding = Command::from(holding(&self.running.folder, engine, held)?).output().await?;
        succeeded(&format!("holding {}, or letting it go on,", engine.name()), &holding)?;
        if !held {
            self.running.broken = None;
        }
        Ok(())
    }
}

/// What has to be done in the end, whatever is cut off.
#[derive(Debug)]
struct Running {
    folder: PathBuf,
    is_ours: bool,
    broken: Option<(Engine, ToEngine)>,
}

impl Running {
    fn put_back(&self) -> anyhow::Result<()> {
        match self.broken {
            // One that is held does not end when it is asked to.
            Some((engine, ToEngine::Stop)) => done(holding(&self.folder, engine, false)?)?,
            Some((engine, ToEngine::Kill)) if !self.is_ours => {
                done(calling(&self.folder, &["start", engine.name()]))?;
            }
            Some((_, ToEngine::Kill)) | None => {}
        }
        if self.is_ours {
            done(calling(&self.folder, &["down"]))?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            // A stderr that is gone has nobody to read it.
            let _ = writeln!(
                std::io::stderr(),
                "engines are left as they are ({error:#}): tools/engines down {}",
                self.folder.display()
            );
        }
    }
}

/// Holds an engine, or lets it go on.
fn holding(folder: &Path, engine: Engine, held: bool) -> anyhow::Result<StdCommand> {
    let container = folder.join(format!("{}.container", engine.name()));
    if let Ok(container) = std::fs::read_to_string(container) {
        let mut docker = StdCommand::new("docker");
        docker.args([if held { "pause" } else { "unpause" }, container.trim()]);
        return Ok(docker);
    }
    // MariaDB stands in where there is no MySQL.
    let names = match engine {
        Engine::Mysql => vec!["mysql", "mariadb"],
        Engine::Redis | Engine::Pulsar => vec![engine.name()],
    };
    let files = names.iter().map(|name| folder.join(format!("{name}.pid")));
    let file = files.into_iter().find(|file| file.is_file());
    let file = file.with_context(|| format!("{} does not run", engine.name()))?;
    let group: u32 = std::fs::read_to_string(file)?.trim().parse()?;
    let signal = if held { "STOP" } else { "CONT" };
    let mut kill = StdCommand::new("/bin/sh");
    kill.args(["-c", &format!("kill -s {signal} -- -{group}")]);
    Ok(kill)
}

fn script() -> PathBuf {
    repository().join("tools/engines")
}

async fn tool(folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::from(calling(folder, arguments));
    let output = command.kill_on_drop(true).output().await.context("cannot run tools/engines")?;
    succeeded(&format!("tools/engines {}", arguments.join(" ")), &output)?;
    Ok(output)
}

fn calling(folder: &Path, arguments: &[&str]) -> StdCommand {
    let mut command = StdCommand::new(script());
    command.args(arguments).arg(folder).process_group(0).stdin(Stdio::null());
    for variable in ["TEST_REDIS_URL", "TEST_REDIS_TLS_URL"] {
        command.env(variable, NOT_NEEDED);
    }
    for variable in ["TEST_PULSAR_URL", "TEST_MYSQL_URL", "TEST_MARIADB_URL"] {
        command.env_remove(variable);
    }
    command
}

/// Waits for it without a runtime.
fn done(mut command: StdCommand) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    succeeded(&command.get_program().to_string_lossy(), &output)
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
