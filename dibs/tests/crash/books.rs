//! The end of a run: what the server shows from outside against what the buyers remember.

use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::Server;
use crate::harness::audit::Audit;
use crate::market::Stall;
use crate::memory::{Memory, Told};

/// Requests at one time.
const TOGETHER: usize = 16;

/// Checks a sale of the market: its own books, and that all that anybody was told of it holds.
/// More than that may have been sold.
pub(crate) async fn check(server: &Server, stall: Stall, memory: &Memory) -> Audit {
    let audit = check_tickets(server, stall, memory).await;
    assert_eq!(audit.rejected, 0, "a healthy gate grants what the ledger can confirm");
    let winners: HashSet<_> = audit.tickets.values().map(buyer).collect();
    // Who is at the limit has bought. Any other refusal is of one who got nothing.
    let empty_handed = memory.refused.iter().filter(|claim| claim.sale == stall.id());
    for claim in empty_handed.filter(|_| stall != Stall::Several) {
        assert!(!winners.contains(claim.buyer.as_str()), "refused, and sold to: {claim:?}");
    }
    audit
}

/// The same where the gate has lost what it had acknowledged: every ticket has one result, though
/// it may be a rejection.
pub(crate) async fn check_tickets(server: &Server, stall: Stall, memory: &Memory) -> Audit {
    let audit = server.audit(stall.id(), &[]).await;
    let told: Vec<_> = told_of(stall, memory).collect();
    stream::iter(&told)
        .for_each_concurrent(TOGETHER, |told| check_told(server, told, &audit))
        .await;
    audit
}

/// As [`check`], where everybody went on until he was answered: nothing else was sold.
pub(crate) async fn check_all(server: &Server, stall: Stall, memory: &Memory) -> Audit {
    let audit = check(server, stall, memory).await;
    let known: HashSet<_> = told_of(stall, memory).map(|told| told.id.as_str()).collect();
    let listed: HashSet<_> = audit.tickets.keys().map(String::as_str).collect();
    assert_eq!(listed, known, "the list of {stall:?} and what its buyers know");
    eprintln!("{stall:?}: {} tickets, {} units", listed.len(), audit.confirmed_units);
    audit
}

fn told_of(stall: Stall, memory: &Memory) -> impl Iterator<Item = &Told> {
    memory.told.values().filter(move |told| told.claim.sale == stall.id())
}

fn buyer(row: &Value) -> &str {
    row["buyer"].as_str().unwrap()
}

/// One ticket: listed, its buyer's, read by its token, and found by its claim.
async fn check_told(server: &Server, told: &Told, audit: &Audit) {
    let Told { claim, id, token, .. } = told;
    let row = audit.tickets.get(id).unwrap_or_else(|| panic!("lost: {told:?}"));
    assert_eq!(buyer(row), claim.buyer, "{told:?}");
    let address = format!("{}/v1/tickets/{id}", server.reads());
    let read = server.http.get(address).bearer_auth(token).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK, "{told:?}");
    let read = read.text().await.unwrap();
    let again = claim.prepare(&server.http, &server.base).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "{told:?}");

    let mut memory = Memory::default();
    memory.told.insert(id.clone(), told.clone());
    memory.saw(id, &read);
    assert_eq!(memory.answered(claim, &again.text().await.unwrap()), *id, "{told:?}");
    assert!(memory.told[id].is_final(), "{told:?}");
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), row["ticket"], "{told:?}");
}
