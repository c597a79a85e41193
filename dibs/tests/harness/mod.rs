//! The real binary on a data folder, and those who talk to it.

#![allow(dead_code, reason = "each test file uses the part of it that it needs")]

pub(crate) mod audit;
pub(crate) mod claimer;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Signs the JWTs of the shop's buyers.
pub(crate) const SHOP_SECRET: &str = "the shop's secret, more than 32 bytes long";
/// Opens the admin API.
pub(crate) const ADMIN_KEY: &str = "the-admin-key-of-tests";

/// How long anything may take before the test is called failed. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A setting by its key, and its value.
pub(crate) type Setting<'a> = (&'a str, &'a str);

/// A folder of its own for one test: the data folder, and what the server writes to stderr.
#[derive(Clone)]
pub(crate) struct Place(Arc<TempDir>);

impl Place {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("stderr.log")
    }
}

/// The binary, in the place's folder and with nothing of this process's environment.
pub(crate) fn dibs(
    place: &Place,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dibs"));
    command.args(arguments).env_clear().current_dir(place.path()).kill_on_drop(true);
    command
}

/// The environment variable of a setting.
pub(crate) fn variable(key: &str) -> String {
    format!("DIBS_{}", key.to_ascii_uppercase())
}

/// Runs the binary to its end.
pub(crate) async fn run(place: &Place, arguments: &[&str]) -> Output {
    let output = dibs(place, arguments).output();
    tokio::time::timeout(PATIENCE, output).await.expect("it should have ended").unwrap()
}

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    place: Place,
    /// The role that it has alone; none has them all.
    role: Option<&'static str>,
    settings: Vec<(String, String)>,
    /// What it printed when it had started.
    pub(crate) greeting: String,
    /// Such as `http://127.0.0.1:40123`; empty where buyers are not answered.
    pub(crate) base: String,
    /// The same for health and metrics.
    pub(crate) ops: String,
    /// Where tickets are read, if that is another process.
    reader: Option<String>,
    pub(crate) http: reqwest::Client,
}

impl Server {
    /// Starts it on a fresh data folder and waits until it is ready. Given settings beat those
    /// of tests: free ports, no demo sale, [`ADMIN_KEY`], JWTs by [`SHOP_SECRET`], guests.
    pub(crate) async fn start(settings: &[Setting<'_>]) -> Self {
        Self::start_in(Place::new(), settings).await
    }

    /// The same on the data folder of a place.
    pub(crate) async fn start_in(place: Place, settings: &[Setting<'_>]) -> Self {
        Self::launch(place, None, owned(settings)).await
    }

    /// Starts one role alone, on servers that the settings name.
    pub(crate) async fn start_role(role: &'static str, settings: &[Setting<'_>]) -> Self {
        Self::launch(Place::new(), Some(role), owned(settings)).await
    }

    fn spawn(place: &Place, role: Option<&str>, settings: &[(String, String)]) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(place.log()).unwrap();
        let mut command = dibs(place, role);
        let shop = format!("hs256:{SHOP_SECRET}");
        let usual = [
            ("listen", "127.0.0.1:0"),
            ("ops_listen", "127.0.0.1:0"),
            ("demo", "false"),
            ("guests", "true"),
            ("admin_key", ADMIN_KEY),
            ("jwt_keys", &shop),
        ];
        let given = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in usual.into_iter().chain(given) {
            command.env(variable(key), value);
        }
        command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    async fn launch(
        place: Place,
        role: Option<&'static str>,
        settings: Vec<(String, String)>,
    ) -> Self {
        let mut child = Self::spawn(&place, role, &settings);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        while !greeting.contains("/readyz") {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            match line.expect("it should have said that it runs").unwrap() {
                Some(line) => greeting.push_str(&format!("{line}\n")),
                None => died(&place),
            }
        }
        let address = |before: &str, after: &str| {
            let (_, rest) = greeting.split_once(before)?;
            Some(rest.split_once(after)?.0.trim().to_owned())
        };
        let base = address("is running: ", "/\n").unwrap_or_default();
        let ops = address("health", "/readyz").unwrap();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        tokio::select! {
            () = ready(&http, &ops) => {}
            _ = child.wait() => died(&place),
        }
        Self { child, place, role, settings, greeting, base, ops, reader: None, http }
    }

    /// Waits until `/readyz` says yes.
    pub(crate) async fn until_ready(&self) {
        ready(&self.http, &self.ops).await;
    }

    /// Has tickets read by another process from now on.
    pub(crate) fn read_by(mut self, reader: &Self) -> Self {
        self.reader = Some(reader.base.clone());
        self
    }

    /// Where tickets are read: [`Server::base`] of this process, or of another.
    pub(crate) fn reads(&self) -> &str {
        self.reader.as_deref().unwrap_or(&self.base)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id().expect("it was not waited for yet");
        Pid::from_raw(id.try_into().unwrap()).unwrap()
    }

    /// What it has logged so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.log()).unwrap()
    }

    /// Ends it as a power cut would, and answers where its data lies.
    pub(crate) async fn kill9(mut self) -> Place {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        self.place.clone()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it should end").unwrap()
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Kills it and starts it again with the same settings on the same data.
    pub(crate) async fn crash_and_restart(self) -> Self {
        let (role, settings) = (self.role, self.settings.clone());
        let reader = self.reader.clone();
        let mut restarted = Self::launch(self.kill9().await, role, settings).await;
        restarted.reader = reader;
        restarted
    }

    /// Starts it again after its end, with the same settings on the same data.
    pub(crate) async fn start_again(self) -> Self {
        let mut started = Self::launch(self.place.clone(), self.role, self.settings.clone()).await;
        started.reader = self.reader.clone();
        started
    }

    /// The same, with a second crash while it starts again: its engines are opened, or about
    /// to be. Its addresses must have been given.
    pub(crate) async fn crash_twice_and_restart(self) -> Self {
        let (settings, http, ops) = (self.settings.clone(), self.http.clone(), self.ops.clone());
        let (role, place) = (self.role, self.kill9().await);
        let mut child = Self::spawn(&place, role, &settings);
        eventually("it starts", async || http.get(format!("{ops}/healthz")).send().await.ok())
            .await;
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        Self::launch(place, role, settings).await
    }

    /// Calls the admin API.
    pub(crate) async fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/v1/admin/{path}", self.base))
            .bearer_auth(ADMIN_KEY);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Creates a sale that is open already.
    pub(crate) async fn open_sale(&self, id: &str, stock: u32, limit: u8) {
        let sale = json!({
            "id": id, "name": format!("Sale {id}"), "stock": stock, "limit": limit,
            "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z",
        });
        let (status, answer) = self.admin(Method::POST, "sales", Some(sale)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }

    /// A sale as the admin sees it.
    pub(crate) async fn sale(&self, id: &str) -> Value {
        let (status, sale) = self.admin(Method::GET, &format!("sales/{id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{sale}");
        sale
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

async fn ready(http: &reqwest::Client, ops: &str) {
    eventually("the server is ready", async || {
        let answer = http.get(format!("{ops}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(())
    })
    .await;
}

fn died(place: &Place) -> ! {
    let log = std::fs::read_to_string(place.log()).unwrap_or_default();
    panic!("dibs ended before it was ready: {log}")
}

fn owned(settings: &[Setting<'_>]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Asks again and again until there is an answer. Processes give no other sign.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not happen that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
