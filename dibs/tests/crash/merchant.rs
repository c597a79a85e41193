//! A merchant who changes his stock while it is sold.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{ADMIN_KEY, Server};
use crate::market::{Market, Stall};
use crate::memory::parsed;

/// The changes of one merchant: a round takes 1,000 in all.
const CHANGES_MOST: usize = 450;

/// Changes the stock of [`Stall::Moving`], each change under its own key until it is answered.
pub(crate) struct Merchant {
    name: &'static str,
    direction: i32,
    market: Arc<Market>,
    dice: StdRng,
    changes: Vec<Change>,
}

/// A change that was answered.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) asked: i32,
    pub(crate) applied: i64,
}

impl Merchant {
    /// `direction` is 1 for one who adds units and -1 for one who takes them back.
    pub(crate) fn new(name: &'static str, direction: i32, market: Arc<Market>, seed: u64) -> Self {
        Self { name, direction, market, dice: StdRng::seed_from_u64(seed), changes: Vec::new() }
    }

    /// Changes stock and words until the market closes.
    pub(crate) async fn trade(mut self) -> Vec<Change> {
        while !self.market.closing.is_cancelled() && self.changes.len() < CHANGES_MOST {
            let key = format!("{}-{}", self.name, self.changes.len());
            let asked = self.direction * self.dice.random_range(1..=5);
            let answer = self.patch(Some(&key), json!({ "restock": asked })).await;
            let applied = answer["applied"].as_i64().unwrap();
            self.changes.push(Change { key, asked, applied });
            let name = format!("{} after {}", self.name, self.changes.len());
            assert_eq!(self.patch(None, json!({ "name": name })).await["id"], Stall::Moving.id());
        }
        self.changes
    }

    async fn patch(&mut self, key: Option<&str>, body: Value) -> Value {
        loop {
            match send(&self.market.http, self.market.to_claim(), key, &body).await {
                Ok((StatusCode::OK, answer)) => {
                    self.market.count_answer();
                    return parsed(&answer);
                }
                Ok((status, answer)) => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}: {answer}");
                }
                Err(_) => {}
            }
            self.market.back_off(&mut self.dice).await;
        }
    }
}

async fn send(
    http: &reqwest::Client,
    base: &str,
    key: Option<&str>,
    body: &Value,
) -> reqwest::Result<(StatusCode, String)> {
    let address = format!("{base}/v1/admin/sales/{}", Stall::Moving.id());
    let mut request = http.patch(address).bearer_auth(ADMIN_KEY).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// Checks that each change was applied once, and answers their sum: asked for again, it answers
/// what it had applied, upwards all of it, downwards at most what was asked.
pub(crate) async fn check_changes(server: &Server, changes: &[Change]) -> i64 {
    let stock = server.sale(Stall::Moving.id()).await["stock"].clone();
    for Change { key, asked, applied } in changes {
        let fits = if *asked > 0 {
            *applied == i64::from(*asked)
        } else {
            (i64::from(*asked)..=0).contains(applied)
        };
        assert!(fits, "{key}: {applied} of {asked}");
        let body = json!({ "restock": asked });
        let (status, answer) = send(&server.http, &server.base, Some(key), &body).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(parsed(&answer)["applied"], *applied, "{key}");
    }
    assert_eq!(server.sale(Stall::Moving.id()).await["stock"], stock, "asking again adds nothing");
    changes.iter().map(|change| change.applied).sum()
}
