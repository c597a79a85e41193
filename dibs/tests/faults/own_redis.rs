//! A redis-server that belongs to one test, and may be emptied and set back.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use redis::TypedCommands as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::dice::address;
use crate::harness::eventually;

/// It keeps nothing on disk, save when it is told to. Killed in the end.
pub(crate) struct Redis {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "tests are told where redis-server is")]
fn server() -> String {
    std::env::var("TEST_REDIS_SERVER").expect("TEST_REDIS_SERVER must name a program: run ./test")
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let address = address().parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = spawn(address, &folder);
        let redis = Self { process, address, folder };
        redis.until_up().await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Throws away all that it holds.
    pub(crate) fn empty(&self) {
        self.connection().unwrap().flushall().unwrap();
    }

    /// What it holds at this moment.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        redis::cmd("SAVE").exec(&mut self.connection().unwrap()).unwrap();
        fs::read(self.file()).unwrap()
    }

    /// Kills it and starts it again with what it held then.
    pub(crate) async fn set_back(&mut self, snapshot: &[u8]) {
        self.process.kill().await.unwrap();
        fs::write(self.file(), snapshot).unwrap();
        self.process = spawn(self.address, &self.folder);
        self.until_up().await;
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url())?.get_connection()
    }

    async fn until_up(&self) {
        eventually("redis-server answers", async || self.connection().ok()?.ping().ok()).await;
    }
}

fn spawn(address: SocketAddr, folder: &TempDir) -> Child {
    Command::new(server())
        .args(["--bind", "127.0.0.1", "--save", "", "--logfile", "log", "--port"])
        .arg(address.port().to_string())
        .arg("--dir")
        .arg(folder.path())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
