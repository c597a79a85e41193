//! The ledger in one SQLite file.
use super::*;
use crate::gate::Snapshot;
use sale::id::*;
use sale::order::OrderV1;
use sale::status::Reason;
use sale::terms::*;
use sale::time::Timestamp;

/// The ledger in one SQLite file.
#[derive(Clone)]
pub struct SqliteLedger {}

impl SqliteLedger {
    /// Opens the file.
    pub async fn open(path: &std::path::Path) -> Result<Self, LedgerError> {
        todo!()
    }
    pub(super) fn install(&self) -> InstallId {
        todo!()
    }
    pub(super) async fn create(&self, sale: &NewSale) -> Result<Creation, LedgerError> {
        todo!()
    }
    pub(super) async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, LedgerError> {
        todo!()
    }
    pub(super) async fn sale_of(&self, round: RoundId) -> Result<Option<Sale>, LedgerError> {
        todo!()
    }
    pub(super) async fn sales(&self, most: u32) -> Result<Vec<Sale>, LedgerError> {
        todo!()
    }
    pub(super) async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, LedgerError> {
        todo!()
    }
    pub(super) async fn begin_restock(
        &self,
        round: RoundId,
        key: &str,
        change: &Restock,
    ) -> Result<RestockBegun, LedgerError> {
        todo!()
    }
    pub(super) async fn finish_restock(
        &self,
        round: RoundId,
        key: &str,
        applied: i32,
    ) -> Result<(), LedgerError> {
        todo!()
    }
    pub(super) async fn unfinished_restocks(&self) -> Result<Vec<RestockRow>, LedgerError> {
        todo!()
    }
    pub(super) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, LedgerError> {
        todo!()
    }
    pub(super) async fn read(&self, tickets: &[TicketId]) -> Result<Vec<Option<Row>>, LedgerError> {
        todo!()
    }
    pub(super) async fn tickets(
        &self,
        round: RoundId,
        status: Option<StatusFilter>,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<Row>, LedgerError> {
        todo!()
    }
    pub(super) async fn counts(&self, round: RoundId) -> Result<Option<Counts>, LedgerError> {
        todo!()
    }
    pub(super) async fn snapshot(&self, round: RoundId) -> Result<Option<Snapshot>, LedgerError> {
        todo!()
    }
    pub(super) async fn retire(&self, round: RoundId) -> Result<(), LedgerError> {
        todo!()
    }
    pub(super) async fn contact(
        &self,
        now: Timestamp,
        gap: std::time::Duration,
    ) -> Result<Timestamp, LedgerError> {
        todo!()
    }
    pub(super) async fn take_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Retry>, LedgerError> {
        todo!()
    }
    pub(super) async fn set_aside(
        &self,
        failed: &[(OrderV1, String)],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        todo!()
    }
    pub(super) async fn note_failure(
        &self,
        ticket: TicketId,
        error: &str,
    ) -> Result<(), LedgerError> {
        todo!()
    }
    pub(super) async fn aside(
        &self,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, LedgerError> {
        todo!()
    }
    pub(super) async fn release(
        &self,
        ticket: TicketId,
        reject: bool,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        todo!()
    }
    pub(super) async fn probe(&self) -> Result<(), LedgerError> {
        todo!()
    }
    pub(super) async fn close(&self) {
        todo!()
    }
    pub(super) async fn decide(
        &self,
        orders: &[OrderV1],
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, LedgerError> {
        todo!()
    }
}
