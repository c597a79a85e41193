//! From the command line to the exit code.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::assemble::{self, Started};
use crate::cli::admin::Admin;
use crate::cli::{self, Command, ConfigCommand};
use crate::config::Config;
use crate::config::serving::local_url;
use crate::roles::{Role, Roles};
use crate::{descriptors, migration, telemetry};

/// The command line or the configuration is wrong; nothing was started.
const WRONG: u8 = 2;

/// Does what the command line asks for. The exit code is 0 if it was done, 1 if it failed, 2 if
/// command line or configuration are wrong.
pub fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(shown) => {
            // Nothing is left to do for a help text that nobody reads.
            let _ = shown.print();
            return if shown.use_stderr() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS };
        }
    };
    let config = match Config::read(invocation.inputs) {
        Ok(config) => config,
        Err(faults) => return complain(&faults, WRONG),
    };
    choose_cryptography();
    let done = match invocation.command {
        None => return serve(&config, Roles::Every),
        Some(Command::Api) => return serve(&config, Roles::Only(Role::Api)),
        Some(Command::Worker) => return serve(&config, Roles::Only(Role::Worker)),
        Some(Command::Push) => return serve(&config, Roles::Only(Role::Push)),
        Some(Command::Migrate { new_secret }) => migrate(&config, new_secret),
        Some(Command::Health { ready }) => cli::health::run(config.serving.ops_listen, ready),
        Some(Command::Config { action: None }) => tell(config.listing().trim_end()),
        Some(Command::Config { action: Some(ConfigCommand::Check { role }) }) => {
            let roles = role.map_or(Roles::Every, Roles::Only);
            match roles.refusal(&config) {
                Some(refusal) => return complain(&refusal, WRONG),
                None => check(&config),
            }
        }
        Some(Command::Sale { server, action }) => Admin::new(&config, server.url.as_deref())
            .and_then(|admin| cli::sales::run(&admin, action, server.json)),
        Some(Command::Report { server }) => Admin::new(&config, server.url.as_deref())
            .and_then(|admin| cli::report::run(&admin, server.json)),
        Some(Command::Parked { server, action }) => Admin::new(&config, server.url.as_deref())
            .and_then(|admin| cli::parked::run(&admin, action, server.json)),
    };
    exit_code(done)
}

fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if reader_has_left(&error) => ExitCode::SUCCESS,
        Err(error) => complain(&one_line(&format!("{error:#}")), 1),
    }
}

/// Libraries break the lines of some of their errors.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn complain(what: &impl Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "dibs: {what}");
    ExitCode::from(code)
}

fn tell(what: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{what}")?)
}

/// Such as `dibs sale tickets … | head`.
fn reader_has_left(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn check(config: &Config) -> anyhow::Result<()> {
    for warning in config.warnings() {
        tell(&format!("warning: {warning}"))?;
    }
    tell("the configuration is right")
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that do the work")
}

/// One for the work, and one for the connections of buyers. On the same threads a call of an
/// engine would wait behind each of ten thousand requests at each of its steps, so that nothing
/// was granted just when most was asked for.
fn runtimes() -> anyhow::Result<(Runtime, Runtime)> {
    Ok((runtime()?, runtime()?))
}

fn migrate(config: &Config, new_secret: bool) -> anyhow::Result<()> {
    telemetry::log(&config.logs);
    runtime()?.block_on(migration::run(config, new_secret, tell))
}

/// For the connections to engines; once a process.
fn choose_cryptography() {
    // An error says that it was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What the runtime's own threads may take to end after everything else has.
const THREADS: Duration = Duration::from_millis(500);

fn serve(config: &Config, roles: Roles) -> ExitCode {
    if let Some(refusal) = roles.refusal(config) {
        return complain(&refusal, WRONG);
    }
    telemetry::log(&config.logs);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    descriptors::raise(config.serving.connections);
    exit_code(runtimes().and_then(|(work, front)| {
        let done = work.block_on(serve_until_told(config, roles, front.handle()));
        front.shutdown_timeout(THREADS);
        work.shutdown_timeout(THREADS);
        done
    }))
}

async fn serve_until_told(config: &Config, roles: Roles, front: &Handle) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        started = assemble::start(config, roles, front) => started?,
        _ = signals.next() => return Ok(()),
    };
    // A server goes on where nobody reads what it says.
    let _ = tell(&greeting(running.started()));
    let broken = tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name.name, "ending");
            None
        }
        part = running.broken() => {
            tracing::error!(part, "a part has ended that must not; ending");
            Some(part)
        }
    };
    let closed = tokio::select! {
        closed = running.shut_down() => closed,
        again = signals.next() => std::process::exit(again.exit_code),
    };
    match broken {
        Some(part) => anyhow::bail!("{part} has ended, though nobody asked it to; see the log"),
        None if !closed => anyhow::bail!("the engines could not be closed in time; see the log"),
        None => Ok(()),
    }
}

/// The signals that ask for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

struct Ending {
    name: &'static str,
    exit_code: i32,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending { name: "SIGTERM", exit_code: 128 + 15 },
            _ = self.interrupt.recv() => Ending { name: "SIGINT", exit_code: 128 + 2 },
        }
    }
}

fn greeting(started: &Started) -> String {
    let who = match started.roles {
        Roles::Every => "Dibs".to_owned(),
        Roles::Only(role) => format!("Dibs {}", role.name()),
    };
    let page = started.page.map(local_url);
    let mut lines = vec![match &page {
        Some(page) => format!("{who} is running: {page}/"),
        None => format!("{who} is running"),
    }];
    let mut line = |name: &str, what: String| lines.push(format!("  {name:<10} {what}"));
    if let (Some(demo), Some(page)) = (&started.demo, &page) {
        let wait = demo.opens_at.since(store::clock::now()).as_secs();
        let when = if wait > 0 { format!(" (opens in {wait} s)") } else { String::new() };
        line("demo sale", format!("{page}/sales/{}{when}", demo.id));
    }
    if let Some(data) = &started.data {
        line("data", data.display().to_string());
    }
    for (name, path) in [("admin key", &started.admin_key), ("secret", &started.secret)] {
        if let Some(path) = path {
            line(name, format!("{} (readable by you alone)", path.display()));
        }
    }
    line("health", format!("{}/readyz", local_url(started.ops)));
    lines.join("\n")
}
