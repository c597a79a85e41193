//! The names of things: sales, rounds, shards, buyers, requests, tickets, batches, installs.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadId(&'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// What a valid one looks like.
            pub const RULE: &'static str = $rule;

            /// Checks the text.
            pub fn new(text: &str) -> Result<Self, BadId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(BadId(Self::RULE)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// Names a sale: the merchant's own choice, 1 to 64 of `a-z`, `0-9` and `-`.
    SaleId,
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    },
    "must be 1 to 64 characters of a-z, 0-9 and -"
);

text_id!(
    /// Names a buyer: opaque, 1 to 64 bytes, vouched for by the merchant's token.
    BuyerId,
    |text| (1..=64).contains(&text.len()),
    "must be 1 to 64 bytes"
);

text_id!(
    /// Names one claim of a buyer, so that a retry is known as one: 1 to 128 visible ASCII
    /// characters, or empty where the client sent none.
    RequestId,
    |text| text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic()),
    "must be 1 to 128 visible ASCII characters"
);

impl RequestId {
    /// The request id of a claim that came without one.
    pub fn none() -> Self {
        Self("".into())
    }

    /// Whether the claim came without one.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// Names a round, across all sales of one install. Text in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId(pub u32);

impl RoundId {
    /// Reads the decimal form; only the canonical one (no sign, no leading zero).
    pub fn parse(text: &str) -> Result<Self, BadId> {
        match text.parse() {
            Ok(n) if Self(n).to_string() == text => Ok(Self(n)),
            Ok(_) | Err(_) => Err(BadId("must be the round's number as text")),
        }
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for RoundId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoundId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A part of a round that is granted on its own. Every round has one for now; the ticket id
/// names it from the first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

impl Shard {
    /// The only shard of a round that has one.
    pub const FIRST: Self = Self(0);
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads base64url without padding; only the canonical form of 22 characters.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let mut bytes = [0; 16];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
                    Ok(16) => Ok(Self(bytes)),
                    Ok(_) | Err(_) => Err(BadId($rule)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 22];
                URL_SAFE_NO_PAD
                    .encode_slice(self.0, &mut text)
                    .expect("16 bytes are 22 characters of base64");
                f.write_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

byte_id!(
    /// Names a ticket, and in it the round and the shard: 4 bytes round, 1 byte shard, 11
    /// bytes of keyed BLAKE3 over the buyer and the request id. Text is base64url.
    ///
    /// It is derived, never drawn, so the same claim has the same id even when everything but
    /// the round's salt is lost.
    TicketId,
    "must be a ticket id of 22 characters"
);
byte_id!(
    /// Names the orders that one call of the gate granted.
    BatchId,
    "must be a batch id of 22 characters"
);
byte_id!(
    /// Names one database: drawn by its first migration. What carries another one is refused,
    /// so that a new database never meets an old gate or an old topic.
    InstallId,
    "must be an install id of 22 characters"
);

/// Keys the ticket ids of one round. It stands in the ledger and is never rotated; without it
/// nobody can compute another buyer's ticket id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

impl TicketId {
    /// The id of the claim that `buyer` makes under `request` in this round and shard.
    pub fn derive(
        round: RoundId,
        shard: Shard,
        salt: &Salt,
        buyer: &BuyerId,
        request: &RequestId,
    ) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&salt.0);
        for part in [buyer.as_str(), request.as_str()] {
            let length = u32::try_from(part.len()).expect("ids are at most 128 bytes");
            hasher.update(&length.to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let mut id = [0; 16];
        id[..4].copy_from_slice(&round.0.to_be_bytes());
        id[4] = shard.0;
        id[5..].copy_from_slice(&hasher.finalize().as_bytes()[..11]);
        Self(id)
    }

    /// The round that this ticket belongs to.
    pub fn round(self) -> RoundId {
        RoundId(u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]))
    }

    /// The first id that a ticket of this round can have. Ids begin with their round, so those of
    /// a round stand together.
    pub fn first_of(round: RoundId) -> Self {
        Self::edge_of(round, 0)
    }

    /// The last id that a ticket of this round can have.
    pub fn last_of(round: RoundId) -> Self {
        Self::edge_of(round, 0xff)
    }

    /// The last id that can stand before those of this round: what a list goes on after. `None`
    /// if no round comes before it.
    pub fn last_before(round: RoundId) -> Option<Self> {
        round.0.checked_sub(1).map(|before| Self::last_of(RoundId(before)))
    }

    fn edge_of(round: RoundId, rest: u8) -> Self {
        let mut id = [rest; 16];
        id[..4].copy_from_slice(&round.0.to_be_bytes());
        Self(id)
    }

    /// The shard that granted it.
    pub fn shard(self) -> Shard {
        Shard(self.0[4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn derive(buyer: &str, request: &str) -> TicketId {
        TicketId::derive(
            RoundId(7),
            Shard::FIRST,
            &Salt([3; 32]),
            &BuyerId::new(buyer).unwrap(),
            &RequestId::new(request).unwrap(),
        )
    }

    #[test]
    fn a_ticket_id_names_its_round_and_is_the_same_for_the_same_claim() {
        let id = derive("ada", "r1");
        assert_eq!(id, derive("ada", "r1"));
        assert_eq!((id.round(), id.shard()), (RoundId(7), Shard::FIRST));
        assert_eq!(id.to_string(), "AAAABwCJM9Es0SrL0T-VMg", "ids may never change");
    }

    #[test]
    fn the_ids_of_a_round_stand_together() {
        let id = derive("ada", "r1");
        assert!(TicketId::first_of(RoundId(7)) <= id && id <= TicketId::last_of(RoundId(7)));
        let before = TicketId::last_before(RoundId(256)).unwrap();
        assert!(before >= TicketId::last_of(RoundId(255)));
        assert!(before < TicketId::first_of(RoundId(256)));
        assert_eq!(TicketId::last_before(RoundId(0)), None);
    }

    #[test]
    fn the_border_between_buyer_and_request_id_counts() {
        assert_ne!(derive("ab", "c"), derive("a", "bc"));
        assert_ne!(derive("a", ""), derive("a", "a"));
    }

    #[test]
    fn only_the_canonical_text_of_a_ticket_id_is_read() {
        let text = derive("ada", "").to_string();
        assert!(TicketId::parse(&text).is_ok());
        let mut loose = text.clone();
        loose.pop();
        for last in ["R", "S", "T"] {
            assert!(TicketId::parse(&format!("{loose}{last}")).is_err());
        }
        for bad in [format!("{text}="), format!("{text}A"), loose, String::new()] {
            assert!(TicketId::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sale_ids_and_request_ids_keep_to_their_alphabets() {
        assert!(SaleId::new("summer-26").is_ok());
        for bad in ["", "Summer", "a b", "a/b", &"x".repeat(65)] {
            assert!(SaleId::new(bad).is_err(), "{bad}");
        }
        for bad in ["a b", "é", "a\n", &"x".repeat(129)] {
            assert!(RequestId::new(bad).is_err(), "{bad}");
        }
        assert!(RequestId::new("").unwrap().is_none());
        for bad in ["+1", "01", "-1", "4294967296", ""] {
            assert!(RoundId::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_ticket_id_survives_its_text(bytes: [u8; 16]) {
            let id = TicketId(bytes);
            prop_assert_eq!(TicketId::parse(&id.to_string()).unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = TicketId::parse(&text);
            let _ = RoundId::parse(&text);
        }
    }
}
