//! The claim: one buyer asks for units under one request id.

use std::fmt;
use std::time::Instant;

use hyper::{Method, header::HeaderName};
use rand::RngExt as _;
use sale::id::{RequestId, RoundId, SaleId};
use sale::units::Units;
use serde::Serialize;
use tokio::time::sleep;

use crate::Client;
use crate::backoff::pause_after;
use crate::error::Error;
use crate::http::Call;
use crate::refusal::Refusal;
use crate::ticket::Held;

/// Names a claim, or a change, so that it can be sent again.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a buyer asks for. The same claim, however often it is sent, gives the same ticket.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of which sale.
    pub sale: SaleId,
    /// Of which round; the present one where none is named. A claim that may be sent again later
    /// should name it.
    pub round: Option<RoundId>,
    /// Names the claim among those of the buyer.
    pub request: RequestId,
    /// How much.
    pub units: Units,
    /// Vouches for the buyer.
    pub jwt: String,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("sale", &self.sale)
            .field("round", &self.round)
            .field("request", &self.request)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

impl Claim {
    /// A new claim of one unit, under a request id of its own.
    pub fn new(sale: SaleId, jwt: impl Into<String>) -> Self {
        Self { sale, round: None, request: drawn(), units: Units::ONE, jwt: jwt.into() }
    }
}

/// 128 random bits.
fn drawn() -> RequestId {
    let bits: u128 = rand::rng().random();
    RequestId::new(&format!("{bits:032x}")).expect("32 hexadecimal digits are visible ASCII")
}

/// What a claim was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was granted, at this time or before.
    Ticket(Held),
    /// It was refused for good.
    Refused(Refusal),
}

impl Client {
    /// Sends a claim once. After an error the claim may have been granted all the same.
    ///
    /// # Errors
    /// No answer, or none that says yes or no.
    pub async fn claim_once(&self, claim: &Claim) -> Result<Answer, Error> {
        #[derive(Serialize)]
        struct Body {
            units: Units,
            #[serde(skip_serializing_if = "Option::is_none")]
            round: Option<RoundId>,
        }
        let address = self.api(&format!("/v1/sales/{}/tickets", claim.sale));
        let mut call = Call::new(Method::POST, address)
            .bearer(&claim.jwt)?
            .json(&Body { units: claim.units, round: claim.round });
        if !claim.request.is_none() {
            call = call.header(KEY, claim.request.as_str())?;
        }
        match self.http().json(call).await {
            Ok(held) => Ok(Answer::Ticket(held)),
            Err(Error::Refused(refusal)) => Ok(Answer::Refused(*refusal)),
            Err(error) => Err(error),
        }
    }

    /// Sends a claim, again and again under its request id, until there is a yes or a no. No
    /// attempt is begun after [`Options::claim_within`](crate::Options::claim_within).
    ///
    /// # Errors
    /// The last one when the time is up, and at once one that the same claim cannot mend.
    pub async fn claim(&self, claim: &Claim) -> Result<Answer, Error> {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            let error = match self.claim_once(claim).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = pause_after(&error, tries);
            let too_late = begun.elapsed() + pause >= self.options().claim_within;
            if too_late || !error.is_worth_another_try() {
                return Err(error);
            }
            sleep(pause).await;
            tries += 1;
        }
    }
}
