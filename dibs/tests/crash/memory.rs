//! All that buyers were told, checked as they are told it.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::harness::claimer::Claim;

/// What the buyers know.
#[derive(Debug, Default, Clone)]
pub(crate) struct Memory {
    /// By the ticket's id.
    pub(crate) told: HashMap<String, Told>,
    /// Claims that were refused for good.
    pub(crate) refused: Vec<Claim>,
    /// The gate loses what it has acknowledged: whoever claims again may be granted his ticket
    /// anew, or be refused it, or be shown it as it was before the verdict. What he is told of
    /// the ticket that he has holds all the same.
    pub(crate) forgetful: bool,
    /// How claims failed that had to be sent again.
    pub(crate) unanswered: Vec<String>,
}

/// What a buyer was told of one ticket.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) claim: Claim,
    pub(crate) id: String,
    pub(crate) token: String,
    /// The ticket's text by its version.
    versions: BTreeMap<u64, String>,
    final_version: Option<u64>,
}

/// The answer to a claim that has a ticket.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    ticket: &'a RawValue,
    token: String,
}

impl Memory {
    /// Takes in the answer 200 or 202 to a claim; the ticket's id. The same claim has the same
    /// ticket and the same token, whatever lies between.
    pub(crate) fn answered(&mut self, claim: &Claim, body: &str) -> String {
        let Found { ticket, token } = serde_json::from_str(body).unwrap();
        let id = text(&parsed(ticket.get())["id"]).to_owned();
        let new = || Told {
            claim: claim.clone(),
            id: id.clone(),
            token: token.clone(),
            versions: BTreeMap::new(),
            final_version: None,
        };
        let told = self.told.entry(id.clone()).or_insert_with(new);
        if self.forgetful && told.token != token {
            told.granted_anew(&token);
        }
        assert_eq!((&told.claim, &told.token), (claim, &token), "a ticket is of one claim: {id}");
        let version = parsed(ticket.get())["version"].as_u64().unwrap();
        if !self.forgetful || version >= told.newest() {
            told.saw(ticket.get());
        }
        id
    }

    /// The tickets of one buyer with their tokens, sorted.
    pub(crate) fn held_by(&self, buyer: &str) -> Vec<(&str, &str)> {
        let of_buyer = self.told.values().filter(|told| told.claim.buyer == buyer);
        let mut held: Vec<_> =
            of_buyer.map(|told| (told.id.as_str(), told.token.as_str())).collect();
        held.sort_unstable();
        held
    }

    /// Takes in a ticket that was read or pushed.
    pub(crate) fn saw(&mut self, id: &str, ticket: &str) {
        self.told.get_mut(id).unwrap().saw(ticket);
    }
}

impl Told {
    /// A version has the same bytes wherever it is shown, versions do not go back, and nothing
    /// follows a final result.
    fn saw(&mut self, ticket: &str) {
        let shown = parsed(ticket);
        let version = shown["version"].as_u64().unwrap();
        assert_eq!(shown["id"], self.id.as_str(), "{ticket}");
        assert_eq!(shown["sale"], self.claim.sale.as_str(), "{ticket}");
        assert_eq!(shown["units"], self.claim.units, "{ticket}");
        assert!(version >= self.newest(), "after {}: {ticket}", self.newest());
        if let Some(last) = self.final_version {
            assert_eq!(version, last, "after a final result: {ticket}");
        }
        let known = self.versions.entry(version).or_insert_with(|| ticket.to_owned());
        assert_eq!(known, ticket, "one version, two texts");
        if shown["final"] == true {
            self.final_version = Some(version);
        }
    }

    /// The gate has lost the grant, and the ticket was granted at a later moment, which its token
    /// and its text tell. What was final stays.
    fn granted_anew(&mut self, token: &str) {
        self.token = token.to_owned();
        if !self.is_final() {
            self.versions.clear();
        }
    }

    /// The highest version that was seen.
    pub(crate) fn newest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or_default()
    }

    pub(crate) fn is_final(&self) -> bool {
        self.final_version.is_some()
    }
}

pub(crate) fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
