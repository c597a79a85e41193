//! One request with its deadline, and what is wrong with its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as SendError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::Error;
use crate::options::Options;
use crate::refusal::Document;

/// The largest head of an answer.
const HEAD: usize = 32 * 1024;

/// A pool of connections to any servers.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_within: Duration,
}

/// A request, before it is sent.
pub(crate) struct Call {
    method: Method,
    address: String,
    headers: HeaderMap,
    body: Bytes,
    extra: Duration,
    most: usize,
}

/// An answer that is no error.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// The largest body of an answer to buyers.
    const BODY: usize = 256 * 1024;

    pub(crate) fn new(method: Method, address: String) -> Self {
        let headers =
            HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self {
            method,
            address,
            headers,
            body: Bytes::new(),
            extra: Duration::ZERO,
            most: Self::BODY,
        }
    }

    pub(crate) fn get(address: String) -> Self {
        Self::new(Method::GET, address)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::Setup(format!("the value of {name} cannot be sent in a header")))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Presents a token, a JWT or a key.
    pub(crate) fn bearer(mut self, credentials: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(&format!("Bearer {credentials}"))
            .map_err(|_| Error::Setup("the credentials cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    pub(crate) fn json(mut self, body: &impl serde::Serialize) -> Self {
        self.body =
            serde_json::to_vec(body).expect("bodies have text keys and plain values").into();
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// The server was asked to wait this long.
    pub(crate) fn waits(mut self, extra: Duration) -> Self {
        self.extra = extra;
        self
    }

    /// The largest body that is read.
    pub(crate) fn at_most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    fn request(self) -> Result<Request<Full<Bytes>>, Error> {
        let uri: Uri = self
            .address
            .parse()
            .map_err(|error| Error::Setup(format!("{}: {error}", self.address)))?;
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

impl Http {
    pub(crate) fn new(options: &Options, tls: &Arc<ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_within));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_within)
            .pool_max_idle_per_host(options.idle_connections)
            .http1_max_buf_size(HEAD)
            .build(connector);
        Self { pool, answer_within: options.answer_within }
    }

    /// Sends a call and reads all of its answer.
    pub(crate) async fn send(&self, call: Call) -> Result<Answered, Error> {
        let (within, most) = (self.answer_within.saturating_add(call.extra), call.most);
        let request = call.request()?;
        let exchange = async {
            let (head, body) = self.pool.request(request).await.map_err(unsent)?.into_parts();
            let body = whole(body, most).await?;
            check(head.status, &head.headers, &body)?;
            Ok(Answered { status: head.status, headers: head.headers, body })
        };
        timeout(within, exchange).await.unwrap_or_else(|_| Err(late(within)))
    }

    /// The same, for an answer that is JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let answered = self.send(call).await?;
        read(&answered.body)
    }

    /// Sends a call and reads the head of its answer alone.
    pub(crate) async fn open(&self, call: Call) -> Result<Response<Incoming>, Error> {
        let (within, most) = (self.answer_within, call.most);
        let request = call.request()?;
        let exchange = async {
            let answer = self.pool.request(request).await.map_err(unsent)?;
            if answer.status() == StatusCode::OK {
                return Ok(answer);
            }
            let (head, body) = answer.into_parts();
            let body = whole(body, most).await?;
            check(head.status, &head.headers, &body)?;
            Err(Error::protocol(format!("answered {} where a stream was due", head.status)))
        };
        timeout(within, exchange).await.unwrap_or_else(|_| Err(late(within)))
    }
}

/// Reads an answer's JSON.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::protocol)
}

async fn whole(body: Incoming, most: usize) -> Result<Bytes, Error> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::protocol(format!("more than {most} bytes")))
        }
        Err(error) => Err(Error::no_answer(BROKE, error)),
    }
}

/// What no answer is, in words that can be counted.
const BROKE: &str = "the connection broke";

fn late(within: Duration) -> Error {
    Error::no_answer("no answer in time", format!("{} ms", within.as_millis()))
}

fn unsent(error: SendError) -> Error {
    if error.is_connect() {
        return Error::no_answer("no connection", chain(&error));
    }
    let parse = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_parse);
    if parse { Error::protocol(chain(&error)) } else { Error::no_answer(BROKE, chain(&error)) }
}

/// An error with all that it came from.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// When the server asks to be asked again. A date instead of seconds is not read.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Sorts out what is no success. A redirect is not followed: it would carry credentials along.
fn check(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), Error> {
    let retry_after = retry_after(headers);
    match status.as_u16() {
        200..=299 | 304 => return Ok(()),
        100..=399 => return Err(Error::protocol(format!("answered {status}"))),
        400.. => {}
        _ => return Err(Error::protocol(format!("answered {status}"))),
    }
    let document = Document::read(body);
    let detail = document.words();
    Err(match status.as_u16() {
        401 => Error::Unauthorized(detail),
        404 => Error::NotFound(detail),
        429 | 503 if document.says_that_nothing_happened() => {
            let problem = document.problem();
            Error::Busy { problem, detail, retry_after }
        }
        408 | 425 | 429 | 500.. => {
            let detail = format!("{status}, {}: {detail}", document.problem());
            Error::NotKnown { why: "no result", detail, retry_after }
        }
        _ => Error::Refused(Box::new(document.refusal(status.as_u16()))),
    })
}
