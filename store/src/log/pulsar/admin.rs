//! The broker's admin API, for what its own protocol cannot do.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use url::Url;

use super::Address;
use super::client::in_one_line;
use crate::open::OpenError;

/// One call, with everything it takes.
const CALL: Duration = Duration::from_secs(5);

/// How often one call is sent on: a broker names the one that owns what is asked for.
const SENT_ON: usize = 4;

const JSON: &str = "application/json";

/// Calls the admin API.
#[derive(Clone)]
pub(super) struct Admin {
    agent: Agent,
    base: Url,
    bearer: Option<String>,
}

/// What it answered, other than that it cannot or must not be asked.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Admin {
    pub(super) fn new(base: &Url, address: &Address, ca: Option<&Path>) -> Result<Self, OpenError> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(CALL))
            .http_status_as_error(false)
            // The client would not send a body on, so it is done here.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None);
        if let Some(ca) = ca {
            config = config.tls_config(TlsConfig::builder().root_certs(roots(ca)?).build());
        }
        let bearer = address.token().map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.build().new_agent(), base: base.clone(), bearer })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, OpenError> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Result<Answer, OpenError> {
        self.call(Method::PUT, path, Some((JSON, body.to_string()))).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Answer, OpenError> {
        self.call(Method::POST, path, Some((JSON, body.to_string()))).await
    }

    pub(super) async fn put_as(
        &self,
        path: &str,
        kind: &'static str,
        body: Value,
    ) -> Result<Answer, OpenError> {
        self.call(Method::PUT, path, Some((kind, body.to_string()))).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, String)>,
    ) -> Result<Answer, OpenError> {
        let address = format!("{}/admin/v2/{path}", self.base.as_str().trim_end_matches('/'));
        let this = self.clone();
        let blocking = move || this.send(&method, address, body.as_ref());
        let answer = tokio::task::spawn_blocking(blocking)
            .await
            .map_err(|end| self.unreachable(end))?
            .map_err(|error| self.unreachable(error))?;
        self.judge(answer)
    }

    fn send(
        &self,
        method: &Method,
        mut address: String,
        body: Option<&(&'static str, String)>,
    ) -> Result<Answer, ureq::Error> {
        let mut sent_on = 0;
        loop {
            let mut request = Request::builder().method(method).uri(&address);
            if let Some(bearer) = &self.bearer {
                request = request.header(header::AUTHORIZATION, bearer);
            }
            let response = match body {
                Some((kind, body)) => {
                    let request = request.header(header::CONTENT_TYPE, *kind).body(body.as_str());
                    self.agent.run(request?)?
                }
                None => self.agent.run(request.body(())?)?,
            };
            match self.elsewhere(&response) {
                Some(elsewhere) if sent_on < SENT_ON => address = elsewhere,
                Some(_) | None => return answer(response),
            }
            sent_on += 1;
        }
    }

    /// Where the call is to be sent on to. Never from https to http: it carries the token.
    fn elsewhere(&self, response: &Response<ureq::Body>) -> Option<String> {
        if !response.status().is_redirection() {
            return None;
        }
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        let elsewhere = self.base.join(location).ok()?;
        (elsewhere.scheme() == self.base.scheme()).then(|| elsewhere.into())
    }

    /// Keeps the answers that the caller can do something about.
    fn judge(&self, answer: Answer) -> Result<Answer, OpenError> {
        if !matches!(answer.status, 401 | 403) {
            return Ok(answer);
        }
        Err(OpenError::Refused(format!(
            "the admin API of Pulsar at {self} refuses us with {}; the log's address needs a \
             token with rights on its namespace",
            answer.summary()
        )))
    }

    fn unreachable(&self, error: impl std::fmt::Display) -> OpenError {
        OpenError::Unreachable(format!(
            "the admin API of Pulsar cannot be reached at {self}: {error}"
        ))
    }
}

/// Without anything secret that an address can hold.
impl std::fmt::Display for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base.origin().ascii_serialization())
    }
}

impl Answer {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether what was to be made stands already.
    pub(super) fn is_there(&self) -> bool {
        self.status == 409 && self.reason().contains("already exists")
    }

    /// Whether it may be otherwise the next time: the broker is not ready, or somebody else
    /// wrote the same thing at the same time.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status, 412 | 500..) || (self.status == 409 && !self.is_there())
    }

    /// The broker's own words; empty if there are none but a page for browsers.
    pub(super) fn reason(&self) -> String {
        #[derive(Deserialize)]
        struct Error {
            reason: String,
        }
        let error = serde_json::from_str::<Error>(&self.body);
        error.map_or_else(|_| String::new(), |error| in_one_line(&error.reason))
    }

    /// What went wrong, in one line.
    pub(super) fn summary(&self) -> String {
        format!("{} {}", self.status, self.reason()).trim_end().to_owned()
    }
}

fn answer(mut response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let body = response.body_mut().read_to_string()?;
    Ok(Answer { status: response.status().as_u16(), body })
}

/// The system's root certificates and those of the file.
fn roots(ca: &Path) -> Result<RootCerts, OpenError> {
    let unreadable = |error: String| {
        OpenError::Refused(format!("the certificates in {} cannot be read: {error}", ca.display()))
    };
    let pem = std::fs::read(ca).map_err(|error| unreadable(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.map_err(|error| unreadable(error.to_string()))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(unreadable("there is none".to_owned()));
    }
    for system in rustls_native_certs::load_native_certs().certs {
        certificates.push(Certificate::from_der(&system).to_owned());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::*;

    /// Answers one call each, and hands back what it was sent.
    fn broker(answer: String) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut call, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"7") {
                let mut part = [0; 1024];
                let read = call.read(&mut part).unwrap();
                received.extend_from_slice(&part[..read]);
            }
            call.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(received).unwrap()
        });
        (address, served)
    }

    async fn put(base: &str) -> Answer {
        let address = Address::parse("pulsar://:t0ken@localhost").unwrap();
        let admin = Admin::new(&Url::parse(base).unwrap(), &address, None).unwrap();
        admin.put("namespaces/public/dibs", json!(7)).await.unwrap()
    }

    #[tokio::test]
    async fn a_call_is_sent_on_to_the_broker_that_is_named_with_body_and_token() {
        let (owner, owned) = broker("HTTP/1.1 204 No Content\r\n\r\n".to_owned());
        let (other, sent_on) = broker(format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {owner}/admin/v2/there\r\n\
             Content-Length: 0\r\n\r\n"
        ));
        assert!(put(&other).await.is_done());
        assert!(sent_on.join().unwrap().starts_with("PUT /admin/v2/namespaces/public/dibs "));
        let owned = owned.join().unwrap();
        assert!(owned.starts_with("PUT /admin/v2/there "), "{owned}");
        assert!(owned.to_lowercase().contains("authorization: bearer t0ken"), "{owned}");
        assert!(owned.ends_with("\r\n\r\n7"), "{owned}");
    }

    #[tokio::test]
    async fn a_call_is_not_sent_on_to_another_scheme() {
        let (base, sent_on) = broker(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: ftp://elsewhere/\r\n\
             Content-Length: 0\r\n\r\n"
                .to_owned(),
        );
        assert_eq!(put(&base).await.status, 307);
        sent_on.join().unwrap();
    }
}
