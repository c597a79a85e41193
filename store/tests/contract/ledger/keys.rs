//! The keys of tokens.

use sale::token::KeyId;
use store::ledger::Ledger;

fn key(n: u8) -> KeyId {
    KeyId([n, 0, 255, n])
}

async fn admitted(ledger: &Ledger, keys: &[u8]) -> bool {
    let keys: Vec<_> = keys.iter().copied().map(key).collect();
    ledger.admit_keys(&keys, false).await.unwrap()
}

/// A new key comes beside an old one, and stands alone once the old one has gone.
pub(crate) async fn keys_are_admitted_first_or_beside_one_that_was_or_anew(ledger: &Ledger) {
    assert!(admitted(ledger, &[1]).await, "the first");
    assert!(!admitted(ledger, &[2]).await, "a stranger");
    assert!(!admitted(ledger, &[2]).await, "to be refused admits nothing");
    assert!(admitted(ledger, &[2, 1]).await, "beside one that is known");
    assert!(admitted(ledger, &[2]).await && admitted(ledger, &[1]).await);
    assert!(!admitted(ledger, &[3]).await);
    assert!(ledger.admit_keys(&[key(3)], true).await.unwrap(), "as an operator wants it");
    assert!(admitted(ledger, &[3]).await && admitted(ledger, &[1]).await);
}

pub(crate) async fn of_strangers_at_the_same_time_one_is_the_first(ledger: &Ledger) {
    let keys: Vec<u8> = (1..=8).collect();
    let asked = keys.chunks(1).map(|key| admitted(ledger, key));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|admitted| **admitted).count(), 1, "{answers:?}");
}
