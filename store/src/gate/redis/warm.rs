//! Loading a round: a copy is built under keys of its own, in pieces, and then made live by one
//! script.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Pipeline, Value, cmd, pipe};
use sale::id::{BuyerId, InstallId};
use sale::terms::Terms;

use super::call::{Arguments, Caller, head, loaded_anew, other_install, text};
use super::fault::Fault;
use super::keys::{SlotKeys, part_of, parts_for};
use super::link::Link;
use super::record::{entry, held_and_sold};
use super::reply::Refusal;
use super::script::WARM;
use crate::gate::seen::Position;
use crate::gate::{GateError, Settlement, Slot, Snapshot};

/// How long a copy stays after its last piece, should nobody make it live.
const COPY: Duration = Duration::from_secs(600);

/// Fields sent in one piece; its answer comes in the time of one call.
const PIECE: usize = 8_000;

/// Fields written by one command: others get their turn after each.
const FIELDS: usize = 500;

/// Names and values.
type Pairs<'a> = Vec<(&'a [u8], Vec<u8>)>;

/// A hash of the copy.
struct Hash<'a> {
    key: String,
    fields: Pairs<'a>,
}

impl Caller {
    /// Builds a copy of the round and makes it live, unless another is live that does not give
    /// way.
    pub(super) async fn warm(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        over: Option<u64>,
    ) -> Result<bool, GateError> {
        let slot = Slot::first(snapshot.terms.round);
        let over = over.map_or(vec![], text);
        let copy = self.keys.of(slot).copy(&format!("{:016x}", rand::random::<u64>()));
        let hashes = hashes(snapshot, self.install, &copy);
        let warmed = match write(link, &hashes).await {
            Ok(()) => self.put(link, slot, &hashes, [text(snapshot.incarnation), over]).await,
            Err(fault) => Err(fault.into()),
        };
        if warmed.is_err() {
            // Or tries that fail for want of memory would fill it, and claims of every other
            // round with them. Where this fails too, the copy expires.
            let mut remove = cmd("UNLINK");
            remove.arg(hashes.iter().map(|hash| &*hash.key).collect::<Vec<_>>());
            let _ = link.query::<Value>(&remove).await;
        }
        warmed
    }

    /// Puts a whole copy in its place. One that went by a wrong number of parts of the round
    /// that gives way is tried again, once.
    async fn put(
        &self,
        link: &Link,
        slot: Slot,
        hashes: &[Hash<'_>],
        over: [Vec<u8>; 2],
    ) -> Result<bool, GateError> {
        let live = self.keys.of(slot);
        let sizes = hashes.iter().map(|hash| text(hash.fields.len()));
        let args: Vec<_> = over.into_iter().chain(sizes).collect();
        for _ in 0..2 {
            let parts = self.parts.of(slot);
            let keys = hashes.len().max(live.head().count() + usize::from(parts.get()));
            let records = (0..).map(|part| live.records(part));
            let copied = hashes.iter().map(|hash| hash.key.clone());
            let arguments = Arguments {
                keys: live.head().chain(records).take(keys).chain(copied).collect(),
                head: head(self.install, text(parts), vec![], Position::default()),
                args: &args,
            };
            let mut reply = self.run(link, &WARM, &arguments).await?;
            match reply.refusal().map_err(Fault::InDoubt)? {
                None | Some(Refusal::NotWarm | Refusal::Recovering) => {}
                Some(Refusal::Parts(parts)) => {
                    self.parts.remember(slot, parts);
                    continue;
                }
                Some(Refusal::OtherInstall) => return Err(other_install(slot)),
            }
            return match reply.take::<String>("warmed").map_err(Fault::InDoubt)?.as_str() {
                "yes" => Ok(true),
                "no" => Ok(false),
                _ => Err(GateError::Unavailable(format!(
                    "the copy of round {} expired before it was whole: load it again",
                    slot.round
                ))),
            };
        }
        Err(loaded_anew(slot))
    }
}

/// Writes a copy, in pieces.
async fn write(link: &Link, hashes: &[Hash<'_>]) -> Result<(), Fault> {
    for hash in hashes {
        for piece in hash.fields.chunks(PIECE) {
            link.pipeline(&hash.write(piece)).await?;
        }
    }
    Ok(())
}

impl Hash<'_> {
    fn write(&self, piece: &[(&[u8], Vec<u8>)]) -> Pipeline {
        let keep = u64::try_from(COPY.as_millis()).expect("some minutes");
        let mut pipeline = pipe();
        for fields in piece.chunks(FIELDS) {
            let command = pipeline.cmd("HSET").arg(&self.key);
            for (name, value) in fields {
                command.arg(*name).arg(value.as_slice());
            }
            pipeline.cmd("PEXPIRE").arg(&self.key).arg(keep);
        }
        pipeline
    }
}

/// What a round consists of, in the order of KEYS. Its outbox is empty: what the ledger does not
/// know yet comes by the log or by a token.
fn hashes<'a>(snapshot: &'a Snapshot, install: InstallId, copy: &SlotKeys) -> Vec<Hash<'a>> {
    let mut records = HashMap::<&BuyerId, Vec<u8>>::new();
    let (mut held, mut sold) = (0, 0);
    for Settlement { ticket, buyer, state } in &snapshot.tickets {
        let (units_held, units_sold) = held_and_sold(state);
        held += i64::from(units_held);
        sold += i64::from(units_sold);
        records.entry(buyer).or_default().extend(entry(*ticket, state));
    }
    let stock = u64::try_from(snapshot.available + held + sold).unwrap_or(0);
    let parts = parts_for(stock.max(records.len() as u64));

    let mut terms = terms_fields(&snapshot.terms).to_vec();
    terms.push(("install", install.to_string()));
    terms.push(("incarnation", snapshot.incarnation.to_string()));
    terms.push(("parts", parts.to_string()));
    let counts = [("available", snapshot.available), ("held", held), ("sold", sold)];
    let counts = counts.into_iter().chain(["orders", "units", "sequence"].map(|name| (name, 0)));
    let restocks = snapshot.restocks.iter().map(|(key, applied)| (key.as_str(), *applied));

    let mut fields = vec![texts(terms), texts(counts), texts(restocks), vec![], vec![]];
    let mut divided = vec![Vec::new(); usize::from(parts.get())];
    for (buyer, record) in records {
        let part = usize::from(part_of(buyer, parts));
        divided[part].push((buyer.as_str().as_bytes(), record));
    }
    fields.extend(divided);
    let keys = copy.head().chain((0..parts.get()).map(|part| copy.records(part)));
    keys.zip(fields).map(|(key, fields)| Hash { key, fields }).collect()
}

/// Fields whose values are texts or numbers.
fn texts<'a, T: ToString>(fields: impl IntoIterator<Item = (&'a str, T)>) -> Pairs<'a> {
    let texts = |(name, value): (&'a str, T)| (name.as_bytes(), value.to_string().into_bytes());
    fields.into_iter().map(texts).collect()
}

/// The fields of the terms, as the scripts read them.
pub(super) fn terms_fields(terms: &Terms) -> [(&'static str, String); 6] {
    let json = serde_json::to_string(terms).expect("terms have text keys and plain values only");
    [
        ("json", json),
        ("opens_at", terms.window.opens_at().millis().to_string()),
        ("closes_at", terms.window.closes_at().millis().to_string()),
        ("limit", terms.limit.to_string()),
        ("closed", u8::from(terms.closed).to_string()),
        ("version", terms.version.to_string()),
    ]
}
