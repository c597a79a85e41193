//! The buyer's side of Dibs: claim, and hear the final result.
//!
//! [`Client::claim`] asks until there is a yes or a no, always under the same request id, so that
//! a retry never is a second claim. [`Client::watch`] tells each newer version of the ticket until
//! the final one, over WebSocket where that can be had and over Server-Sent Events, held requests
//! or plain polling where it cannot; lost connections are made again.
//!
//! ```no_run
#![doc = include_str!("../examples/buy.rs")]
//! ```
//!
//! Whatever a server sends, nothing here panics; bodies, frames and lines are read up to a bound,
//! and each call has a deadline. A [`Client`] is cheap to clone, and its clones share their
//! connections: one serves any number of buyers.

mod admin;
mod backoff;
mod claim;
mod clock;
mod error;
mod http;
mod options;
mod read;
mod refusal;
mod sale;
mod socket;
mod ticket;
mod tls;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use rustls::ClientConfig;
use serde::Deserialize;
use url::Url;

pub use ::sale::id::{BuyerId, RequestId, RoundId, SaleId, TicketId};
pub use ::sale::time::Timestamp;
pub use ::sale::units::Units;

pub use crate::admin::{
    Admin, Applied, Entry, InGate, InLedger, NewSale, Parked, Report, Round, Standing,
};
pub use crate::backoff::{backoff, pause_after};
pub use crate::claim::{Answer, Claim};
pub use crate::clock::Clock;
pub use crate::error::Error;
pub use crate::options::Options;
pub use crate::read::{Ask, Read};
pub use crate::refusal::{Refusal, Why};
pub use crate::sale::{Guest, Sale, Stage};
pub use crate::socket::{Frame, Socket};
pub use crate::ticket::{Held, Seen, Status, Ticket};
pub use crate::watch::{News, Watch, Way, Ways};

use crate::http::{Call, Http};

/// How many samples of the server's clock are taken at most.
const SAMPLES: usize = 5;

/// A round trip this short is good enough: half of it is the most that the clock can be wrong.
const SHORT: Duration = Duration::from_millis(40);

/// Speaks to one Dibs for any number of buyers. Clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: Http,
    tls: Arc<ClientConfig>,
    options: Options,
    api: String,
    push: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client by these options. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that is not `http` or `https`, or certificates that cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        let tls = tls::config(&options)?;
        let (api, push) = (base(&options.api)?, base(&options.push)?);
        Ok(Self(Arc::new(Inner { http: Http::new(&options, &tls), tls, options, api, push })))
    }

    /// Reads the server's clock: up to five samples, of which the one with the shortest round trip
    /// counts.
    ///
    /// # Errors
    /// Not one sample was had.
    pub async fn clock(&self) -> Result<Clock, Error> {
        #[derive(Deserialize)]
        struct Now {
            now: i64,
        }
        let mut best: Option<Clock> = None;
        for taken in 0..SAMPLES {
            if taken > 1 && best.is_some_and(|best| best.error() <= SHORT / 2) {
                break;
            }
            let sent = Instant::now();
            let now = match self.http().json::<Now>(Call::get(self.api("/v1/now"))).await {
                Ok(Now { now }) => Timestamp::from_millis(now).map_err(Error::protocol)?,
                Err(error) => match best {
                    Some(best) => return Ok(best),
                    None => return Err(error),
                },
            };
            let sample = Clock::sample(now, sent, Instant::now());
            best = Some(match best {
                Some(best) if best.error() <= sample.error() => best,
                Some(_) | None => sample,
            });
        }
        Ok(best.expect("a sample that was not had has returned"))
    }

    /// What is sold.
    ///
    /// # Errors
    /// No answer.
    pub async fn sales(&self) -> Result<Vec<Sale>, Error> {
        #[derive(Deserialize)]
        struct List {
            sales: Vec<Sale>,
        }
        Ok(self.http().json::<List>(Call::get(self.api("/v1/sales"))).await?.sales)
    }

    /// One sale.
    ///
    /// # Errors
    /// No answer, or no such sale.
    pub async fn sale(&self, id: &SaleId) -> Result<Sale, Error> {
        self.http().json(Call::get(self.api(&format!("/v1/sales/{id}")))).await
    }

    /// Becomes a new guest.
    ///
    /// # Errors
    /// No answer; [`Error::NotFound`] where guests are not allowed.
    pub async fn guest(&self) -> Result<Guest, Error> {
        self.http().json(Call::new(Method::POST, self.api("/v1/guests"))).await
    }

    fn http(&self) -> &Http {
        &self.0.http
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    fn api(&self, path: &str) -> String {
        format!("{}{path}", self.0.api)
    }

    fn ticket(&self, id: TicketId) -> String {
        format!("{}/v1/tickets/{id}", self.0.push)
    }
}

/// The address that paths are put behind.
fn base(url: &Url) -> Result<String, Error> {
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !fits || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        // What is wrong may be a password in it.
        let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
        let words = "is no address of a server: write it as https://host[:port]";
        return Err(Error::Setup(format!("{scheme}://{host}… {words}")));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
