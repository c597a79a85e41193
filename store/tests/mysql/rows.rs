use sqlx::Executor as _;
use store::ledger::Reached;

use crate::contract::{self, at, create, crowd, deadline};
use crate::database::{Fresh, Server};

pub(crate) async fn one_poisoned_order_of_five_hundred_fails_alone(server: Server) {
    let fresh = Fresh::open(server).await;
    let mut sql = fresh.database.sql().await;
    sql.execute(
        "CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW \
         IF NEW.buyer = 'buyer-321' THEN \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF",
    )
    .await
    .unwrap();
    let heal = async || {
        sql.execute("DROP TRIGGER poison").await.unwrap();
    };
    contract::decide::one_poisoned_order_of_five_hundred_fails_alone(&fresh.ledger, heal).await;
    fresh.end().await;
}

pub(crate) async fn a_database_opened_again_holds_everything(server: Server) {
    let fresh = Fresh::open(server).await;
    let again = async || fresh.database.open().await.unwrap();
    let ledger = contract::holds_everything_when_opened_again(&fresh.ledger, again).await;
    Fresh { database: fresh.database, ledger }.end().await;
}

pub(crate) async fn a_state_that_may_not_be_cannot_be_written(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 10, 2).await;
    fresh
        .ledger
        .decide(&crowd(&sale, 1), &Reached::default(), &deadline(), at(2_000))
        .await
        .unwrap();
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
        "UPDATE rounds SET loaded = 2".to_owned(),
        "UPDATE rounds SET fences = -1".to_owned(),
        "UPDATE rounds SET leased_by = REPEAT('x', 17)".to_owned(),
        "UPDATE rounds SET leased_until = -1".to_owned(),
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
