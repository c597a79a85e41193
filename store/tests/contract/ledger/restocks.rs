use sale::id::RoundId;
use sale::terms::Restock;
use store::ledger::{
    Ledger, LedgerError, RESTOCKS_A_ROUND, Reached, RestockBegun, RestockRow, Sale,
};
use tokio::task::JoinSet;

use super::{at, audit, create, crowd, deadline};

fn by(units: i32) -> Restock {
    Restock::new(units).unwrap()
}

async fn begin(ledger: &Ledger, sale: &Sale, key: &str, units: i32) -> RestockBegun {
    ledger.begin_restock(sale.round, key, &by(units)).await.unwrap()
}

async fn stock(ledger: &Ledger, sale: &Sale) -> (u32, u32) {
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    (counts.stock, counts.available)
}

fn row(sale: &Sale, key: &str, units: i32, applied: Option<i32>) -> RestockRow {
    RestockRow { round: sale.round, key: key.to_owned(), change: by(units), applied }
}

pub(crate) async fn upwards_the_units_are_there_at_once_and_once(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let begun = begin(ledger, &sale, "k", 5).await;
    assert_eq!(begun, RestockBegun::Stands(row(&sale, "k", 5, None)));
    assert_eq!(begin(ledger, &sale, "k", 5).await, begun);
    assert_eq!(stock(ledger, &sale).await, (15, 15));
    ledger.finish_restock(sale.round, "k", 5).await.unwrap();
    ledger.finish_restock(sale.round, "k", 5).await.unwrap();
    assert_eq!(stock(ledger, &sale).await, (15, 15));
    let again = begin(ledger, &sale, "k", 5).await;
    assert_eq!(again, RestockBegun::Stands(row(&sale, "k", 5, Some(5))));
    assert_eq!(begin(ledger, &sale, "k", 6).await, RestockBegun::KeyReused);
    audit(ledger, &sale).await;
}

