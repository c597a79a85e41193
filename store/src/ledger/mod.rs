//! The ledger: the truth at rest. It decides orders, and keeps sales, rounds and tickets.

mod change;
mod ladder;
#[cfg(test)]
pub(crate) mod model;
pub mod mysql;
mod recovering;
mod rows;
mod sitting;
mod split;
pub mod sqlite;

use std::collections::HashSet;
use std::time::Duration;

use sale::decide::Deadline;
use sale::id::{BuyerId, InstallId, RoundId, SaleId, Salt, TicketId};
use sale::order::OrderV1;
use sale::status::Reason;
use sale::terms::{NewSale, Restock, SaleName, Terms, Window};
use sale::ticket::Ticket;
use sale::time::Timestamp;
use sale::token::KeyId;
use sale::units::Units;

use crate::gate::Snapshot;
use mysql::MySqlLedger;
pub use recovering::{Lease, Reached, WorkerId};
pub use split::isolated;
use sqlite::SqliteLedger;

/// The ledger, on one of its engines.
#[derive(Clone)]
pub enum Ledger {
    /// One file of this machine.
    Sqlite(SqliteLedger),
    /// A MySQL or MariaDB server.
    MySql(MySqlLedger),
}

/// How long a read, or a write of an operator, may take.
pub const CALL: Duration = Duration::from_secs(2);

/// How long one transaction of verdicts may take, or one that sets orders aside or takes them up
/// again, with every time that others were in its way.
pub const DECIDE: Duration = Duration::from_secs(15);

/// How long reading a whole round may take.
pub const SNAPSHOT: Duration = Duration::from_secs(60);

/// Why a call of the ledger was not answered.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The ledger cannot be reached, cannot write, or did not answer in time. Nothing of the call
    /// was committed, unless it was cut off at its commit: then it may stand as a whole. The same
    /// call may be made again in any case: each finds what it has done before.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// The ledger refuses this very call, and nothing of it was committed; trying it again
    /// unchanged will fail again.
    #[error("the ledger refused: {0}")]
    Refused(String),
}

/// A sale with its present round, as the ledger's rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The merchant's id for it.
    pub id: SaleId,
    /// What buyers read.
    pub name: SaleName,
    /// The present round.
    pub round: RoundId,
    /// Keys the ticket ids of the round.
    pub salt: Salt,
    /// Units for one buyer.
    pub limit: Units,
    /// When claims are granted.
    pub window: Window,
    /// Closed by hand.
    pub closed: bool,
    /// Counts the changes of the terms.
    pub terms_version: u32,
    /// Counts the rebuilds of the round's gate.
    pub incarnation: u32,
    /// The highest write sequence that a decided batch of this incarnation carried: a gate that
    /// is behind it has lost acknowledged writes.
    pub sequence: u64,
    /// The gate has been, or is just being, loaded in this incarnation; if not, the round is new
    /// or recovering.
    pub loaded: bool,
    /// The partitions of the log whose fence of this incarnation has come back, a bit each.
    pub fences: u64,
    /// Who rebuilds the gate, also when the lease has ended.
    pub lease: Option<Lease>,
    /// Closed, decided, and no longer in the gate: the ledger alone answers for it.
    pub retired: bool,
}

impl Sale {
    /// What the gate applies.
    pub fn terms(&self) -> Terms {
        Terms {
            sale: self.id.clone(),
            round: self.round,
            limit: self.limit,
            window: self.window,
            closed: self.closed,
            version: self.terms_version,
        }
    }
}

/// What became of a request to create a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It was created.
    Created(Sale),
    /// It was created before, by the same request.
    Same(Sale),
    /// Another sale has this id.
    Differs,
}

/// A change of a sale that does not touch its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amendment {
    /// Other words for buyers.
    Name(SaleName),
    /// No more claims.
    Close,
    /// Another window, while the sale is upcoming.
    Window {
        /// `None` leaves it.
        opens_at: Option<Timestamp>,
        /// `None` leaves it.
        closes_at: Option<Timestamp>,
    },
}

