//! Engines that `tools/engines` has started, stopped and started again.

use std::path::PathBuf;
use std::process::Output;

use tokio::net::TcpStream;
use tokio::process::Command;
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
        let outage = Self { engine, ended: false };
        succeeded(&tools("stop", engine).output().await.unwrap());
        let url = Url::parse(&install::address(variable)).unwrap();
        let address = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        eventually("nobody answers there", async || TcpStream::connect(&address).await.err()).await;
        outage
    }

    /// Starts the engine again, and waits until it answers.
    pub(crate) async fn end(mut self) {
        self.ended = true;
        succeeded(&tools("start", self.engine).output().await.unwrap());
    }
}

impl Drop for Outage {
    /// Other tests need the engine, whatever became of this one.
    fn drop(&mut self) {
        if !self.ended {
            match tools("start", self.engine).as_std_mut().output() {
                Ok(output) if output.status.success() => {}
                failed => eprintln!("{} is still down: {failed:?}", self.engine),
            }
        }
    }
}

fn tools(what: &str, engine: &str) -> Command {
    let tools: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tools", "engines"].iter().collect();
    let mut command = Command::new(tools);
    command.args([what, engine, &install::address("TEST_ENGINES")]);
    command
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
