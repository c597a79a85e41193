//! Calls of the scripts on a slot.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::{Cmd, Value};
use sale::id::{BuyerId, InstallId};

use super::clock::Clock;
use super::fault::Fault;
use super::keys::{Keys, SlotKeys, part_of};
use super::link::Link;
use super::reply::{Fields, Refusal};
use super::script::{FREEZE, Script};
use crate::gate::seen::{Position, Seen, Told};
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
    pub(super) seen: Seen,
    /// That a gate which is behind could not be frozen.
    pub(super) not_frozen: Told,
}

impl Caller {
    /// Calls a script; one that went by a wrong number of parts is called again, once.
    pub(super) async fn call(&self, link: &Link, call: &Call<'_>) -> Result<Fields, GateError> {
        let slot = call.slot;
        let keys = self.keys.of(slot);
        for _ in 0..2 {
            let seen = self.seen.of(slot);
            let arguments = call.arguments(&keys, self.install, self.parts.of(slot), seen);
            let mut reply = self.run(link, call.script, &arguments).await?;
            self.compare(link, slot, seen, &mut reply).await?;
            match reply.refusal().map_err(Fault::InDoubt)? {
                None => return Ok(reply),
                Some(Refusal::Parts(parts)) => self.parts.remember(slot, parts),
                Some(Refusal::NotWarm) => {
                    self.parts.forget(slot);
                    return Err(GateError::NotWarm(slot.round));
                }
                Some(Refusal::OtherInstall) => return Err(other_install(slot)),
                Some(Refusal::Recovering) => return Err(GateError::Recovering(slot.round)),
            }
        }
        Err(loaded_anew(slot))
    }

    /// Remembers how far the round has come that answered. One that is behind what was seen
    /// before the call has lost writes: it is frozen, for everybody.
    async fn compare(
        &self,
        link: &Link,
        slot: Slot,
        seen: Position,
        reply: &mut Fields,
    ) -> Result<(), Fault> {
        let Some((found, frozen)) = reply.stands().map_err(Fault::InDoubt)? else {
            return Ok(());
        };
        self.seen.raise(slot, found);
        if found >= seen || frozen {
            return Ok(());
        }
        let arguments = Arguments {
            keys: self.keys.of(slot).head().collect(),
            head: head(self.install, vec![], vec![], seen),
            // Not that of another incarnation, which may be there by now.
            args: &[text(found.incarnation)],
        };
        match self.run(link, &FREEZE, &arguments).await {
            Ok(mut answer) => {
                reply.freeze();
                // One of all who find it tells it.
                if answer.take::<u8>("first").is_ok() {
                    found.is_behind(seen, slot);
                }
            }
            // The reply stands all the same, and whoever calls next tries again.
            Err(fault) => {
                if self.not_frozen.is_due() {
                    found.stays(seen, slot, &fault.into());
                }
            }
        }
        Ok(())
    }

    /// Runs a script, which Redis may have to be given first: it forgets them at a restart.
    pub(super) async fn run(
        &self,
        link: &Link,
        script: &Script,
        arguments: &Arguments<'_>,
    ) -> Result<Fields, Fault> {
        let reply = link.query::<Value>(&arguments.of("EVALSHA", &script.hash)).await;
        let reply = match reply {
            Err(fault) if fault.is_no_script() => {
                link.query(&arguments.of("EVAL", &script.text)).await?
            }
            Ok(_) | Err(_) => reply?,
        };
        let reply = Fields::read(reply).map_err(Fault::InDoubt)?;
        self.clock.saw(reply.time("now").map_err(Fault::InDoubt)?);
        Ok(reply)
    }
}

pub(super) fn other_install(slot: Slot) -> GateError {
    GateError::Unavailable(format!(
        "round {} in this Redis belongs to another install: use another Redis or prefix",
        slot.round
    ))
}

pub(super) fn loaded_anew(slot: Slot) -> GateError {
    let round = slot.round;
    GateError::Unavailable(format!("round {round} was loaded anew during the call: ask again"))
}

/// KEYS and ARGV of a call.
pub(super) struct Arguments<'a> {
    pub(super) keys: Vec<String>,
    /// Those that `slot.lua` names: install, parts, places, and what was seen.
    pub(super) head: [Vec<u8>; 5],
    /// Those that the script names itself.
    pub(super) args: &'a [Vec<u8>],
}

pub(super) fn head(
    install: InstallId,
    parts: Vec<u8>,
    places: Vec<u8>,
    seen: Position,
) -> [Vec<u8>; 5] {
    let Position { incarnation, sequence } = seen;
    [text(install), parts, places, text(incarnation), text(sequence)]
}

impl Arguments<'_> {
    fn of(&self, command: &str, script: &str) -> Cmd {
        let args = self.head.iter().chain(self.args);
        let bytes = script.len() + args.clone().map(Vec::len).sum::<usize>();
        let mut call = Cmd::with_capacity(6 + self.keys.len() + self.args.len(), bytes);
        call.arg(command).arg(script).arg(self.keys.len()).arg(&self.keys);
        for arg in args {
            call.arg(arg.as_slice());
        }
        call
    }
}

impl Call<'_> {
    fn arguments(
        &self,
        slot: &SlotKeys,
        install: InstallId,
        parts: NonZero<u16>,
        seen: Position,
    ) -> Arguments<'_> {
        let mut keys: Vec<_> = slot.head().collect();
        let mut places = Vec::new();
        let told = match &self.records {
            Records::None => String::new(),
            Records::All => {
                keys.extend((0..parts.get()).map(|part| slot.records(part)));
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
        let head = head(install, told.into_bytes(), places, seen);
        Arguments { keys, head, args: &self.args }
    }
}

/// A number or an id as an argument of a script.
pub(super) fn text(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The number of parts of the slots that turned out to have more than one.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<Slot, NonZero<u16>>>);

impl Parts {
    pub(super) fn of(&self, slot: Slot) -> NonZero<u16> {
        self.locked().get(&slot).copied().unwrap_or(NonZero::<u16>::MIN)
    }

    pub(super) fn remember(&self, slot: Slot, parts: NonZero<u16>) {
        let mut known = self.locked();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(slot, parts);
    }

    fn forget(&self, slot: Slot) {
        self.locked().remove(&slot);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Slot, NonZero<u16>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
