//! The merchant's side, as far as the admin API goes.

mod report;

use std::fmt;

use hyper::Method;
use sale::id::{RequestId, SaleId, TicketId};
use sale::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::Client;
use crate::claim::KEY;
use crate::error::Error;
use crate::http::Call;
use crate::options::Options;

pub use report::{Applied, Entry, InGate, InLedger, NewSale, Parked, Report, Round, Standing};

/// Entries of one page.
const PAGE: usize = 1000;

/// The largest answer: a full page of tickets has a few hundred thousand bytes.
const ANSWER: usize = 16 * 1024 * 1024;

/// Speaks to the admin API.
#[derive(Clone)]
pub struct Admin {
    client: Client,
    key: String,
}

#[derive(Deserialize)]
struct Page {
    tickets: Vec<Entry>,
    next: Option<TicketId>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("api", &self.client.options().api).finish_non_exhaustive()
    }
}

impl Admin {
    /// The admin API at this address, opened by this key.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(api: Url, key: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::of(Client::new(Options::new(api))?, key))
    }

    /// The admin API of a client's server, over its connections.
    pub fn of(client: Client, key: impl Into<String>) -> Self {
        Self { client, key: key.into() }
    }

    /// Creates a sale; the same again changes nothing.
    ///
    /// # Errors
    /// No answer, or a refusal, for instance because another sale has the id.
    pub async fn create(&self, sale: &NewSale) -> Result<Report, Error> {
        self.send(self.call(Method::POST, "sales")?.json(sale)).await
    }

    /// All sales, up to 1,000, the newest first.
    ///
    /// # Errors
    /// No answer.
    pub async fn sales(&self) -> Result<Vec<Report>, Error> {
        #[derive(Deserialize)]
        struct List {
            sales: Vec<Report>,
        }
        let list: List = self.get(&format!("sales?limit={PAGE}")).await?;
        Ok(list.sales)
    }

    /// A sale with its counts.
    ///
    /// # Errors
    /// No answer, or no such sale.
    pub async fn sale(&self, id: &SaleId) -> Result<Report, Error> {
        self.get(&format!("sales/{id}")).await
    }

    /// All tickets of a sale that the ledger has.
    ///
    /// # Errors
    /// No answer, or no such sale.
    pub async fn tickets(&self, sale: &SaleId) -> Result<Vec<Entry>, Error> {
        let path = format!("sales/{sale}/tickets");
        self.pages(&path, |page: Page| (page.tickets, page.next)).await
    }

    /// One ticket of a sale; none if the ledger does not have it.
    ///
    /// # Errors
    /// No answer, or no such sale.
    pub async fn ticket(&self, sale: &SaleId, id: TicketId) -> Result<Option<Entry>, Error> {
        // The list is in the order of the ids.
        let before = u128::from_be_bytes(id.0).checked_sub(1);
        let after = before.map(|before| format!("&after={}", TicketId(before.to_be_bytes())));
        let path = format!("sales/{sale}/tickets?limit=1{}", after.unwrap_or_default());
        let page: Page = self.get(&path).await?;
        Ok(page.tickets.into_iter().find(|entry| entry.ticket.ticket.id == id))
    }

    /// All orders that could not be processed.
    ///
    /// # Errors
    /// No answer.
    pub async fn parked(&self) -> Result<Vec<Parked>, Error> {
        #[derive(Deserialize)]
        struct List {
            parked: Vec<Parked>,
            next: Option<TicketId>,
        }
        self.pages("parked", |page: List| (page.parked, page.next)).await
    }

    /// Every round that is not retired, gate beside ledger.
    ///
    /// # Errors
    /// No answer.
    pub async fn rounds(&self) -> Result<Vec<Round>, Error> {
        #[derive(Deserialize)]
        struct List {
            rounds: Vec<Round>,
        }
        Ok(self.get::<List>("rounds").await?.rounds)
    }

    /// Adds units to a sale, or takes them back if negative. The same key again changes nothing.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn restock(
        &self,
        sale: &SaleId,
        key: &RequestId,
        units: i32,
    ) -> Result<Applied, Error> {
        let call = self.call(Method::PATCH, &format!("sales/{sale}"))?;
        self.send(call.header(KEY, key.as_str())?.json(&json!({ "restock": units }))).await
    }

    /// Renames a sale.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn rename(&self, sale: &SaleId, name: &str) -> Result<Report, Error> {
        self.amend(sale, &json!({ "name": name })).await
    }

    /// Moves the window of a sale that has not opened yet; what is not given stays.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn reschedule(
        &self,
        sale: &SaleId,
        opens_at: Option<Timestamp>,
        closes_at: Option<Timestamp>,
    ) -> Result<Report, Error> {
        self.amend(sale, &json!({ "opens_at": opens_at, "closes_at": closes_at })).await
    }

    /// Closes a sale, for good.
    ///
    /// # Errors
    /// No answer, or no such sale.
    pub async fn close(&self, sale: &SaleId) -> Result<Report, Error> {
        self.amend(sale, &json!({ "closed": true })).await
    }

    /// Has an order tried again that could not be processed.
    ///
    /// # Errors
    /// No answer, or no such order.
    pub async fn resend(&self, ticket: TicketId) -> Result<(), Error> {
        self.release(ticket, "resend").await
    }

    /// Has an order rejected that could not be processed.
    ///
    /// # Errors
    /// No answer, or no such order.
    pub async fn reject(&self, ticket: TicketId) -> Result<(), Error> {
        self.release(ticket, "reject").await
    }

    async fn release(&self, ticket: TicketId, how: &str) -> Result<(), Error> {
        let call = self.call(Method::POST, &format!("parked/{ticket}/{how}"))?;
        self.client.http().send(call).await.map(|_| ())
    }

    async fn amend(&self, sale: &SaleId, change: &Value) -> Result<Report, Error> {
        self.send(self.call(Method::PATCH, &format!("sales/{sale}"))?.json(change)).await
    }

    async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        split: impl Fn(P) -> (Vec<T>, Option<TicketId>),
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut next) = split(self.get(&format!("{path}?limit={PAGE}")).await?);
        while let Some(after) = next {
            let page = self.get(&format!("{path}?limit={PAGE}&after={after}")).await?;
            let (more, following) = split(page);
            // Ids of a list rise: a server that goes in circles would never end.
            if following.is_some_and(|following| following <= after) {
                return Err(Error::protocol("the pages of a list do not go on"));
            }
            all.extend(more);
            next = following;
        }
        Ok(all)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(self.call(Method::GET, path)?).await
    }

    async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        self.client.http().json(call).await
    }

    fn call(&self, method: Method, path: &str) -> Result<Call, Error> {
        let address = self.client.api(&format!("/v1/admin/{path}"));
        Ok(Call::new(method, address).bearer(&self.key)?.at_most(ANSWER))
    }
}
