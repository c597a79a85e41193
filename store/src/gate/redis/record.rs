//! The bytes that lie in Redis: records, and the orders of an outbox entry. They lie there across
//! upgrades; `slot.lua` says what they are, and the scripts write the same.

use std::sync::Arc;

use redis::{FromRedisValue as _, Value};
use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, InstallId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::status::{Reason, Status};
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sale::units::Units;

use super::reply::{Fields, Unreadable};

/// Bytes of one ticket in a record.
pub(super) const ENTRY: usize = 36;

/// Bytes of a claim before the buyer.
const CLAIM: usize = 18;

/// A ticket as an entry of its buyer's record. What the scripts must know of the status, which
/// units are held and which are sold, stands beside it.
pub(super) fn entry(ticket: TicketId, state: &TicketState) -> [u8; ENTRY] {
    let (held, sold) = held_and_sold(state);
    let mut entry = [0; ENTRY];
    entry[..16].copy_from_slice(&ticket.0);
    entry[16..20].copy_from_slice(&state.version.to_be_bytes());
    entry[20..24].copy_from_slice(&[state.units.get(), held, sold, code(state.status)]);
    entry[24..30].copy_from_slice(&time(Some(state.granted_at)));
    entry[30..].copy_from_slice(&time(state.decided_at));
    entry
}

/// The units of a ticket that are held for its verdict, and those that are sold.
pub(super) fn held_and_sold(state: &TicketState) -> (u8, u8) {
    match state.status {
        Status::Pending => (state.units.get(), 0),
        Status::Confirmed => (0, state.units.get()),
        Status::Rejected(_) => (0, 0),
    }
}

/// The tickets of a record, in the order they came.
pub(super) fn tickets(record: &[u8]) -> Result<Vec<(TicketId, TicketState)>, Unreadable> {
    let (entries, []) = record.as_chunks::<ENTRY>() else { return Err(Unreadable("record")) };
    entries.iter().map(ticket).collect()
}

/// The ticket that an entry is of.
pub(super) fn ticket(entry: &[u8; ENTRY]) -> Result<(TicketId, TicketState), Unreadable> {
    let [a, b, c, d, units, _, _, status] = part(entry, 16);
    let state = TicketState {
        units: Units::new(units.into()).map_err(|_| Unreadable("units"))?,
        status: status_of(status)?,
        version: u32::from_be_bytes([a, b, c, d]),
        granted_at: time_of(part(entry, 24))?.ok_or(Unreadable("time"))?,
        decided_at: time_of(part(entry, 30))?,
    };
    Ok((TicketId(part(entry, 0)), state))
}

/// A claim as grant.lua takes it, and as the outbox keeps it when it is granted.
pub(super) fn claim(claim: &Claim) -> Vec<u8> {
    let buyer = claim.buyer.as_str().as_bytes();
    let length = u8::try_from(buyer.len()).expect("a buyer's id is at most 64 bytes");
    let mut packed = Vec::with_capacity(CLAIM + buyer.len());
    packed.extend(claim.ticket.0);
    packed.extend([claim.units.get(), length]);
    packed.extend(buyer);
    packed
}

/// The batch that an entry of the outbox holds.
pub(super) fn batch(install: InstallId, entry: Value) -> Result<Arc<Batch>, Unreadable> {
    let mut entry = Fields::read(entry)?;
    let id = entry.take::<Vec<u8>>("batch")?;
    let id = BatchId(id.try_into().map_err(|_| Unreadable("batch id"))?);
    let sequence = entry.take("sequence")?;
    let granted_at = entry.time("granted_at")?;
    let incarnation = entry.take("incarnation")?;
    let packed = entry.take::<Vec<u8>>("orders")?;
    let mut rest = packed.as_slice();
    let mut orders = Vec::new();
    while !rest.is_empty() {
        let (claim, after) = next_claim(rest)?;
        rest = after;
        let Claim { ticket, buyer, units } = claim;
        orders.push(OrderV1 { ticket, buyer, units, granted_at, incarnation });
    }
    let batch = Batch::new(install, id, sequence, orders);
    Ok(Arc::new(batch.map_err(|_| Unreadable("batch"))?))
}

