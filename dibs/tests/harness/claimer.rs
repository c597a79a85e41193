//! Buyers.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{SHOP_SECRET, Server, eventually};

/// A JWT of the shop for a buyer, good for an hour.
#[expect(clippy::disallowed_methods, reason = "a test signs for the present of this machine")]
pub(crate) fn jwt(buyer: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = EncodingKey::from_secret(SHOP_SECRET.as_bytes());
    let claims = json!({ "sub": buyer, "exp": now + 3600 });
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

/// What a claim was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// A ticket that was answered 202 or 200: what the server owes a final result for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owed {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) buyer: String,
    pub(crate) request: Option<String>,
    pub(crate) units: u8,
}

/// A claim, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) sale: String,
    pub(crate) buyer: String,
    pub(crate) request: Option<String>,
    pub(crate) units: u8,
}

impl Claim {
    /// One unit, without a request id.
    pub(crate) fn of(sale: &str, buyer: &str) -> Self {
        Self { sale: sale.to_owned(), buyer: buyer.to_owned(), request: None, units: 1 }
    }

    pub(crate) fn under(mut self, request: &str) -> Self {
        self.request = Some(request.to_owned());
        self
    }

    pub(crate) fn units(mut self, units: u8) -> Self {
        self.units = units;
        self
    }

    /// Sends it; an error is a connection that broke, so that nobody knows.
    pub(crate) async fn send(&self, server: &Server) -> reqwest::Result<Answer> {
        self.send_to(&server.http, &server.base).await
    }

    /// The same to an address.
    pub(crate) async fn send_to(
        &self,
        http: &reqwest::Client,
        base: &str,
    ) -> reqwest::Result<Answer> {
        let answer = self.prepare(http, base).send().await?;
        Ok(Answer { status: answer.status(), body: answer.json().await? })
    }

    /// The HTTP request that makes it.
    pub(crate) fn prepare(&self, http: &reqwest::Client, base: &str) -> RequestBuilder {
        let request = http
            .post(format!("{base}/v1/sales/{}/tickets", self.sale))
            .bearer_auth(jwt(&self.buyer))
            .json(&json!({ "units": self.units }));
        match &self.request {
            Some(id) => request.header("idempotency-key", id),
            None => request,
        }
    }

    /// What is owed after this answer; `None` if it was no ticket.
    pub(crate) fn owed(&self, answer: &Answer) -> Option<Owed> {
        let ticket = [StatusCode::ACCEPTED, StatusCode::OK].contains(&answer.status);
        ticket.then(|| Owed {
            id: answer.body["ticket"]["id"].as_str().unwrap().to_owned(),
            token: answer.body["token"].as_str().unwrap().to_owned(),
            buyer: self.buyer.clone(),
            request: self.request.clone(),
            units: self.units,
        })
    }

    /// Sends it, and expects a ticket.
    pub(crate) async fn win(&self, server: &Server) -> Owed {
        let answer = self.send(server).await.unwrap();
        self.owed(&answer).unwrap_or_else(|| panic!("no ticket: {answer:?}"))
    }
}

impl Server {
    /// Reads a ticket with its token.
    pub(crate) async fn read(&self, owed: &Owed) -> Response {
        let address = format!("{}/v1/tickets/{}", self.reads(), owed.id);
        self.http.get(address).bearer_auth(&owed.token).send().await.unwrap()
    }

    /// Polls a ticket until its result is final.
    pub(crate) async fn result(&self, owed: &Owed) -> Value {
        eventually("the ticket is final", async || {
            let ticket: Value = self.read(owed).await.json().await.unwrap();
            (ticket["final"] == true).then_some(ticket)
        })
        .await
    }
}