/// What became of an [`Amendment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amended {
    /// It stands, now or since before.
    Done(Sale),
    /// There is no such sale.
    Unknown,
    /// The window of a sale that has opened or is closed cannot be moved.
    NotUpcoming,
    /// The window would be empty.
    EmptyWindow,
}

/// A change of stock, known by its key, on its way through ledger and gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestockRow {
    /// The round.
    pub round: RoundId,
    /// Applied once a key.
    pub key: String,
    /// What was asked for.
    pub change: Restock,
    /// What was applied in both; `None` as long as it is not finished. Upwards the ledger
    /// applies at [`Ledger::begin_restock`], downwards at [`Ledger::finish_restock`].
    pub applied: Option<i32>,
}

/// What became of the begin of a change of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestockBegun {
    /// This row stands, now or since before.
    Stands(RestockRow),
    /// The key was used for another change.
    KeyReused,
    /// The stock would leave its bounds, or the round has had [`RESTOCKS_A_ROUND`] changes.
    OutOfBounds,
}

/// The most changes of stock in one round. At the bound a further one is refused.
pub const RESTOCKS_A_ROUND: usize = 1000;

/// What the ledger says of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The ticket as it stands now, by this call or since before.
    Stands {
        /// The buyer.
        buyer: BuyerId,
        /// The ticket in its present state.
        ticket: Ticket,
    },
    /// The ticket stands for another buyer. This cannot happen unless ids or messages were
    /// tampered with; nothing was written.
    Foreign(TicketId),
    /// Trying this order alone failed: it is to be set aside, with what the engine said.
    Failed(OrderV1, String),
}

/// A ticket with its buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who holds it.
    pub buyer: BuyerId,
    /// The ticket.
    pub ticket: Ticket,
}

/// Which tickets to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// Confirmed ones.
    Confirmed,
    /// Rejected ones.
    Rejected,
}

/// The counts of a round in the ledger: stock = available + sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Units that the round has had in all.
    pub stock: u32,
    /// Units that are not confirmed for anybody.
    pub available: u32,
    /// Tickets that were rejected.
    pub rejected: u64,
}

impl Counts {
    /// Units that are confirmed.
    pub fn sold(&self) -> u32 {
        self.stock - self.available
    }
}

/// An order that could not be processed and waits, for its next try or for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The order.
    pub order: OrderV1,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried next; `None` when it is parked.
    pub retry_at: Option<Timestamp>,
    /// What the engine said last.
    pub error: String,
    /// An operator wants it rejected.
    pub reject: bool,
}

/// Waiting before the 2nd, 3rd and 4th try of an order; after the last it is parked.
pub const RETRIES_AFTER: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(30)];

/// An order that a worker has taken up again, the try already counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The order.
    pub order: OrderV1,
    /// To be rejected with this reason instead of decided.
    pub reject: Option<Reason>,
}

/// Makes a call within its limit.
macro_rules! dispatch {
    ($self:ident, $limit:expr, $engine:ident => $call:expr) => {
        match $self {
            Self::Sqlite($engine) => in_time($limit, $call).await,
            Self::MySql($engine) => in_time($limit, $call).await,
        }
    };
}

impl Ledger {
    /// The database's id, drawn by its first migration.
    pub fn install(&self) -> InstallId {
        match self {
            Self::Sqlite(ledger) => ledger.install(),
            Self::MySql(ledger) => ledger.install(),
        }
    }

