use sale::status::Status;
use sqlx::Executor as _;
use store::ledger::{Decision, LedgerError};

use crate::contract::{at, audit, create, crowd, deadline, state};
use crate::database::{Fresh, Server};

pub(crate) async fn one_poisoned_order_of_five_hundred_fails_alone(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 500, 1).await;
    let mut sql = fresh.database.sql().await;
    sql.execute(
        "CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW \
         IF NEW.buyer = 'buyer-321' THEN \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF",
    )
    .await
    .unwrap();
    let orders = crowd(&sale, 500);
    let decided = fresh.ledger.decide(&orders, &deadline(), at(2_000)).await.unwrap();
    for (order, decision) in orders.iter().zip(&decided) {
        if order.buyer.as_str() == "buyer-321" {
            let Decision::Failed(failed, why) = decision else { panic!("{decision:?}") };
            assert!(failed == order && why.contains("poison"), "{why}");
        } else {
            assert_eq!(state(decision).status, Status::Confirmed);
        }
    }
    sql.execute("DROP TRIGGER poison").await.unwrap();
    let healed = fresh.ledger.decide(&orders, &deadline(), at(3_000)).await.unwrap();
    assert!(healed.iter().all(|decision| state(decision).status == Status::Confirmed));
    audit(&fresh.ledger, &sale).await;
    fresh.end().await;
}

pub(crate) async fn a_database_opened_again_holds_everything(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 30, 1).await;
    let orders = crowd(&sale, 50);
    let decided = fresh.ledger.decide(&orders[..40], &deadline(), at(2_000)).await.unwrap();
    fresh.ledger.set_aside(&[(orders[45].clone(), "no".into())], at(2_000)).await.unwrap();
    fresh.ledger.close().await;
    let late = fresh.ledger.probe().await;
    assert!(matches!(late, Err(LedgerError::Unavailable(_))), "{late:?}");

    let ledger = fresh.database.open().await.unwrap();
    assert_eq!(ledger.install(), fresh.ledger.install());
    assert_eq!(ledger.sale(&sale.id).await.unwrap(), Some(sale.clone()));
    assert_eq!(ledger.decide(&orders[..40], &deadline(), at(9_000)).await.unwrap(), decided);
    assert_eq!(ledger.aside(None, 9).await.unwrap()[0].order, orders[45]);
    ledger.probe().await.unwrap();
    audit(&ledger, &sale).await;
    Fresh { database: fresh.database, ledger }.end().await;
}

pub(crate) async fn a_state_that_may_not_be_cannot_be_written(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 10, 2).await;
    fresh.ledger.decide(&crowd(&sale, 1), &deadline(), at(2_000)).await.unwrap();
    let mut sql = fresh.database.sql().await;
    sql.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'").await.unwrap();
    let order = |values: &str| {
        format!(
            "INSERT INTO orders (ticket, buyer, units, status, reason, version, granted_at, \
             decided_at) VALUES ({values})"
        )
    };
    let holding =
        |values: &str| format!("INSERT INTO holdings (round, buyer, n, ticket) VALUES ({values})");
    for illegal in [
        "UPDATE rounds SET available = -1".to_owned(),
        "UPDATE rounds SET available = stock + 1".to_owned(),
        "UPDATE rounds SET stock = available - 1".to_owned(),
        "UPDATE rounds SET closes_at = opens_at".to_owned(),
        "UPDATE rounds SET per_buyer = 65".to_owned(),
        "UPDATE rounds SET salt = REPEAT('x', 33)".to_owned(),
        "UPDATE rounds SET sale = 'nobody'".to_owned(),
        order("REPEAT('x', 17), 'a', 1, 'confirmed', NULL, 2, 1, 1"),
        order("REPEAT('x', 16), 'a', 1, 'confirmed', 'limit', 2, 1, 1"),
        order("REPEAT('x', 16), 'a', 1, 'rejected', NULL, 2, 1, 1"),
        order("REPEAT('x', 16), 'a', 1, 'pending', NULL, 2, 1, 1"),
        order("REPEAT('x', 16), 'a', 0, 'confirmed', NULL, 2, 1, 1"),
        order("REPEAT('x', 16), 'a', 1, 'confirmed', NULL, 1, 1, 1"),
        order("REPEAT('x', 16), '', 1, 'confirmed', NULL, 2, 1, 1"),
        "INSERT INTO orders (ticket, buyer, units, status, version, granted_at, decided_at) \
         SELECT ticket, 'other', units, status, version, granted_at, decided_at FROM orders"
            .to_owned(),
        holding("4000000000, 'a', 1, REPEAT('x', 16)"),
        holding(&format!("{}, 'a', 65, REPEAT('x', 16)", sale.round)),
        holding(&format!("{}, 'buyer-0', 1, REPEAT('x', 16)", sale.round)),
        format!("INSERT INTO restocks VALUES ({}, 'k', 5, 4)", sale.round),
        format!("INSERT INTO restocks VALUES ({}, 'k', -5, -6)", sale.round),
        format!("INSERT INTO restocks VALUES ({}, 'k', 0, NULL)", sale.round),
        "INSERT INTO restocks VALUES (4000000000, 'k', 5, NULL)".to_owned(),
        "INSERT INTO install VALUES (2, REPEAT('x', 16), 0)".to_owned(),
    ] {
        assert!(sql.execute(&*illegal).await.is_err(), "{illegal}");
    }
    fresh.end().await;
}
