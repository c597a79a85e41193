//! The gate in Redis: one script for each atomic operation, all keys of a slot under one hash tag.
//!
//! The scripts decide, this side packs and reads. `scripts/slot.lua` says what lies in Redis.

mod address;
mod call;
mod clock;
mod cluster;
mod fault;
mod info;
mod keys;
mod link;
mod node;
mod open;
mod record;
mod reply;
mod script;
mod sentinel;
mod slot;
mod warm;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, InstallId, RoundId, TicketId};
use sale::order::Batch;
use sale::record::Record;
use sale::terms::{Restock, Terms};
use sale::ticket::TicketState;
use sale::time::Timestamp;

use super::seen::{Position, Seen, Told};
use super::{Bounds, Decided, Figures, GateError, Grants, Settlement, Slot, Snapshot};
use crate::open::OpenError;
pub use address::Address;
use call::{Arguments, Call, Caller, Records, text};
use clock::Clock;
use fault::Fault;
use keys::Keys;
use link::Link;
use reply::{Fields, Unreadable};

/// How long the keys of a retired round stay, for those who want to know how it ended.
const RETIRED: Duration = Duration::from_secs(3600);

/// The gate in Redis. Clones share its connections.
#[derive(Clone)]
pub struct RedisGate(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    caller: Caller,
    /// Claims have a connection of their own: they do not queue behind a large settlement on
    /// its way, nor behind the copy of a round.
    claims: Link,
    rest: Link,
}

/// Marks database and prefix of a Redis as this install's; one that is marked as another's is
/// refused. `ca` is a PEM file with further root certificates to trust.
pub async fn migrate(
    address: &Address,
    ca: Option<&Path>,
    install: InstallId,
) -> Result<(), OpenError> {
    let link = open::connect(address, ca).await?;
    let marked = open::mark(&link, &Keys::new(address.prefix()), install).await;
    let refused = |why| OpenError::Refused(format!("{address}: {why}"));
    marked.map_err(|fault| fault.at(address))?.map_err(refused)
}

impl RedisGate {
    /// Connects, and refuses a Redis that evicts keys, cannot run the scripts, or is not marked
    /// as this install's by [`migrate`]. `ca` is a PEM file with further root certificates to
    /// trust.
    pub async fn open(
        address: &Address,
        ca: Option<&Path>,
        install: InstallId,
        bounds: Bounds,
    ) -> Result<Self, OpenError> {
        let claims = open::connect(address, ca).await?;
        let at = |fault: Fault| fault.at(address);
        let rest = claims.another().await.map_err(at)?;
        let clock = Clock::new(open::time(&claims).await.map_err(at)?);
        let keys = Keys::new(address.prefix());
        let marked = open::is_marked(&claims, &keys, install).await.map_err(at)?;
        marked.map_err(|why| OpenError::Refused(format!("{address}: {why}")))?;
        let (parts, seen) = (call::Parts::default(), Seen::default());
        let caller = Caller { install, keys, clock, parts, seen, not_frozen: Told::default() };
        let gate = Self(Arc::new(Inner { bounds, caller, claims, rest }));
        gate.try_grant().await.map_err(at)?;
        Ok(gate)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.caller.clock.now()
    }

    pub(super) async fn grant(
        &self,
        slot: Slot,
        batch: BatchId,
        claims: &[Claim],
    ) -> Result<Grants, GateError> {
        let Inner { caller, claims: link, .. } = &*self.0;
        let records = Records::Of(claims.iter().map(|claim| &claim.buyer).collect());
        let args = self.grant_args(batch, claims);
        let call = Call { script: &script::GRANT, slot, records, args };
        let reply = caller.call(link, &call).await?;
        Ok(reply::granted(caller.install, batch, claims, reply).map_err(Fault::InDoubt)?)
    }

    fn grant_args(&self, batch: BatchId, claims: &[Claim]) -> Vec<Vec<u8>> {
        let Bounds { outbox_most, resend_after, .. } = &self.0.bounds;
        let head = [
            text(Record::MOST),
            text(outbox_most),
            text(resend_after.as_millis()),
            batch.0.to_vec(),
        ];
        head.into_iter().chain(claims.iter().map(record::claim)).collect()
    }

    pub(super) async fn settle(
        &self,
        slot: Slot,
        settlements: &[Settlement],
        decided: &[Decided],
    ) -> Result<(), GateError> {
        let records = Records::Of(settlements.iter().map(|new| &new.buyer).collect());
        let states = settlements.iter().map(|Settlement { ticket, buyer, state }| {
            [&record::entry(*ticket, state)[..], buyer.as_str().as_bytes()].concat()
        });
        let batches = decided
            .iter()
            .flat_map(|Decided { batch, sequence }| [text(sequence), batch.0.to_vec()]);
        let args = [text(settlements.len())].into_iter().chain(states).chain(batches).collect();
        self.call(&Call { script: &script::SETTLE, slot, records, args }).await.map(drop)
    }

