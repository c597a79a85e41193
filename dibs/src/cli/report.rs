//! `dibs report`

use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;

use super::admin::Admin;
use super::table;

/// Before a round that disagrees is looked at again: a verdict may have been on its way.
const AGAIN: Duration = Duration::from_secs(1);

/// Prints gate beside ledger, round by round. An error names the rounds that disagree.
pub fn run(admin: &Admin, json: bool) -> anyhow::Result<()> {
    let first = Answer::of(admin)?;
    let answer = if first.differing().is_empty() {
        first
    } else {
        thread::sleep(AGAIN);
        Answer::of(admin)?
    };
    let out = &mut io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer.told)?)?;
    } else {
        let rows: Vec<_> = answer.rounds.iter().map(columns).collect();
        table::write(out, HEADING, &rows)?;
    }
    let differing = answer.differing();
    if !differing.is_empty() {
        bail!(
            "gate and ledger disagree: {}; a worker puts such a round in order within some seconds \
             of quiet: ask again, and see its log if it stays so",
            differing.join("; ")
        );
    }
    Ok(())
}

/// What the server says, and the same as read here.
struct Answer {
    told: Value,
    rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Round {
    sale: String,
    round: String,
    state: String,
    ledger: InLedger,
    gate: Option<InGate>,
    set_aside: usize,
    agree: Option<bool>,
}

#[derive(Deserialize)]
struct InLedger {
    stock: u32,
    available: u32,
    sold: u32,
    rejected: u64,
}

#[derive(Deserialize)]
struct InGate {
    available: i64,
    held: u64,
    sold: u64,
    undecided: usize,
}

impl Answer {
    fn of(admin: &Admin) -> anyhow::Result<Self> {
        let mut told = admin.get("/v1/admin/rounds")?;
        let told = told.get_mut("rounds").map(Value::take).context("the answer has no rounds")?;
        let rounds = Vec::deserialize(&told).context("the server's answer is no report")?;
        Ok(Self { told, rounds })
    }

    /// The rounds that disagree, in words.
    fn differing(&self) -> Vec<String> {
        let differ = self.rounds.iter().filter(|round| round.agree == Some(false));
        let words = differ.filter_map(|Round { sale, round, ledger, gate, set_aside, .. }| {
            let InGate { available, held, sold, .. } = gate.as_ref()?;
            Some(format!(
                "round {round} of {sale} has {available} available, {held} held and {sold} sold in \
                 the gate, and {} available, {} sold and {set_aside} orders set aside in the ledger",
                ledger.available, ledger.sold
            ))
        });
        words.collect()
    }
}

const HEADING: [&str; 13] = [
    "SALE",
    "ROUND",
    "STATE",
    "STOCK",
    "GATE:AVAILABLE",
    "LEDGER:AVAILABLE",
    "GATE:SOLD",
    "LEDGER:SOLD",
    "HELD",
    "UNDECIDED",
    "SET_ASIDE",
    "REJECTED",
    "VERDICT",
];

fn columns(row: &Round) -> [String; 13] {
    let Round { sale, round, state, ledger, gate, set_aside, agree } = row;
    let in_gate = |count: fn(&InGate) -> String| gate.as_ref().map_or("-".to_owned(), count);
    let verdict = match (agree, gate, state.as_str()) {
        (Some(true), ..) => "agree",
        (Some(false), ..) => "DISAGREE",
        (None, _, "recovering") => "being rebuilt",
        (None, _, "not_loaded") => "not in the gate yet",
        (None, None, _) => "the gate does not answer",
        (None, Some(_), _) => "on their way",
    };
    [
        sale.clone(),
        round.clone(),
        state.clone(),
        ledger.stock.to_string(),
        in_gate(|gate| gate.available.to_string()),
        ledger.available.to_string(),
        in_gate(|gate| gate.sold.to_string()),
        ledger.sold.to_string(),
        in_gate(|gate| gate.held.to_string()),
        in_gate(|gate| gate.undecided.to_string()),
        set_aside.to_string(),
        ledger.rejected.to_string(),
        verdict.to_owned(),
    ]
}
