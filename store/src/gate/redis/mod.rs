//! The gate in Redis: one script for each atomic operation, all keys of a slot under one hash tag.

mod address;

use std::path::Path;
use std::sync::Arc;

use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, InstallId, RoundId, TicketId};
use sale::order::Batch;
use sale::terms::{Restock, Terms};
use sale::ticket::TicketState;
use sale::time::Timestamp;

use super::{Bounds, Decided, Figures, GateError, Grants, Settlement, Slot, Snapshot};
use crate::clock;
use crate::open::OpenError;
pub use address::Address;

/// The gate in Redis. Clones share its connections.
#[derive(Clone)]
pub struct RedisGate(Arc<Inner>);

struct Inner {}

impl RedisGate {
    /// Connects, and refuses a Redis that evicts keys, cannot run the scripts, or belongs to
    /// another install. `ca` is a PEM file with further root certificates to trust.
    pub async fn open(
        address: &Address,
        ca: Option<&Path>,
        install: InstallId,
        bounds: Bounds,
    ) -> Result<Self, OpenError> {
        let _ = (address, ca, install, bounds);
        Err(OpenError::Refused("not built yet".to_owned()))
    }

    pub(super) fn now(&self) -> Timestamp {
        clock::now()
    }

    pub(super) async fn grant(
        &self,
        slot: Slot,
        batch: BatchId,
        claims: &[Claim],
    ) -> Result<Grants, GateError> {
        let _ = (slot, batch, claims);
        todo!()
    }

    pub(super) async fn settle(
        &self,
        slot: Slot,
        settlements: &[Settlement],
        decided: &[Decided],
    ) -> Result<(), GateError> {
        let _ = (slot, settlements, decided);
        todo!()
    }

    pub(super) async fn read(
        &self,
        slot: Slot,
        tickets: &[(TicketId, BuyerId)],
    ) -> Result<Vec<Option<TicketState>>, GateError> {
        let _ = (slot, tickets);
        todo!()
    }

    pub(super) async fn resend(
        &self,
        slot: Slot,
        most: usize,
    ) -> Result<Vec<Arc<Batch>>, GateError> {
        let _ = (slot, most);
        todo!()
    }

    pub(super) async fn warm(&self, snapshot: Snapshot) -> Result<bool, GateError> {
        let _ = snapshot;
        todo!()
    }

    pub(super) async fn set_terms(&self, terms: Terms) -> Result<(), GateError> {
        let _ = terms;
        todo!()
    }

    pub(super) async fn restock(
        &self,
        slot: Slot,
        key: &str,
        change: &Restock,
    ) -> Result<i32, GateError> {
        let _ = (slot, key, change);
        todo!()
    }

    pub(super) async fn figures(&self, slot: Slot) -> Result<Figures, GateError> {
        let _ = slot;
        todo!()
    }

    pub(super) async fn retire(&self, round: RoundId) -> Result<(), GateError> {
        let _ = round;
        todo!()
    }

    pub(super) async fn probe(&self) -> Result<(), GateError> {
        todo!()
    }

    pub(super) async fn close(&self) {
        let Inner {} = &*self.0;
    }
}
