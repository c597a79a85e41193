//! A process of the `dibs` binary.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock::FakeClock;
use super::fault::Role;
use super::http;

/// How long a start, an end or a return to work may take before the run is called broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A setting of dibs by its key, and its value.
pub type Setting = (String, String);

/// A process that keeps its addresses and its settings over its starts. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    /// Such as `api-1`.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where buyers and operators are answered; a worker answers neither.
    pub listen: SocketAddr,
    ops: SocketAddr,
    dibs: PathBuf,
    folder: PathBuf,
    settings: Vec<Setting>,
    clock: Option<FakeClock>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Keeps what it prints; ends with it.
    _log: JoinSet<std::io::Result<()>>,
}

impl Process {
    /// Starts it in this folder and waits until it does its work.
    ///
    /// # Errors
    /// It does not come up; its log is in the folder.
    pub async fn start(
        dibs: &Path,
        role: Role,
        name: &str,
        folder: &Path,
        mut settings: Vec<Setting>,
    ) -> anyhow::Result<Self> {
        let (listen, ops) = (free_address(), free_address());
        settings.push(("listen".to_owned(), listen.to_string()));
        settings.push(("ops_listen".to_owned(), ops.to_string()));
        let (name, folder) = (name.to_owned(), folder.to_owned());
        let dibs = dibs.to_owned();
        let mut process =
            Self { name, role, listen, ops, dibs, folder, settings, clock: None, running: None };
        process.launch()?;
        process.until_ready().await?;
        Ok(process)
    }

    /// Starts it, if it does not run.
    ///
    /// # Errors
    /// The system does not let it start.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        // What is ignored stays so: a file at its limit is an error to it, not its end.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.dibs);
        match self.role {
            Role::Embedded => {}
            Role::Api | Role::Worker | Role::Push => {
                command.arg(self.role.name());
            }
        }
        command.env_clear().current_dir(&self.folder);
        for (key, value) in &self.settings {
            command.env(format!("DIBS_{}", key.to_ascii_uppercase()), value);
        }
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        // A group of its own: Ctrl-C ends this program, and it ends them.
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let mut log = JoinSet::new();
        for (stream, kind) in
            [(child.stdout.take().map(boxed), "out"), (child.stderr.take().map(boxed), "log")]
        {
            let stream = stream.context("its output was piped")?;
            log.spawn(keep(stream, self.folder.join(format!("{}.{kind}", self.name))));
        }
        self.running = Some(Running { child, _log: log });
        Ok(())
    }

    /// Waits until it says that it does its work.
    ///
    /// # Errors
    /// It ends, or does not say so in time.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().context("it was not started")?;
        let (name, log) = (&self.name, self.folder.join(format!("{}.log", self.name)));
        tokio::select! {
            ready = timeout(PATIENCE, until_ready(self.ops)) => {
                ready.with_context(|| format!("{name} is not ready; see {}", log.display()))
            }
            status = running.child.wait() => {
                bail!("{name} ended by itself ({}); see {}", status?, log.display())
            }
        }
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// The system does not.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// It does not.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        if let Some(mut running) = self.running.take() {
            let ended = timeout(PATIENCE, running.child.wait()).await;
            ended.with_context(|| format!("{} does not end when it is asked to", self.name))??;
        }
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Lets no file of it grow beyond so many bytes; without a number, all may.
    ///
    /// # Errors
    /// The system does not.
    pub fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()?), Resource::Fsize, limit)
            .map(drop)
            .with_context(|| format!("cannot limit the files of {}", self.name))
    }

    /// Has it go by this clock from its next start on, or by the system's again.
    pub fn set_clock(&mut self, clock: Option<FakeClock>) {
        self.clock = clock;
    }

    /// Whether it goes by a clock of its own.
    pub fn clock(&self) -> Option<&FakeClock> {
        self.clock.as_ref()
    }

    /// The value of a metric; none where it has no such line.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let (status, body) = http::get(self.ops, "/metrics").await?;
        ensure!(status == 200, "{} shows no metrics: {status}", self.name);
        let found = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(found.and_then(|value| value.parse().ok()))
    }

    /// Its process id.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> anyhow::Result<Pid> {
        let id = self.running.as_ref().and_then(|running| running.child.id());
        let id = id.with_context(|| format!("{} does not run", self.name))?;
        Pid::from_raw(id.try_into()?).context("a process id is above zero")
    }
}

/// An address that is free, and stays so while the server on it is down: a port below those
/// that systems give to outgoing connections.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 8_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (begin + next) % 8_000;
        let port = u16::try_from(port).expect("it is below 28,000");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn boxed(stream: impl AsyncRead + Send + Unpin + 'static) -> Box<dyn AsyncRead + Send + Unpin> {
    Box::new(stream)
}

/// Appends what it prints to a file. A file of its own would be under its own limits.
async fn keep(stream: Box<dyn AsyncRead + Send + Unpin>, path: PathBuf) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(mut line) = lines.next_line().await? {
        line.push('\n');
        file.write_all(line.as_bytes()).await?;
        file.flush().await?;
    }
    Ok(())
}

async fn until_ready(ops: SocketAddr) {
    loop {
        if matches!(http::get(ops, "/readyz").await, Ok((200, _))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
