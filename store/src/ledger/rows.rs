//! What the rows of sales, rounds and orders say, and how some are asked for, on every engine. Ids are read as bytes, since
//! engines that compare them byte by byte hand them out as such.

use std::collections::HashMap;

use sale::id::{BuyerId, RoundId, SaleId, Salt, TicketId};
use sale::status::Status;
use sale::terms::{NewSale, SaleName, Window};
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Serialize};
use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Lease, LedgerError, Row, Sale, WorkerId};
use crate::gate::Settlement;

/// Takes a value out of a row of `table`. What does not fit was not written by Dibs.
pub(super) fn readable<T, E: std::fmt::Debug>(
    table: &str,
    value: Result<T, E>,
) -> Result<T, LedgerError> {
    value.map_err(|error| {
        LedgerError::Refused(format!("a row of {table} is not readable: {error:?}"))
    })
}

/// Takes a text out of a row of `table`.
pub(super) fn text(table: &str, bytes: Vec<u8>) -> Result<String, LedgerError> {
    readable(table, String::from_utf8(bytes))
}

/// A buyer's id, out of a row of `table`.
pub(super) fn buyer(table: &str, bytes: Vec<u8>) -> Result<BuyerId, LedgerError> {
    readable(table, BuyerId::new(&text(table, bytes)?))
}

/// Appends `(?, ?, …)`.
pub(super) fn push_list<'a, D: Database, T>(
    query: &mut QueryBuilder<'a, D>,
    items: impl Iterator<Item = T>,
) where
    T: Encode<'a, D> + Type<D> + 'a,
{
    query.push("(");
    let mut list = query.separated(", ");
    for item in items {
        list.push_bind(item);
    }
    query.push(")");
}

/// Appends the range of a round's tickets after one of them. It has one lower bound only, so
/// that SQLite starts there and not at the begin of the round.
pub(super) fn push_range<'a, D: Database>(
    query: &mut QueryBuilder<'a, D>,
    round: RoundId,
    after: Option<TicketId>,
) where
    Vec<u8>: Encode<'a, D> + Type<D>,
{
    match after {
        Some(after) if after.round() >= round => {
            query.push("ticket > ").push_bind(after.0.to_vec());
        }
        Some(_) | None => {
            query.push("ticket >= ").push_bind(TicketId::first_of(round).0.to_vec());
        }
    }
    query.push(" AND ticket <= ").push_bind(TicketId::last_of(round).0.to_vec());
}

/// A round with its sale.
#[derive(sqlx::FromRow)]
pub(super) struct SaleRow {
    id: Vec<u8>,
    name: String,
    round: u32,
    salt: Vec<u8>,
    per_buyer: u8,
    opens_at: i64,
    closes_at: i64,
    closed: bool,
    terms_version: u32,
    incarnation: u32,
    sequence: u64,
    loaded: bool,
    fences: u64,
    leased_by: Option<Vec<u8>>,
    leased_until: i64,
    retired: bool,
}

impl SaleRow {
    /// The statement that reads it, up to its condition.
    pub(super) const SELECT: &str = "SELECT s.id, s.name, r.round, r.salt, r.per_buyer, \
        r.opens_at, r.closes_at, r.closed, r.terms_version, r.incarnation, r.sequence, r.loaded, \
        r.fences, r.leased_by, r.leased_until, r.retired \
        FROM rounds r JOIN sales s ON s.id = r.sale WHERE ";

    /// The condition that holds for the present round of each sale: its newest.
    pub(super) const PRESENT: &str = "NOT EXISTS \
        (SELECT 1 FROM rounds later WHERE later.sale = r.sale AND later.round > r.round)";

    pub(super) fn sale(self) -> Result<Sale, LedgerError> {
        let opens_at = readable("rounds", Timestamp::from_millis(self.opens_at))?;
        let closes_at = readable("rounds", Timestamp::from_millis(self.closes_at))?;
        let lease = self.leased_by.map(|by| -> Result<_, LedgerError> {
            let by = WorkerId(readable("rounds", by.try_into())?);
            let until = readable("rounds", Timestamp::from_millis(self.leased_until))?;
            Ok(Lease { by, until })
        });
        Ok(Sale {
            id: readable("sales", SaleId::new(&text("sales", self.id)?))?,
            name: readable("sales", SaleName::new(self.name))?,
            round: RoundId(self.round),
            salt: Salt(readable("rounds", self.salt.try_into())?),
            limit: readable("rounds", Units::new(self.per_buyer.into()))?,
            window: readable("rounds", Window::new(opens_at, closes_at))?,
            closed: self.closed,
            terms_version: self.terms_version,
            incarnation: self.incarnation,
            sequence: self.sequence,
            loaded: self.loaded,
            fences: self.fences,
            lease: lease.transpose()?,
            retired: self.retired,
        })
    }
}

/// What the merchant asked for when he created the sale. `answer_within` is no part of it: it
/// is a setting of the server, and changing it must not turn the same request into another.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Requested {
    name: String,
    stock: u32,
    limit: Units,
    window: Window,
}

impl Requested {
    pub(super) fn by(new: &NewSale) -> Self {
        Self {
            name: new.name.get().clone(),
            stock: *new.stock.get(),
            limit: new.limit,
            window: new.window,
        }
    }

    /// The text that stands in the row.
    pub(super) fn to_json(&self) -> Result<String, LedgerError> {
        readable("sales", serde_json::to_string(self))
    }

    pub(super) fn from_json(text: &str) -> Result<Self, LedgerError> {
        readable("sales", serde_json::from_str(text))
    }
}

/// A decided order.
#[derive(sqlx::FromRow)]
pub(super) struct OrderRow {
    ticket: Vec<u8>,
    buyer: Vec<u8>,
    units: u8,
    status: String,
    reason: Option<String>,
    version: u32,
    granted_at: i64,
    decided_at: i64,
}

impl OrderRow {
    /// The statement that reads it, up to its condition.
    pub(super) const SELECT: &str = "SELECT ticket, buyer, units, status, reason, version, \
        granted_at, decided_at FROM orders WHERE ";

    pub(super) fn settlement(self) -> Result<Settlement, LedgerError> {
        let state = TicketState {
            units: readable("orders", Units::new(self.units.into()))?,
            status: readable("orders", Status::from_names(&self.status, self.reason.as_deref()))?,
            version: self.version,
            granted_at: readable("orders", Timestamp::from_millis(self.granted_at))?,
            decided_at: Some(readable("orders", Timestamp::from_millis(self.decided_at))?),
        };
        Ok(Settlement {
            ticket: TicketId(readable("orders", self.ticket.try_into())?),
            buyer: buyer("orders", self.buyer)?,
            state,
        })
    }
}

/// A ticket with the sale that its round belongs to.
pub(super) fn named(
    sales: &HashMap<RoundId, SaleId>,
    found: Settlement,
) -> Result<Row, LedgerError> {
    let Settlement { ticket: id, buyer, state } = found;
    let sale = sales.get(&id.round()).cloned().ok_or_else(|| {
        LedgerError::Refused(format!("ticket {id} stands and its round does not"))
    })?;
    Ok(Row { buyer, ticket: Ticket { id, sale, state } })
}