/// Several of those.
pub(super) fn batches(install: InstallId, entries: Value) -> Result<Vec<Arc<Batch>>, Unreadable> {
    let entries = Vec::<Value>::from_redis_value(entries).map_err(|_| Unreadable("outbox"))?;
    entries.into_iter().map(|entry| batch(install, entry)).collect()
}

fn next_claim(packed: &[u8]) -> Result<(Claim, &[u8]), Unreadable> {
    let unreadable = Unreadable("order");
    let (head, rest) = packed.split_first_chunk::<CLAIM>().ok_or(unreadable)?;
    let [units, length] = part(head, 16);
    let (buyer, rest) = rest.split_at_checked(length.into()).ok_or(unreadable)?;
    let buyer = std::str::from_utf8(buyer).map_err(|_| unreadable)?;
    let claim = Claim {
        ticket: TicketId(part(head, 0)),
        buyer: BuyerId::new(buyer).map_err(|_| unreadable)?,
        units: Units::new(units.into()).map_err(|_| unreadable)?,
    };
    Ok((claim, rest))
}

/// `N` of the bytes from `at` on.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has this length")
}

const STATUSES: [Status; 6] = [
    Status::Pending,
    Status::Confirmed,
    Status::Rejected(Reason::SoldOut),
    Status::Rejected(Reason::Limit),
    Status::Rejected(Reason::Unprocessable),
    Status::Rejected(Reason::Deadline),
];

fn code(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Confirmed => 1,
        Status::Rejected(Reason::SoldOut) => 2,
        Status::Rejected(Reason::Limit) => 3,
        Status::Rejected(Reason::Unprocessable) => 4,
        Status::Rejected(Reason::Deadline) => 5,
    }
}

fn status_of(code: u8) -> Result<Status, Unreadable> {
    STATUSES.get(usize::from(code)).copied().ok_or(Unreadable("status"))
}

/// Milliseconds in 6 bytes, which last beyond the year 9999; 0 is none.
fn time(at: Option<Timestamp>) -> [u8; 6] {
    part(&at.map_or(0, Timestamp::millis).to_be_bytes(), 2)
}

fn time_of(bytes: [u8; 6]) -> Result<Option<Timestamp>, Unreadable> {
    let [a, b, c, d, e, f] = bytes;
    match i64::from_be_bytes([0, 0, a, b, c, d, e, f]) {
        0 => Ok(None),
        ms => Ok(Some(Timestamp::from_millis(ms).map_err(|_| Unreadable("time"))?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::status::Move;

    fn state() -> TicketState {
        let granted_at = Timestamp::from_millis(1_767_323_045_678).unwrap();
        TicketState::pending(Units::new(3).unwrap(), granted_at)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_an_entry_stay_as_they_are() {
        let ticket = TicketId([0x22; 16]);
        let pending = entry(ticket, &state());
        assert_eq!(hex(&pending[..16]), "22".repeat(16));
        assert_eq!(hex(&pending[16..]), "0000000103030000019b7ca98f2e000000000000");
        let rejected = state().after(Move::Reject(Reason::Deadline), state().granted_at).unwrap();
        let rejected = entry(ticket, &rejected);
        assert_eq!(hex(&rejected[16..]), "0000000203000005019b7ca98f2e019b7ca98f2e");
    }

    #[test]
    fn every_status_survives_its_bytes() {
        let moves = Reason::ALL.map(Move::Reject).into_iter().chain([Move::Confirm]);
        let decided = moves.map(|by| state().after(by, state().granted_at).unwrap());
        let states: Vec<_> = decided.chain([state()]).map(|s| (TicketId([7; 16]), s)).collect();
        let record: Vec<u8> =
            states.iter().flat_map(|(ticket, state)| entry(*ticket, state)).collect();
        assert_eq!(tickets(&record).unwrap(), states);
        for (n, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(usize::from(code(status)), n);
        }
    }

    #[test]
    fn torn_bytes_are_refused() {
        let record = entry(TicketId([7; 16]), &state());
        for length in 1..ENTRY {
            assert!(tickets(&record[..length]).is_err());
        }
        let packed = claim(&Claim {
            ticket: TicketId([7; 16]),
            buyer: BuyerId::new("grace é").unwrap(),
            units: Units::ONE,
        });
        assert!(next_claim(&packed).is_ok());
        for length in 0..packed.len() {
            assert!(next_claim(&packed[..length]).is_err());
        }
    }
}