pub(crate) async fn downwards_the_units_leave_when_the_gate_has_applied_it(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    ledger.decide(&crowd(&sale, 7), &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert_eq!(
        begin(ledger, &sale, "k", -8).await,
        RestockBegun::Stands(row(&sale, "k", -8, None))
    );
    assert_eq!(stock(ledger, &sale).await, (10, 3));
    let too_many = ledger.finish_restock(sale.round, "k", -4).await;
    assert!(matches!(too_many, Err(LedgerError::Refused(_))), "sold units stay: {too_many:?}");
    ledger.finish_restock(sale.round, "k", -3).await.unwrap();
    ledger.finish_restock(sale.round, "k", -3).await.unwrap();
    assert_eq!(stock(ledger, &sale).await, (7, 0));
    let other = ledger.finish_restock(sale.round, "k", -2).await;
    assert!(matches!(other, Err(LedgerError::Refused(_))), "{other:?}");
    let again = begin(ledger, &sale, "k", -8).await;
    assert_eq!(again, RestockBegun::Stands(row(&sale, "k", -8, Some(-3))));
    audit(ledger, &sale).await;
}

pub(crate) async fn what_was_not_asked_for_cannot_be_finished(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    begin(ledger, &sale, "up", 5).await;
    begin(ledger, &sale, "down", -5).await;
    for (key, applied) in [("up", 4), ("up", 6), ("up", -1), ("down", -6), ("down", 1), ("?", 1)] {
        let finished = ledger.finish_restock(sale.round, key, applied).await;
        assert!(matches!(finished, Err(LedgerError::Refused(_))), "{key} {applied}");
    }
    assert_eq!(stock(ledger, &sale).await, (15, 15));
    ledger.finish_restock(sale.round, "down", 0).await.unwrap();
    assert_eq!(stock(ledger, &sale).await, (15, 15));
}

pub(crate) async fn unfinished_ones_are_listed_while_their_round_lives(ledger: &Ledger) {
    let (sale, other) = (create(ledger, 10, 1).await, create(ledger, 10, 1).await);
    for (key, units) in [("a", 5), ("b", -5), ("c", 1)] {
        begin(ledger, &sale, key, units).await;
    }
    begin(ledger, &other, "a", 1).await;
    ledger.finish_restock(sale.round, "c", 1).await.unwrap();
    let retired = ledger.retire(other.round).await.unwrap();
    assert!(!retired, "a round with an unfinished change of stock is not retired");
    ledger.finish_restock(other.round, "a", 1).await.unwrap();
    assert!(ledger.retire(other.round).await.unwrap());
    let mut open = ledger.unfinished_restocks().await.unwrap();
    open.retain(|row| row.round == sale.round || row.round == other.round);
    assert_eq!(open, [row(&sale, "a", 5, None), row(&sale, "b", -5, None)]);
    let snapshot = ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert_eq!(snapshot.available, 16);
    assert_eq!(snapshot.restocks, [("a".to_owned(), 5), ("c".to_owned(), 1)]);
    ledger.finish_restock(sale.round, "b", -2).await.unwrap();
    let snapshot = ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert_eq!(snapshot.restocks[1], ("b".to_owned(), -2));
}

pub(crate) async fn stock_and_number_of_changes_are_bounded(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let most = i32::MAX - 10;
    assert_eq!(begin(ledger, &sale, "k", most + 1).await, RestockBegun::OutOfBounds);
    assert!(matches!(begin(ledger, &sale, "k", most).await, RestockBegun::Stands(_)));
    assert_eq!(begin(ledger, &sale, "l", 1).await, RestockBegun::OutOfBounds);
    for n in 1..RESTOCKS_A_ROUND {
        let begun = begin(ledger, &sale, &format!("down-{n}"), -1).await;
        assert!(matches!(begun, RestockBegun::Stands(_)), "{n}");
    }
    assert_eq!(begin(ledger, &sale, "one more", -1).await, RestockBegun::OutOfBounds);
    assert!(matches!(begin(ledger, &sale, "k", most).await, RestockBegun::Stands(_)));
    let unknown = ledger.begin_restock(RoundId(u32::MAX), "k", &by(1)).await;
    assert!(matches!(unknown, Err(LedgerError::Refused(_))));
    let other = create(ledger, 10, 1).await;
    assert!(ledger.retire(other.round).await.unwrap());
    let retired = ledger.begin_restock(other.round, "later", &by(-1)).await;
    assert!(matches!(retired, Err(LedgerError::Refused(_))));
    audit(ledger, &sale).await;
}

pub(crate) async fn keys_are_told_apart_by_each_byte(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let long = "k".repeat(128);
    let keys = ["k", "K", "k ", " k", "ｋ", "k\u{301}", &long];
    for (n, key) in keys.iter().enumerate() {
        let begun = begin(ledger, &sale, key, 1).await;
        assert!(matches!(begun, RestockBegun::Stands(_)), "{key:?}");
        assert_eq!(stock(ledger, &sale).await.0 as usize, 11 + n);
    }
    let mut open = ledger.unfinished_restocks().await.unwrap();
    open.retain(|row| row.round == sale.round);
    let mut expected = keys.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(open.into_iter().map(|row| row.key).collect::<Vec<_>>(), expected);
}

/// Whoever comes first: never both.
pub(crate) async fn a_round_is_retired_or_its_stock_changes(ledger: &Ledger) {
    for _ in 0..20 {
        let sale = create(ledger, 10, 1).await;
        let one = by(1);
        let begin = ledger.begin_restock(sale.round, "k", &one);
        let (retired, begun) = tokio::join!(ledger.retire(sale.round), begin);
        match begun {
            Ok(begun) => {
                assert!(matches!(begun, RestockBegun::Stands(_)) && !retired.unwrap(), "{begun:?}")
            }
            Err(refused) => assert!(
                matches!(refused, LedgerError::Refused(_)) && retired.unwrap(),
                "{refused:?}"
            ),
        }
    }
}

/// Ten thousand operations: 9,000 orders of two deciders, and two streams that add and take
/// back, each change begun and finished.
pub(crate) async fn streams_of_orders_and_restocks_conserve_units(ledger: &Ledger) {
    let sale = create(ledger, 3_000, 1).await;
    let mut tasks = JoinSet::new();
    let orders = crowd(&sale, 9_000);
    for half in orders.chunks(4_500) {
        let (ledger, half) = (ledger.clone(), half.to_vec());
        tasks.spawn(async move {
            for batch in half.chunks(45) {
                ledger.decide(batch, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
            }
            0
        });
    }
    for direction in [1, -1] {
        let (ledger, sale) = (ledger.clone(), sale.clone());
        tasks.spawn(async move {
            let mut applied = 0;
            for n in 0..250 {
                let (key, units) = (format!("{direction}-{n}"), direction * 7);
                ledger.begin_restock(sale.round, &key, &by(units)).await.unwrap();
                // What is sold meanwhile cannot be taken back: then nothing was applied.
                let finished = ledger.finish_restock(sale.round, &key, units).await;
                if finished.is_ok() {
                    applied += units;
                } else {
                    ledger.finish_restock(sale.round, &key, 0).await.unwrap();
                }
            }
            applied
        });
    }
    let net: i32 = tasks.join_all().await.into_iter().sum();
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    assert_eq!(i64::from(counts.stock), 3_000 + i64::from(net));
    assert_eq!(u64::from(counts.sold()) + counts.rejected, 9_000);
    audit(ledger, &sale).await;
}
