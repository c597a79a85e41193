//! Engines that `tools/engines` has started, stopped and started again.

use std::path::PathBuf;
use std::process::Command;

use tokio::net::TcpStream;
use url::Url;

use crate::harness::eventually;
use crate::install;

/// An engine that is down, until this is ended or dropped.
pub(crate) struct Outage {
    engine: &'static str,
    ended: bool,
}

impl Outage {
    /// Kills the engine as a crash would. `variable` has its address.
    pub(crate) async fn of(engine: &'static str, variable: &str) -> Self {
        tools("stop", engine);
        let url = Url::parse(&install::address(variable)).unwrap();
        let address = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        eventually("nobody answers there", async || TcpStream::connect(&address).await.err()).await;
        Self { engine, ended: false }
    }

    /// Starts the engine again, and waits until it answers.
    pub(crate) fn end(mut self) {
        self.ended = true;
        tools("start", self.engine);
    }
}

impl Drop for Outage {
    /// Other tests need the engine, whatever became of this one.
    fn drop(&mut self) {
        if !self.ended {
            tools("start", self.engine);
        }
    }
}

fn tools(what: &str, engine: &str) {
    let tools: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tools", "engines"].iter().collect();
    let folder = install::address("TEST_ENGINES");
    let output = Command::new(tools).args([what, engine, &folder]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
