//! Calls of the scripts on a slot.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::{Cmd, Value};
use sale::id::{BuyerId, InstallId};

use super::clock::Clock;
use super::fault::Fault;
use super::keys::{Keys, SlotKeys, part_of};
use super::link::Link;
use super::reply::{Fields, Refusal};
use super::script::Script;
use crate::gate::{GateError, Slot};

/// Slots of which the number of parts is remembered. At the bound all are forgotten, which
/// costs each a second call.
const REMEMBERED: usize = 10_000;

/// One call of a script on a slot.
pub(super) struct Call<'a> {
    pub(super) script: &'static Script,
    pub(super) slot: Slot,
    pub(super) records: Records<'a>,
    /// What the script names itself, in its order.
    pub(super) args: Vec<Vec<u8>>,
}

/// Which parts of the records a call needs.
pub(super) enum Records<'a> {
    None,
    /// Those of these buyers; the script is told which is whose.
    Of(Vec<&'a BuyerId>),
    All,
}

/// Calls scripts, and takes from each reply what all of them say.
pub(super) struct Caller {
    pub(super) install: InstallId,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    pub(super) parts: Parts,
}

impl Caller {
    /// Calls a script; one that went by a wrong number of parts is called again, once.
    pub(super) async fn call(&self, link: &Link, call: &Call<'_>) -> Result<Fields, GateError> {
        let slot = call.slot;
        let keys = self.keys.of(slot);
        for _ in 0..2 {
            let arguments = call.arguments(&keys, self.install, self.parts.of(slot));
            let mut reply = self.run(link, call.script, arguments).await?;
            match reply.refusal().map_err(Fault::from)? {
                None => return Ok(reply),
                Some(Refusal::Parts(parts)) => self.parts.remember(slot, parts),
                Some(Refusal::NotWarm) => {
                    self.parts.forget(slot);
                    return Err(GateError::NotWarm(slot.round));
                }
                Some(Refusal::OtherInstall) => return Err(other_install(slot)),
            }
        }
        Err(GateError::Unavailable(format!(
            "round {} was loaded anew during the call: ask again",
            slot.round
        )))
    }

    /// Runs a script, which Redis may have to be given first: it forgets them at a restart.
    pub(super) async fn run(
        &self,
        link: &Link,
        script: &Script,
        arguments: Arguments,
    ) -> Result<Fields, Fault> {
        let reply = link.query::<Value>(&arguments.of("EVALSHA", &script.hash)).await;
        let reply = match reply {
            Err(fault) if fault.is_no_script() => {
                link.query(&arguments.of("EVAL", &script.text)).await?
            }
            Ok(_) | Err(_) => reply?,
        };
        let reply = Fields::read(reply)?;
        self.clock.saw(reply.time("now")?);
        Ok(reply)
    }
}

pub(super) fn other_install(slot: Slot) -> GateError {
    GateError::Unavailable(format!(
        "round {} in this Redis belongs to another install: use another Redis or prefix",
        slot.round
    ))
}

/// KEYS and ARGV of a call.
pub(super) struct Arguments {
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Arguments {
    fn of(&self, command: &str, script: &str) -> Cmd {
        let bytes = script.len() + self.args.iter().map(Vec::len).sum::<usize>();
        let mut call = Cmd::with_capacity(3 + self.keys.len() + self.args.len(), bytes);
        call.arg(command).arg(script).arg(self.keys.len()).arg(&self.keys);
        for arg in &self.args {
            call.arg(arg.as_slice());
        }
        call
    }
}

impl Call<'_> {
    fn arguments(&self, slot: &SlotKeys, install: InstallId, parts: u16) -> Arguments {
        let mut keys: Vec<_> = slot.head().collect();
        let mut places = Vec::new();
        let told = match &self.records {
            Records::None => String::new(),
            Records::All => {
                keys.extend((0..parts).map(|part| slot.records(part)));
                parts.to_string()
            }
            Records::Of(buyers) => {
                let mut place_of = HashMap::<u16, u16>::new();
                for buyer in buyers {
                    let next = u16::try_from(place_of.len()).expect("there are few parts");
                    let place = *place_of.entry(part_of(buyer, parts)).or_insert_with_key(|part| {
                        keys.push(slot.records(*part));
                        next
                    });
                    places.extend(place.to_be_bytes());
                }
                parts.to_string()
            }
        };
        let head = [install.to_string().into_bytes(), told.into_bytes(), places];
        Arguments { keys, args: head.into_iter().chain(self.args.iter().cloned()).collect() }
    }
}

/// The number of parts of the slots that have more than one.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<Slot, u16>>);

impl Parts {
    fn of(&self, slot: Slot) -> u16 {
        self.locked().get(&slot).copied().unwrap_or(1)
    }

    fn remember(&self, slot: Slot, parts: u16) {
        let mut known = self.locked();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(slot, parts);
    }

    fn forget(&self, slot: Slot) {
        self.locked().remove(&slot);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Slot, u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
