//! Tokens: what opens was sealed with the install's key, and sealing it again gives the same text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sale::id::InstallId;
use sale::time::Timestamp;
use sale::token::{KeyId, TokenKeys};

const INSTALL: [u8; 16] = [9; 16];
const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const CONTEXT: &str = "dibs 2026-11 ticket token mac key";

pub(crate) fn run(data: &[u8]) {
    let keys = TokenKeys::new(InstallId(INSTALL), SECRET, &[] as &[&[u8]]);
    if let Ok(text) = std::str::from_utf8(data) {
        opens_to_itself(&keys, text);
    }
    let KeyId(key) = keys.ids()[0];
    let good = under_a_good_mac(key, data);
    if opens_to_itself(&keys, &URL_SAFE_NO_PAD.encode(&good)) {
        let mut forged = good;
        let at = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % (forged.len() * 8);
        forged[at / 8] ^= 1 << (at % 8);
        assert!(keys.open(&URL_SAFE_NO_PAD.encode(forged)).is_err(), "bit {at} was flipped");
    }
}

fn opens_to_itself(keys: &TokenKeys, text: &str) -> bool {
    let opened = keys.open(text);
    if let Ok(order) = &opened {
        assert_eq!(keys.seal(order), text);
        // It will be shown.
        assert!(Timestamp::parse(&order.granted_at.to_string()) == Ok(order.granted_at));
    }
    opened.is_ok()
}

/// What nobody without the key can make: any bytes at all where ticket, units, time and buyer
/// stand, sealed.
fn under_a_good_mac(key: [u8; 4], order: &[u8]) -> Vec<u8> {
    let mut bytes = [&[1], &key[..], &INSTALL, order].concat();
    let mac = blake3::keyed_hash(&blake3::derive_key(CONTEXT, SECRET), &bytes);
    bytes.extend_from_slice(&mac.as_bytes()[..16]);
    bytes
}
