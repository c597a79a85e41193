//! The invariants, checked from outside.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::claimer::Owed;
use super::{Server, eventually};

/// What an audit found right, for further checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    /// The sale's tickets by id, with their buyers: `{"ticket":…,"buyer":…}`.
    pub(crate) tickets: HashMap<String, Value>,
    pub(crate) confirmed_units: u64,
    pub(crate) rejected: u64,
}

impl Server {
    /// Waits until the sale is quiet, then checks that its units are conserved, that no buyer
    /// is above the limit, that every ticket is there once and final, and that every ticket of
    /// `owed` is among them, is its buyer's, and reads the same with its token.
    pub(crate) async fn audit(&self, sale: &str, owed: &[Owed]) -> Audit {
        let counts = self.until_quiet(sale).await;
        let number = |key: &str| counts[key].as_i64().unwrap_or_else(|| panic!("{key}: {counts}"));
        let tickets = self.tickets(sale).await;
        let conserved = number("available") + number("held") + number("sold");
        assert_eq!(number("stock"), conserved, "units are conserved: {counts}");
        assert!(number("available") >= 0, "no unit was sold twice: {counts}");

        let confirmed_units = check_tickets(&tickets, counts["limit"].as_u64().unwrap());
        let rejected = tickets.values().filter(|row| row["ticket"]["status"] == "rejected").count();
        assert_eq!(number("sold") as u64, confirmed_units, "sold is what was confirmed");
        assert_eq!(number("rejected") as u64, rejected as u64, "every rejection is counted");
        stream::iter(owed)
            .for_each_concurrent(16, |ticket| self.check_owed(ticket, &tickets))
            .await;
        Audit { tickets, confirmed_units, rejected: rejected as u64 }
    }

    /// Waits until nothing of the sale is pending, in gate, ledger or among what was set aside.
    async fn until_quiet(&self, sale: &str) -> Value {
        eventually("nothing is pending", async || {
            let (status, counts) = self.admin(Method::GET, &format!("sales/{sale}"), None).await;
            let (_, parked) = self.admin(Method::GET, "parked", None).await;
            let quiet = counts["held"] == 0 && parked["parked"].as_array()?.is_empty();
            (status == StatusCode::OK && quiet).then_some(counts)
        })
        .await
    }

    /// Every ticket of a sale that the ledger has.
    pub(crate) async fn tickets(&self, sale: &str) -> HashMap<String, Value> {
        let mut tickets = HashMap::new();
        let mut after = String::new();
        loop {
            let path = format!("sales/{sale}/tickets?limit=1000{after}");
            let (status, page) = self.admin(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            for row in page["tickets"].as_array().unwrap() {
                let id = row["ticket"]["id"].as_str().unwrap().to_owned();
                assert!(tickets.insert(id, row.clone()).is_none(), "listed twice: {row}");
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return tickets,
            }
        }
    }

    async fn check_owed(&self, owed: &Owed, tickets: &HashMap<String, Value>) {
        let row = tickets.get(&owed.id).unwrap_or_else(|| panic!("lost: {owed:?}"));
        assert_eq!(row["buyer"], owed.buyer, "{owed:?}");
        assert_eq!(row["ticket"]["units"], owed.units, "{owed:?}");
        let read = self.read(owed).await;
        assert_eq!(read.status(), StatusCode::OK, "{owed:?}");
        let read: Value = read.json().await.unwrap();
        assert_eq!(read, row["ticket"], "the buyer reads what the ledger has");
    }
}

fn check_tickets(tickets: &HashMap<String, Value>, limit: u64) -> u64 {
    let mut held: HashMap<&str, u64> = HashMap::new();
    let states = HashSet::from(["confirmed", "rejected"]);
    for row in tickets.values() {
        let ticket = &row["ticket"];
        assert!(states.contains(ticket["status"].as_str().unwrap()), "not final: {ticket}");
        assert_eq!(ticket["final"], true, "{ticket}");
        assert_eq!(ticket["version"], 2, "one result, never changed: {ticket}");
        if ticket["status"] == "confirmed" {
            *held.entry(row["buyer"].as_str().unwrap()).or_default() +=
                ticket["units"].as_u64().unwrap();
        }
    }
    for (buyer, units) in &held {
        assert!(*units <= limit, "{buyer} holds {units} of {limit}");
    }
    held.values().sum()
}
