//! The ledger in MySQL or MariaDB.

mod address;
mod fault;

use std::path::Path;
use std::time::Duration;

use sale::id::{InstallId, RoundId, SaleId, TicketId};
use sale::order::OrderV1;
use sale::status::Reason;
use sale::terms::{NewSale, Restock};
use sale::time::Timestamp;

use super::{
    Amended, Amendment, Counts, Creation, DeadlineFrom, Decision, RestockBegun, RestockRow, Retry,
    Row, Sale, SetAside, StatusFilter,
};
use crate::gate::Snapshot;
use crate::open::OpenError;
pub use address::Address;
pub(in crate::ledger) use fault::Fault;

/// The ledger in MySQL or MariaDB. Clones share its connections.
#[derive(Clone)]
pub struct MySqlLedger {
    install: InstallId,
}

/// Brings the tables up to date, under a lock, so that any number may do it at once.
pub async fn migrate(address: &Address, ca: Option<&Path>) -> Result<(), OpenError> {
    let _ = (address, ca);
    Err(OpenError::Refused("not built yet".to_owned()))
}

impl MySqlLedger {
    /// Connects, and refuses a database whose tables are not those of this version.
    pub async fn open(address: &Address, ca: Option<&Path>) -> Result<Self, OpenError> {
        let _ = (address, ca);
        Err(OpenError::Refused("not built yet".to_owned()))
    }

    pub(in crate::ledger) fn install(&self) -> InstallId {
        self.install
    }

    pub(in crate::ledger) async fn contact(
        &self,
        now: Timestamp,
        gap: Duration,
    ) -> Result<Timestamp, Fault> {
        let _ = (now, gap);
        todo!()
    }

    pub(in crate::ledger) async fn probe(&self) -> Result<(), Fault> {
        todo!()
    }

    pub(in crate::ledger) async fn close(&self) {}

    pub(in crate::ledger) async fn set_aside(
        &self,
        failed: &[(OrderV1, String)],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let _ = (failed, now);
        todo!()
    }

    pub(in crate::ledger) async fn take_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Retry>, Fault> {
        let _ = (deadline, now, most);
        todo!()
    }

    pub(in crate::ledger) async fn note_failure(
        &self,
        ticket: TicketId,
        error: &str,
    ) -> Result<(), Fault> {
        let _ = (ticket, error);
        todo!()
    }

    pub(in crate::ledger) async fn aside(
        &self,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, Fault> {
        let _ = (after, most);
        todo!()
    }

    pub(in crate::ledger) async fn release(
        &self,
        ticket: TicketId,
        reject: bool,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let _ = (ticket, reject, now);
        todo!()
    }

    pub(in crate::ledger) async fn decide(
        &self,
        orders: &[OrderV1],
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Fault> {
        let _ = (orders, deadline, now);
        todo!()
    }

    pub(in crate::ledger) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, Fault> {
        let _ = (order, reason, now);
        todo!()
    }

    pub(in crate::ledger) async fn begin_restock(
        &self,
        round: RoundId,
        key: &str,
        change: &Restock,
    ) -> Result<RestockBegun, Fault> {
        let _ = (round, key, change);
        todo!()
    }

    pub(in crate::ledger) async fn finish_restock(
        &self,
        round: RoundId,
        key: &str,
        applied: i32,
    ) -> Result<(), Fault> {
        let _ = (round, key, applied);
        todo!()
    }

    pub(in crate::ledger) async fn unfinished_restocks(&self) -> Result<Vec<RestockRow>, Fault> {
        todo!()
    }

    pub(in crate::ledger) async fn create(&self, new: &NewSale) -> Result<Creation, Fault> {
        let _ = new;
        todo!()
    }

    pub(in crate::ledger) async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, Fault> {
        let _ = id;
        todo!()
    }

    pub(in crate::ledger) async fn sale_of(&self, round: RoundId) -> Result<Option<Sale>, Fault> {
        let _ = round;
        todo!()
    }

    pub(in crate::ledger) async fn sales(&self, most: u32) -> Result<Vec<Sale>, Fault> {
        let _ = most;
        todo!()
    }

    pub(in crate::ledger) async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, Fault> {
        let _ = (id, amendment, now);
        todo!()
    }

    pub(in crate::ledger) async fn read(
        &self,
        tickets: &[TicketId],
    ) -> Result<Vec<Option<Row>>, Fault> {
        let _ = tickets;
        todo!()
    }

    pub(in crate::ledger) async fn tickets(
        &self,
        round: RoundId,
        status: Option<StatusFilter>,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<Row>, Fault> {
        let _ = (round, status, after, most);
        todo!()
    }

    pub(in crate::ledger) async fn counts(&self, round: RoundId) -> Result<Option<Counts>, Fault> {
        let _ = round;
        todo!()
    }

    pub(in crate::ledger) async fn snapshot(
        &self,
        round: RoundId,
    ) -> Result<Option<Snapshot>, Fault> {
        let _ = round;
        todo!()
    }

    pub(in crate::ledger) async fn retire(&self, round: RoundId) -> Result<bool, Fault> {
        let _ = round;
        todo!()
    }
}
