//! The running server's admin API, as the commands call it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, header, request};

use crate::config::Config;
use crate::config::serving::local_url;
use crate::data::Kept;

/// A server with the key that opens its admin API.
pub struct Admin {
    agent: Agent,
    base: String,
    key: String,
}

/// How long one call may take.
const CALL: Duration = Duration::from_secs(15);

/// The most bytes of one answer: a full page of tickets has a few hundred thousand.
const ANSWER: u64 = 16 << 20;

impl Admin {
    /// The server at `url`, or where this configuration listens, with its admin key or the one
    /// that the server keeps in its data folder.
    pub fn new(config: &Config, url: Option<&str>) -> anyhow::Result<Self> {
        let base = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => own_address(config.serving.listen)?,
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(CALL))
            .http_status_as_error(false)
            // By default the environment may name one, and it would be shown the admin key.
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self { agent, base, key: key(config)? })
    }

    /// Asks for `path`.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None)
    }

    /// Sends a body, or none, to `path`.
    pub fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.ask(self.request(method, path), body)
    }

    /// Changes what is at `path`. A change with a key is done once, however often it is sent.
    pub fn change(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.request(Method::PATCH, path);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.ask(request, Some(body))
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
    }

    fn ask(&self, request: request::Builder, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = request
            .body(body.map(Value::to_string).unwrap_or_default())
            .context("this cannot be sent: see the address of the server and the key")?;
        let unreachable = || {
            format!("no answer from {}; is dibs running there? Name the server by --url", self.base)
        };
        let mut answer = self.agent.run(request).with_context(unreachable)?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER)
            .read_to_string()
            .with_context(unreachable)?;
        let body: Value = match text.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_default(),
        };
        if status.is_success() {
            return Ok(body);
        }
        match body.get("detail").or(body.get("title")).and_then(Value::as_str) {
            Some(detail) => bail!("{detail}"),
            None => bail!("{} answered {status}", self.base),
        }
    }
}

fn key(config: &Config) -> anyhow::Result<String> {
    if let Some(key) = &config.keys.admin_key {
        return Ok(key.reveal().to_owned());
    }
    let folder = &config.storage.data;
    Kept::AdminKey.read(folder)?.ok_or_else(|| {
        anyhow!(
            "no admin key: set DIBS_ADMIN_KEY, or name the server's data folder with --data \
             ({} holds none)",
            folder.display()
        )
    })
}

fn own_address(listen: SocketAddr) -> anyhow::Result<String> {
    if listen.port() == 0 {
        bail!("the server chose its own port; name the address that it printed with --url");
    }
    Ok(local_url(listen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_server_is_reached_over_loopback() {
        let reached = |listen: &str| own_address(listen.parse().unwrap());
        assert_eq!(reached("0.0.0.0:8080").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(reached("[::]:8080").unwrap(), "http://[::1]:8080");
        assert_eq!(reached("10.0.0.7:80").unwrap(), "http://10.0.0.7:80");
        assert!(reached("127.0.0.1:0").unwrap_err().to_string().contains("--url"));
    }
}
