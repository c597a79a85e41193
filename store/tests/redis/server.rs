//! A redis-server that belongs to one test.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};

use super::engine::setting;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The server, on a port and a folder of its own; killed in the end.
pub(crate) struct Server {
    options: Vec<String>,
    folder: tempfile::TempDir,
    port: u16,
    tls_port: Option<u16>,
    running: Running,
}

/// Its process, and what it prints: closed, that would be an error to it.
struct Running {
    process: Child,
    _prints: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one without persistence, unless `options` say otherwise.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_as("", options, None)
    }

    /// Starts one with this in its configuration file, which listens to TLS on a port of its own
    /// too, if there are settings for it.
    pub(crate) fn start_as(config: &str, options: &[&str], tls: Option<&[String]>) -> Self {
        let given: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("redis.conf"), config).unwrap();
        for _ in 0..20 {
            let (port, mut options) = (free_port(), given.clone());
            let tls_port = tls.map(|_| free_port());
            if let (Some(settings), Some(port)) = (tls, tls_port) {
                options.extend(["--tls-port".to_owned(), port.to_string()]);
                options.extend_from_slice(settings);
            }
            if let Some(running) = Running::start(port, folder.path(), &options) {
                return Self { options, folder, port, tls_port, running };
            }
        }
        panic!("redis-server does not start with {given:?}");
    }

    /// The port that clients and other servers are told of.
    pub(crate) fn port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// Its address for the test itself, without TLS.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command, from a connection of its own.
    pub(crate) async fn command(&self, words: &[&str]) {
        self.ask::<redis::Value>(words).await;
    }

    /// The answer to one command, from a connection of its own.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).await.unwrap()
    }

    /// The same of one that may be refused, or cut off by a Sentinel.
    pub(crate) async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut redis = client.get_multiplexed_async_connection().await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut redis).await
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.running.end();
    }

    /// Starts it again on its port and its folder.
    pub(crate) fn start_again(&mut self) {
        let guard = Instant::now() + Duration::from_secs(30);
        self.running = loop {
            if let Some(running) = Running::start(self.port, self.folder.path(), &self.options) {
                break running;
            }
            assert!(Instant::now() < guard, "redis-server does not start again");
        };
    }

    /// Holds it: what is sent to it lies in its sockets.
    pub(crate) fn pause(&self) {
        self.running.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.running.signal(Signal::CONT);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.end();
    }
}

impl Running {
    /// `None` if it ends before it is ready, as it does where the port is taken.
    fn start(port: u16, folder: &std::path::Path, options: &[String]) -> Option<Self> {
        let mut process = Command::new(setting("TEST_REDIS_SERVER"))
            .arg(folder.join("redis.conf"))
            .args(["--bind", "127.0.0.1", "--save", "", "--logfile", "", "--port"])
            .arg(port.to_string())
            .arg("--dir")
            .arg(folder)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut prints = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while prints.read_line(&mut line).unwrap() > 0 {
            // A Sentinel says the other.
            if line.contains("Ready to accept connections") || line.contains("+monitor master") {
                return Some(Self { process, _prints: prints });
            }
            line.clear();
        }
        process.wait().unwrap();
        None
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