    /// Creates a sale with its first round, once.
    pub async fn create(&self, sale: &NewSale) -> Result<Creation, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.create(sale))
    }

    /// One sale.
    pub async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.sale(id))
    }

    /// The sale that a round belongs to, with that round.
    pub async fn sale_of(&self, round: RoundId) -> Result<Option<Sale>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.sale_of(round))
    }

    /// Every sale that is not retired, and the newest retired ones, at most `most` in all:
    /// those that are not retired first, the newest first.
    pub async fn sales(&self, most: u32) -> Result<Vec<Sale>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.sales(most))
    }

    /// Changes a sale's words, window or state. `now` is the gate's clock.
    pub async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.amend(id, amendment, now))
    }

    /// Writes down the intent to change the stock; upwards the units are in the ledger with it.
    pub async fn begin_restock(
        &self,
        round: RoundId,
        key: &str,
        change: &Restock,
    ) -> Result<RestockBegun, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.begin_restock(round, key, change))
    }

    /// Writes down what the gate applied; downwards the units leave the ledger with it.
    pub async fn finish_restock(
        &self,
        round: RoundId,
        key: &str,
        applied: i32,
    ) -> Result<(), LedgerError> {
        dispatch!(self, CALL, ledger => ledger.finish_restock(round, key, applied))
    }

    /// Changes of stock that were begun and not finished, of rounds that are not retired.
    pub async fn unfinished_restocks(&self) -> Result<Vec<RestockRow>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.unfinished_restocks())
    }

    /// Decides orders, in their order, each at most once: what already stands is answered from
    /// there. All that can be decided is committed when this returns; an order that fails on
    /// its own comes back as [`Decision::Failed`] and delays nobody. One decision an order,
    /// doubles in `orders` included once.
    ///
    /// The sequence of each round rises to what was reached. An order of the present incarnation
    /// that does not fit any more was not granted by a gate that agrees with the ledger: its
    /// round moves to recovering, as by [`Ledger::recover`].
    pub async fn decide(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, LedgerError> {
        // Dropped here, since halves would answer each of them.
        let mut seen = HashSet::new();
        let orders: Vec<OrderV1> = orders
            .iter()
            .filter(|order| seen.insert((order.ticket, &order.buyer)))
            .cloned()
            .collect();
        let decide = async |part: &[OrderV1]| dispatch!(self, DECIDE, ledger => ledger.decide(part, reached, deadline, now));
        isolated(&orders, decide).await
    }

    /// Rejects one order that has no verdict yet; one that has keeps it.
    pub async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, LedgerError> {
        dispatch!(self, DECIDE, ledger => ledger.reject(order, reason, now))
    }

    /// The tickets that stand, `None` for those that do not.
    pub async fn read(&self, tickets: &[TicketId]) -> Result<Vec<Option<Row>>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.read(tickets))
    }

    /// Tickets of a round in the order of their ids, after `after`, at most `most`.
    pub async fn tickets(
        &self,
        round: RoundId,
        status: Option<StatusFilter>,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<Row>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.tickets(round, status, after, most))
    }

    /// The counts of a round.
    pub async fn counts(&self, round: RoundId) -> Result<Option<Counts>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.counts(round))
    }

    /// One consistent view of a round, to load a gate from.
    pub async fn snapshot(&self, round: RoundId) -> Result<Option<Snapshot>, LedgerError> {
        dispatch!(self, SNAPSHOT, ledger => ledger.snapshot(round))
    }

    /// Marks a round as answered for by the ledger alone. Answers whether it is: a round with an
    /// unfinished change of stock is not retired.
    pub async fn retire(&self, round: RoundId) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.retire(round))
    }

    /// Moves a loaded round to recovering: the next incarnation, not loaded, with nothing
    /// reached and no fence back. Answers whether this call moved it; it does not if the
    /// incarnation is another, or not loaded, or the round is retired.
    pub async fn recover(&self, round: RoundId, incarnation: u32) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.recover(round, incarnation))
    }

    /// Writes down that the fence of a partition has come back; nothing if the round is loaded
    /// or of another incarnation.
    pub async fn pass_fence(
        &self,
        round: RoundId,
        incarnation: u32,
        partition: u8,
    ) -> Result<(), LedgerError> {
        dispatch!(self, CALL, ledger => ledger.pass_fence(round, incarnation, partition))
    }

    /// Takes the lease of a round that nobody holds any more, or renews one's own. Answers
    /// whether it is `by`'s. One that ends later than twice as far ahead as `until` was taken by
    /// a clock that is wrong, and counts as ended.
    pub async fn lease(
        &self,
        round: RoundId,
        by: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.lease(round, by, now, until))
    }

    /// Gives the lease back, if it is `by`'s.
    pub async fn end_lease(&self, round: RoundId, by: WorkerId) -> Result<(), LedgerError> {
        dispatch!(self, CALL, ledger => ledger.end_lease(round, by))
    }

    /// Marks a round as loaded, if it is of the snapshot's incarnation, not loaded, not retired,
    /// and nothing has changed since the snapshot. Answers whether it was so. The caller then
    /// loads the gate from this very snapshot; if the call is cut off at its commit, or he dies
    /// before he has loaded it, the round is found loaded and its gate is not: it recovers.
    pub async fn set_loaded(&self, snapshot: &Snapshot) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.set_loaded(snapshot))
    }

    /// Marks a round as loaded whose gate is live in this incarnation, and was not loaded through
    /// [`Ledger::set_loaded`]. Answers whether it was so.
    pub async fn confirm_loaded(
        &self,
        round: RoundId,
        incarnation: u32,
    ) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.confirm_loaded(round, incarnation))
    }

    /// Says that a worker has reached the ledger, and learns since when it has been within
    /// reach: the begin of the present run of contacts that are at most `gap` apart.
    pub async fn contact(&self, now: Timestamp, gap: Duration) -> Result<Timestamp, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.contact(now, gap))
    }

    /// Sets orders aside that failed on their own: each is tried again after the first of
    /// [`RETRIES_AFTER`]. One that is set aside already stays as it is.
    pub async fn set_aside(
        &self,
        failed: &[(OrderV1, String)],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        dispatch!(self, DECIDE, ledger => ledger.set_aside(failed, now))
    }

    /// Takes up orders whose next try is due, whose deadline has passed, or that an operator
    /// wants rejected; at most `most`. The try is counted before this returns, and the next
    /// one (or parking) stands already, so that a crash in the middle of it has been counted.
    pub async fn take_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Retry>, LedgerError> {
        dispatch!(self, DECIDE, ledger => ledger.take_due(deadline, now, most))
    }

    /// Writes down what the engine said of a try that failed.
    pub async fn note_failure(&self, ticket: TicketId, error: &str) -> Result<(), LedgerError> {
        dispatch!(self, CALL, ledger => ledger.note_failure(ticket, error))
    }

    /// Orders that are set aside, by ticket, after `after`, at most `most`.
    pub async fn aside(
        &self,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.aside(after, most))
    }

    /// Those of one round, by ticket, after `after`, at most `most`.
    pub async fn aside_of(
        &self,
        round: RoundId,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, LedgerError> {
        let mut rows = self.aside(after.or_else(|| TicketId::last_before(round)), most).await?;
        rows.retain(|row| row.order.ticket.round() == round);
        Ok(rows)
    }

    /// Asks the worker to try a parked order again from the start of the ladder, or to reject
    /// it. Answers whether it was there.
    pub async fn release(
        &self,
        ticket: TicketId,
        reject: bool,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.release(ticket, reject, now))
    }

    /// Admits the keys of a process: the first ones, such as have one among them that was
    /// admitted before, or any if they are to be taken `anew`. Answers whether they were; tokens
    /// that others have sealed would be none to those that were not.
    pub async fn admit_keys(&self, keys: &[KeyId], anew: bool) -> Result<bool, LedgerError> {
        dispatch!(self, CALL, ledger => ledger.admit_keys(keys, anew))
    }

    /// Tries the path of a verdict: a transaction that writes, and commits.
    pub async fn probe(&self) -> Result<(), LedgerError> {
        dispatch!(self, CALL, ledger => ledger.probe())
    }

    /// Ends the ledger's connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(ledger) => ledger.close().await,
            Self::MySql(ledger) => ledger.close().await,
        }
    }
}

/// Ends a call that takes longer than it may. It is dropped where it waits: what it has written
/// is rolled back, unless it waits for its commit.
async fn in_time<T, E: Into<LedgerError>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answered) => answered.map_err(E::into),
        Err(_) => Err(LedgerError::Unavailable("it did not answer in time".to_owned())),
    }
}

/// Since when the ledger has been within reach; each round brings its own `answer_within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineFrom {
    /// See [`Ledger::contact`].
    pub reachable_since: Timestamp,
}

impl DeadlineFrom {
    /// The deadline of a round.
    pub fn of(&self, answer_within: Duration) -> Deadline {
        Deadline { answer_within, reachable_since: self.reachable_since }
    }
}