    pub(super) async fn read(
        &self,
        slot: Slot,
        tickets: &[(TicketId, BuyerId)],
    ) -> Result<Vec<Option<TicketState>>, GateError> {
        let buyers = tickets.iter().map(|(_, buyer)| buyer);
        let args = buyers.clone().map(|buyer| buyer.as_str().into()).collect();
        let records = Records::Of(buyers.collect());
        let call = Call { script: &script::READ, slot, records, args };
        let records = self.call(&call).await?.take::<Vec<Vec<u8>>>("records");
        let records = records.map_err(Fault::from)?;
        let found = tickets.iter().zip(records).map(|((ticket, _), record)| {
            let mut standing = record::tickets(&record)?.into_iter();
            Ok(standing.find(|(id, _)| id == ticket).map(|(_, state)| state))
        });
        Ok(found.collect::<Result<_, Unreadable>>().map_err(Fault::from)?)
    }

    pub(super) async fn resend(
        &self,
        slot: Slot,
        most: usize,
    ) -> Result<Vec<Arc<Batch>>, GateError> {
        let Inner { bounds: Bounds { resend_after, resend_most, .. }, caller, .. } = &*self.0;
        let args = vec![text(most), text(resend_after.as_millis()), text(resend_most.as_millis())];
        let call = Call { script: &script::RESEND, slot, records: Records::None, args };
        let entries = self.call(&call).await?.take::<Value>("batches").map_err(Fault::InDoubt)?;
        Ok(record::batches(caller.install, entries).map_err(Fault::InDoubt)?)
    }

    pub(super) async fn warm(
        &self,
        snapshot: &Snapshot,
        over: Option<u64>,
    ) -> Result<bool, GateError> {
        let Inner { caller, rest, .. } = &*self.0;
        // To build a copy in vain costs Redis its memory.
        match self.figures(Slot::first(snapshot.terms.round)).await {
            Ok(live) if !live.gives_way(snapshot.incarnation, over) => return Ok(false),
            Ok(_) | Err(GateError::NotWarm(_)) => {}
            Err(
                error
                @ (GateError::Recovering(_) | GateError::Unavailable(_) | GateError::NotKnown),
            ) => return Err(error),
        }
        self.mark().await?;
        caller.warm(rest, snapshot, over).await
    }

    pub(super) fn expect(&self, slot: Slot, position: Position) {
        self.0.caller.seen.raise(slot, position);
    }

    pub(super) async fn freeze(&self, slot: Slot, incarnation: u32) -> Result<(), GateError> {
        let args = vec![text(incarnation)];
        let call = Call { script: &script::FREEZE, slot, records: Records::None, args };
        self.call(&call).await.map(drop)
    }

    pub(super) async fn set_terms(&self, terms: Terms) -> Result<(), GateError> {
        let fields = warm::terms_fields(&terms);
        let fields = fields.into_iter().flat_map(|(name, value)| [name.into(), value.into()]);
        let args = [text(terms.version)].into_iter().chain(fields).collect();
        let slot = Slot::first(terms.round);
        let call = Call { script: &script::TERMS, slot, records: Records::None, args };
        self.call(&call).await.map(drop)
    }

    pub(super) async fn restock(
        &self,
        slot: Slot,
        key: &str,
        change: &Restock,
    ) -> Result<i32, GateError> {
        let args = vec![key.into(), text(change)];
        let call = Call { script: &script::RESTOCK, slot, records: Records::None, args };
        Ok(self.call(&call).await?.take("applied").map_err(Fault::InDoubt)?)
    }

    pub(super) async fn figures(&self, slot: Slot) -> Result<Figures, GateError> {
        let call = Call { script: &script::FIGURES, slot, records: Records::None, args: vec![] };
        let reply = self.call(&call).await?;
        Ok(reply::figures(reply).map_err(Fault::from)?)
    }

    pub(super) async fn retire(&self, round: RoundId) -> Result<(), GateError> {
        let slot = Slot::first(round);
        let args = vec![text(RETIRED.as_millis())];
        let call = Call { script: &script::RETIRE, slot, records: Records::All, args };
        match self.call(&call).await {
            Ok(_) | Err(GateError::NotWarm(_)) => Ok(()),
            Err(
                error
                @ (GateError::Recovering(_) | GateError::Unavailable(_) | GateError::NotKnown),
            ) => Err(error),
        }
    }

    pub(super) async fn probe(&self) -> Result<(), GateError> {
        let Inner { claims, rest, .. } = &*self.0;
        tokio::try_join!(claims.check(), rest.check())?;
        self.mark().await?;
        Ok(self.try_grant().await?)
    }

    /// Marks the Redis again: one that was emptied has lost its mark, and this gate knows that it
    /// is the right one.
    async fn mark(&self) -> Result<(), GateError> {
        let Inner { caller, rest, .. } = &*self.0;
        open::mark(rest, &caller.keys, caller.install).await?.map_err(GateError::Unavailable)
    }

    /// Runs the script of a grant where there is no round. A Redis that takes no writes refuses
    /// it there too, and one that forgot its scripts gets this one again.
    async fn try_grant(&self) -> Result<(), Fault> {
        let Inner { caller, claims, .. } = &*self.0;
        let arguments = Arguments {
            keys: caller.keys.of_probe().head().collect(),
            head: call::head(caller.install, text(1), vec![], Position::default()),
            args: &self.grant_args(BatchId([0; 16]), &[]),
        };
        caller.run(claims, &script::GRANT, &arguments).await.map(drop)
    }

    /// Ends the gate. What was answered is in Redis, and the connections end with the last clone.
    pub(super) async fn close(&self) {}

    async fn call(&self, call: &Call<'_>) -> Result<Fields, GateError> {
        self.0.caller.call(&self.0.rest, call).await
    }
}
