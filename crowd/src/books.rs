//! What the server has written in the end: sales, tickets, and gate beside ledger.

use std::time::{Duration, Instant};

use client::{Admin, Error, InGate, InLedger, Parked, Report, Standing};
use sale::id::SaleId;
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// Between two looks for quiet.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// All of it, as the admin API told it when everything was quiet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The sales that the crowd went to.
    pub sales: Vec<Sale>,
    /// What is left where nothing should be, in words.
    pub left: Vec<String>,
    /// Whether somebody took acknowledged writes from the gate. Where it is not known, a round
    /// above its first incarnation may have lost some.
    pub gate_lost: Option<bool>,
    /// How long after its grant an order is answered on its merits, in milliseconds. Where it is not
    /// known, a rejection for its deadline accuses nobody.
    pub answer_within_ms: Option<u64>,
}

/// A sale and all its tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Its id.
    pub id: String,
    /// From when on claims are granted.
    pub opens_at: Timestamp,
    /// From when on they are no more.
    pub closes_at: Timestamp,
    /// The most units of one buyer.
    pub limit: u64,
    /// Where its round stands.
    pub state: State,
    /// Counts the loads of its gate, from 1: above 1 it was rebuilt. A retired round tells none.
    pub incarnation: Option<u32>,
    /// The gate's figures; none where it gives no answer, or is retired.
    pub gate: Option<Gate>,
    /// The ledger's figures.
    pub ledger: Ledger,
    /// Every ticket that the ledger has: decided, or set aside and pending.
    pub tickets: Vec<Entry>,
}

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The gate grants.
    Live,
    /// The gate is being rebuilt.
    Recovering,
    /// The gate does not have it yet.
    NotLoaded,
    /// Over: it has left the gate.
    Retired,
}

/// Units, as the gate counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// That can be claimed; below zero if it owes some.
    pub available: i64,
    /// Of tickets that are not final.
    pub held: i64,
    /// Of confirmed tickets.
    pub sold: i64,
    /// Orders in the outbox.
    pub undecided: u64,
}

/// Units, as the ledger counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All that the sale has had.
    pub stock: i64,
    /// That are not confirmed for anybody.
    pub available: i64,
    /// Of confirmed tickets.
    pub sold: i64,
    /// Tickets, not units, that were rejected.
    pub rejected: u64,
}

/// A ticket and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The buyer's id.
    pub buyer: String,
    /// The ticket, as bytes.
    pub ticket: String,
}

impl Books {
    /// Whether the gate of a sale may have granted again what it had forgotten.
    pub fn may_have_lost(&self, sale: &Sale) -> bool {
        self.gate_lost.unwrap_or(sale.incarnation != Some(1))
    }
}

impl Sale {
    /// Whether no order of it is on its way any more: what the ledger lacks will not come.
    pub fn is_settled(&self) -> bool {
        match self.state {
            State::Live => self.gate.is_some_and(|gate| gate.undecided == 0),
            State::Recovering | State::NotLoaded => false,
            State::Retired => true,
        }
    }

    /// Whether all of it is decided, and the gate has the ledger's figures.
    fn is_quiet(&self) -> bool {
        let Ledger { available, sold, .. } = self.ledger;
        let agree = |gate: Gate| (gate.available, gate.held, gate.sold) == (available, 0, sold);
        self.is_settled() && self.gate.is_none_or(agree)
    }
}

/// Reads the books of these sales as soon as they are quiet: everything decided, and the same
/// before and after the tickets were read. What is not quiet in time is told as it is.
///
/// # Errors
/// The server gives no answer until the patience is over, or does not know a sale or the key.
pub async fn read(admin: &Admin, sales: &[SaleId], patience: Duration) -> Result<Books, Error> {
    let until = Instant::now() + patience;
    loop {
        let last = Instant::now() >= until;
        match look(admin, sales, last).await {
            Ok(Some(books)) => return Ok(books),
            Err(error) if last || !error.is_worth_another_try() => return Err(error),
            Ok(None) | Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
}

/// The books, if they are quiet or have to be taken as they are.
async fn look(admin: &Admin, ids: &[SaleId], as_they_are: bool) -> Result<Option<Books>, Error> {
    let mut sales = figures(admin, ids).await?;
    if !as_they_are && !sales.iter().all(Sale::is_quiet) {
        return Ok(None);
    }
    let before = sales.clone();
    let parked = admin.parked().await?;
    for (sale, id) in sales.iter_mut().zip(ids) {
        let decided = admin.tickets(id).await?.into_iter();
        sale.tickets.extend(decided.map(|entry| Entry {
            buyer: entry.buyer.to_string(),
            ticket: entry.ticket.bytes.to_string(),
        }));
        let parked = parked.iter().filter(|parked| parked.sale.as_ref() == Some(id));
        sale.tickets.extend(parked.map(|parked| set_aside(id, parked)));
    }
    let stood_still = as_they_are || figures(admin, ids).await? == before;
    Ok(stood_still.then_some(Books { sales, ..Books::default() }))
}

/// An order that was set aside, as the ticket that its buyer is shown.
fn set_aside(sale: &SaleId, parked: &Parked) -> Entry {
    let state = TicketState::pending(parked.units, parked.granted_at);
    let ticket = Ticket { id: parked.ticket, sale: sale.clone(), state };
    Entry { buyer: parked.buyer.to_string(), ticket: ticket.to_json() }
}

/// The sales without their tickets.
async fn figures(admin: &Admin, ids: &[SaleId]) -> Result<Vec<Sale>, Error> {
    let rounds = admin.rounds().await?;
    let mut sales = Vec::with_capacity(ids.len());
    for id in ids {
        let report = admin.sale(id).await?;
        let round = rounds.iter().find(|round| round.round == report.round);
        sales.push(Sale {
            id: id.to_string(),
            opens_at: report.opens_at,
            closes_at: report.closes_at,
            limit: u64::from(report.limit.get()),
            state: round.map_or(State::Retired, |round| State::of(&round.state)),
            incarnation: round.map(|round| round.incarnation),
            gate: round.and_then(|round| round.gate).map(Gate::of),
            ledger: round
                .map_or_else(|| Ledger::of_retired(&report), |round| Ledger::of(round.ledger)),
            tickets: Vec::new(),
        });
    }
    Ok(sales)
}

impl State {
    fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Live => Self::Live,
            Standing::NotLoaded => Self::NotLoaded,
            Standing::Recovering | Standing::Other(_) => Self::Recovering,
        }
    }
}

impl Gate {
    fn of(told: InGate) -> Self {
        let InGate { available, held, sold, undecided, .. } = told;
        Self { available, held: units(held), sold: units(sold), undecided }
    }
}

impl Ledger {
    fn of(told: InLedger) -> Self {
        let InLedger { stock, available, sold, rejected } = told;
        Self { stock: stock.into(), available: available.into(), sold: sold.into(), rejected }
    }

    /// A retired sale tells its ledger's figures in its report.
    fn of_retired(report: &Report) -> Self {
        let (stock, sold) = (i64::from(report.stock), i64::from(report.sold));
        let available = report.available.unwrap_or(stock - sold);
        Self { stock, available, sold, rejected: report.rejected }
    }
}

/// Units fit by far; more is no figure that could be right.
fn units(told: u64) -> i64 {
    i64::try_from(told).unwrap_or(i64::MAX)
}
