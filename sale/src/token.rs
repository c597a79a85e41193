//! The token: the ticket id and the order it stands for, sealed with a MAC. Holding it is the
//! right to read the ticket, and enough to bring a lost order back.
//!
//! Bytes, before base64url without padding: format (1), key id (4), install (16), ticket (16),
//! units (1), granted_at in ms (6), buyer (1 to 64), MAC (16, keyed BLAKE3 over all before it).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::id::{BuyerId, InstallId, TicketId};
use crate::order::OrderV1;
use crate::time::Timestamp;
use crate::units::Units;

const FORMAT: u8 = 1;
const HEAD: usize = 1 + 4 + 16 + 16 + 1 + 6;
const MAC: usize = 16;
const LONGEST: usize = HEAD + 64 + MAC;
const CONTEXT: &str = "dibs 2026-11 ticket token mac key";

/// Seals and opens tokens of one install. The first key seals, all of them open, so a new key
/// is put in front and the old one leaves when its last ticket is decided.
pub struct TokenKeys {
    install: InstallId,
    sealing: Key,
    retired: Vec<Key>,
}

/// Tells keys apart. It stands in each token that its key has sealed, and is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

struct Key {
    id: KeyId,
    mac: [u8; 32],
}

/// A text that is no token of this install: unknown key, wrong MAC, torn, foreign. Nothing
/// more is told, and no store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this install")]
pub struct Forged;

impl Key {
    fn derive(secret: &[u8]) -> Self {
        let mac = blake3::derive_key(CONTEXT, secret);
        let mut id = [0; 4];
        id.copy_from_slice(&blake3::hash(&mac).as_bytes()[..4]);
        Self { id: KeyId(id), mac }
    }

    fn tag(&self, sealed: &[u8]) -> [u8; MAC] {
        let mut tag = [0; MAC];
        tag.copy_from_slice(&blake3::keyed_hash(&self.mac, sealed).as_bytes()[..MAC]);
        tag
    }
}

impl TokenKeys {
    /// The longest text of a token, in characters.
    pub const LONGEST_TEXT: usize = 166;

    /// Keys made from secrets: `sealing` for new tokens, `retired` ones still open.
    pub fn new(install: InstallId, sealing: &[u8], retired: &[impl AsRef<[u8]>]) -> Self {
        let retired = retired.iter().map(|secret| Key::derive(secret.as_ref())).collect();
        Self { install, sealing: Key::derive(sealing), retired }
    }

    /// The ids of all keys.
    pub fn ids(&self) -> Vec<KeyId> {
        self.all().map(|key| key.id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.sealing).chain(&self.retired)
    }

    /// The token of an order that was granted. To be called after the grant only.
    pub fn seal(&self, order: &OrderV1) -> String {
        let mut bytes = Vec::with_capacity(LONGEST);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.sealing.id.0);
        bytes.extend_from_slice(&self.install.0);
        bytes.extend_from_slice(&order.ticket.0);
        bytes.push(order.units.get());
        bytes.extend_from_slice(&order.granted_at.millis().to_be_bytes()[2..]);
        bytes.extend_from_slice(order.buyer.as_str().as_bytes());
        let tag = self.sealing.tag(&bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The order that a token stands for, if its MAC is right. The order does not know the
    /// incarnation of the gate that granted it.
    pub fn open(&self, token: &str) -> Result<OrderV1, Forged> {
        if token.len() > Self::LONGEST_TEXT {
            return Err(Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Forged)?;
        if bytes.len() <= HEAD + MAC || bytes[0] != FORMAT {
            return Err(Forged);
        }
        let (sealed, tag) = bytes.split_at(bytes.len() - MAC);
        let key = self.all().find(|key| key.id.0 == sealed[1..5]).ok_or(Forged)?;
        if !bool::from(key.tag(sealed).ct_eq(tag)) || sealed[5..21] != self.install.0 {
            return Err(Forged);
        }
        read_order(&sealed[21..]).ok_or(Forged)
    }
}

fn read_order(bytes: &[u8]) -> Option<OrderV1> {
    let (ticket, rest) = bytes.split_first_chunk::<16>()?;
    let (units, rest) = rest.split_first()?;
    let (at, buyer) = rest.split_first_chunk::<6>()?;
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(at);
    Some(OrderV1 {
        ticket: TicketId(*ticket),
        buyer: BuyerId::new(std::str::from_utf8(buyer).ok()?).ok()?,
        units: Units::new(u64::from(*units)).ok()?,
        granted_at: Timestamp::from_millis(i64::from_be_bytes(millis)).ok()?,
        incarnation: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: &[&[u8]] = &[];

    fn keys() -> TokenKeys {
        TokenKeys::new(InstallId([9; 16]), b"a secret of at least thirty-two bytes", NONE)
    }

    fn order(buyer: &str) -> OrderV1 {
        OrderV1 {
            ticket: TicketId([5; 16]),
            buyer: BuyerId::new(buyer).unwrap(),
            units: Units::new(2).unwrap(),
            granted_at: Timestamp::from_millis(1_767_323_045_678).unwrap(),
            incarnation: 0,
        }
    }

    #[test]
    fn a_token_opens_to_its_order_and_is_the_same_text_each_time() {
        let token = keys().seal(&order("ada"));
        assert_eq!(keys().open(&token), Ok(order("ada")));
        assert_eq!(token, include_str!("../golden/token.v1.txt").trim_end());
    }

    #[test]
    fn the_longest_token_stays_below_200_characters() {
        let token = keys().seal(&order(&"x".repeat(64)));
        assert_eq!(token.len(), TokenKeys::LONGEST_TEXT);
        const { assert!(TokenKeys::LONGEST_TEXT <= 200) };
        assert!(keys().open(&token).is_ok());
    }

    #[test]
    fn a_token_with_any_bit_flipped_or_cut_short_is_forged() {
        let token = keys().seal(&order("ada"));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[at] ^= 1 << bit;
                assert_eq!(keys().open(&URL_SAFE_NO_PAD.encode(forged)), Err(Forged));
            }
            assert_eq!(keys().open(&URL_SAFE_NO_PAD.encode(&bytes[..at])), Err(Forged));
        }
    }

    #[test]
    fn a_token_of_another_install_or_secret_is_forged() {
        let token = keys().seal(&order("ada"));
        let secret = b"a secret of at least thirty-two bytes";
        let elsewhere = TokenKeys::new(InstallId([8; 16]), secret, NONE);
        assert_eq!(elsewhere.open(&token), Err(Forged));
        let other = b"another secret, also long enough for it";
        let stranger = TokenKeys::new(InstallId([9; 16]), other, NONE);
        assert_eq!(stranger.open(&token), Err(Forged));
    }

    #[test]
    fn after_a_rotation_old_tokens_open_and_new_ones_use_the_new_key() {
        let old = keys();
        let next = b"another secret, also long enough for it";
        let retired = [b"a secret of at least thirty-two bytes".as_slice()];
        let rotated = TokenKeys::new(InstallId([9; 16]), next, &retired);
        assert_eq!(rotated.open(&old.seal(&order("ada"))), Ok(order("ada")));
        assert_eq!(old.open(&rotated.seal(&order("ada"))), Err(Forged));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String, bytes: Vec<u8>) {
            prop_assert_eq!(keys().open(&text), Err(Forged));
            prop_assert_eq!(keys().open(&URL_SAFE_NO_PAD.encode(bytes)), Err(Forged));
        }
    }
}
