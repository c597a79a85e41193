//! The names of keys. All keys of a slot carry one hash tag, so that a script touches one slot.

use std::num::NonZero;

use sale::id::BuyerId;

use crate::gate::Slot;

/// The keys of a slot that are not records, in the order of KEYS.
const NAMES: [&str; 5] = ["terms", "stock", "restocks", "outbox", "due"];

/// Winners that one part of the records is meant for: freeing a hash of a million blocks Redis
/// for a quarter of a second.
const PART: u64 = 100_000;

/// The most parts of one round. Beyond it parts grow.
const MOST_PARTS: u64 = 1024;

/// The keys of slots under one prefix.
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The marker that says whose Redis this is.
    pub(super) fn install(&self) -> String {
        format!("{}:install", self.prefix)
    }

    /// How the keys of a slot begin.
    pub(super) fn of(&self, slot: Slot) -> SlotKeys {
        SlotKeys(format!("{}:{{{}:{}}}", self.prefix, slot.round, slot.shard.0))
    }

    /// How the keys begin that the probe names. There is nothing behind them.
    pub(super) fn of_probe(&self) -> SlotKeys {
        SlotKeys(format!("{}:{{probe}}", self.prefix))
    }
}

/// The keys of one slot, or of a copy of it.
pub(super) struct SlotKeys(String);

impl SlotKeys {
    /// A copy of the slot that is not live.
    pub(super) fn copy(&self, name: &str) -> Self {
        Self(format!("{}:warm:{name}", self.0))
    }

    /// Those that are not records, in the order of KEYS.
    pub(super) fn head(&self) -> impl Iterator<Item = String> {
        NAMES.iter().map(|name| format!("{}:{name}", self.0))
    }

    /// One part of the records.
    pub(super) fn records(&self, part: u16) -> String {
        format!("{}:records:{part}", self.0)
    }
}

/// How many parts the records of a round get that may have so many winners.
pub(super) fn parts_for(winners: u64) -> NonZero<u16> {
    let parts = winners.div_ceil(PART).clamp(1, MOST_PARTS);
    let parts = u16::try_from(parts).ok().and_then(NonZero::new);
    parts.expect("there are 1 to the most parts")
}

/// The part that a buyer's record is in. Records lie in Redis across upgrades, so this never
/// changes.
pub(super) fn part_of(buyer: &BuyerId, parts: NonZero<u16>) -> u16 {
    if parts.get() == 1 {
        return 0;
    }
    let [a, b, c, d, ..] = *blake3::hash(buyer.as_str().as_bytes()).as_bytes();
    let part = u32::from_be_bytes([a, b, c, d]) % NonZero::<u32>::from(parts);
    u16::try_from(part).expect("it is below the number of parts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::id::RoundId;

    #[test]
    fn every_key_of_a_slot_has_its_hash_tag_and_the_prefix() {
        let keys = Keys::new("shop").of(Slot::first(RoundId(7)));
        assert_eq!(keys.head().next().unwrap(), "shop:{7:0}:terms");
        assert_eq!(keys.records(3), "shop:{7:0}:records:3");
        assert_eq!(keys.copy("x").records(3), "shop:{7:0}:warm:x:records:3");
    }

    #[test]
    fn a_buyer_stays_in_his_part_for_ever() {
        let part =
            |buyer, parts| part_of(&BuyerId::new(buyer).unwrap(), NonZero::new(parts).unwrap());
        assert_eq!(
            [part("ada", 1), part("ada", 7), part("bob", 7), part("ada", 1024)],
            [0, 3, 4, 239]
        );
    }

    #[test]
    fn a_part_is_meant_for_a_bounded_number_of_winners() {
        let parts = [0, 1, 100_000, 100_001, 1_000_000, u64::MAX].map(|n| parts_for(n).get());
        assert_eq!(parts, [1, 1, 1, 2, 10, 1024]);
    }
}
