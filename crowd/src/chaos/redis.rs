//! A redis-server that belongs to one deployment: it can be emptied, and set back to what its
//! files were a while ago.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::process::free_address;

/// Where its files lie in its folder.
pub(super) const DATA: &str = "redis";

/// How long it may take to load its files, or to empty itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, on an address and in a folder of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
    running: Option<Child>,
}

/// Its files at one moment.
#[derive(Debug)]
pub struct Snapshot(PathBuf);

impl Redis {
    /// Starts it. What it has acknowledged survives its being killed.
    ///
    /// # Errors
    /// There is no `redis-server`, or it does not come up.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        tokio::fs::create_dir_all(folder.join(DATA)).await?;
        let mut redis = Self { address: free_address(), folder: folder.to_owned(), running: None };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts it on its files, if it does not run.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--logfile", "../redis.log", "--dir"]).arg(self.data());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().context("cannot run redis-server; install Redis")?;
        self.running = Some(child);
        let up = async {
            while self.command("PING").await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let log = self.folder.join("redis.log");
        timeout(PATIENCE, up)
            .await
            .with_context(|| format!("redis-server does not come up; see {}", log.display()))
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// The system does not.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.running.take() {
            child.kill().await.context("cannot kill redis-server")?;
        }
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.running.as_ref().and_then(Child::id).context("redis-server does not run")?;
        let pid = Pid::from_raw(id.try_into()?).context("a process id is above zero")?;
        kill_process(pid, signal).context("cannot signal redis-server")
    }

    /// Has it lose all it holds.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn flush(&self) -> anyhow::Result<()> {
        self.command("FLUSHALL").await
    }

    /// Keeps a copy of its files as they are.
    ///
    /// # Errors
    /// They cannot be copied.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let copy = self.folder.join("redis.earlier");
        if copy.exists() {
            tokio::fs::remove_dir_all(&copy).await?;
        }
        copy_folder(&self.data(), &copy).await?;
        Ok(Snapshot(copy))
    }

    /// Kills it and starts it again with the files that it had then.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn set_back(&mut self, to: Snapshot) -> anyhow::Result<()> {
        self.kill().await?;
        tokio::fs::remove_dir_all(self.data()).await?;
        tokio::fs::rename(to.0, self.data()).await?;
        self.start_again().await
    }

    fn data(&self) -> PathBuf {
        self.folder.join(DATA)
    }

    /// One command, from a connection of its own.
    async fn command(&self, word: &str) -> anyhow::Result<()> {
        let answer = timeout(PATIENCE, async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(format!("{word}\r\n").as_bytes()).await?;
            let mut answer = [0; 64];
            let read = stream.read(&mut answer).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..read]).into_owned())
        });
        let answer = answer.await.context("redis-server does not answer")??;
        ensure!(answer.starts_with('+'), "redis-server answers {word} with {answer}");
        Ok(())
    }
}

async fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    tokio::fs::create_dir_all(to).await?;
    let mut entries = tokio::fs::read_dir(from).await?;
    while let Some(entry) = entries.next_entry().await? {
        let to = to.join(entry.file_name());
        if entry.file_type().await?.is_dir() {
            Box::pin(copy_folder(&entry.path(), &to)).await?;
        } else {
            tokio::fs::copy(entry.path(), to).await?;
        }
    }
    Ok(())
}
