//! `dibs health`

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ureq::Agent;

use crate::config::serving::local_url;

/// How long the answer may take: a probe of every engine has 2 s.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks the server on this machine whether it lives, or whether it does its work.
pub fn run(ops_listen: SocketAddr, ready: bool) -> anyhow::Result<()> {
    if ops_listen.port() == 0 {
        bail!("the server chose its own port; set ops_listen to the one that it printed");
    }
    let path = if ready { "readyz" } else { "healthz" };
    let url = format!("{}/{path}", local_url(ops_listen));
    let agent = Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent();
    let mut answer = agent.get(&url).call().with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    let told = format!("{url} answers {status}: {}", body.trim());
    if !status.is_success() {
        bail!("{told}");
    }
    Ok(writeln!(io::stdout(), "{told}")?)
}
