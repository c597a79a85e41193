use sale::id::{BuyerId, TicketId};
use sale::status::Status;
use store::ledger::{Ledger, Reached, Row, StatusFilter};

use super::{all_tickets, at, audit, create, crowd, deadline, order};

pub(crate) async fn a_read_finds_what_stands_in_the_order_asked(ledger: &Ledger) {
    let (sale, other) = (create(ledger, 5, 1).await, create(ledger, 5, 1).await);
    let mut orders = crowd(&sale, 3);
    orders.extend(crowd(&other, 3));
    ledger.decide(&orders[1..5], &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let ids: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    let found = ledger.read(&ids).await.unwrap();
    let there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [false, true, true, true, true, false]);
    for (order, row) in orders.iter().zip(&found) {
        let Some(Row { buyer, ticket }) = row else { continue };
        assert_eq!((buyer, ticket.id), (&order.buyer, order.ticket));
        let own = if ticket.id.round() == sale.round { &sale } else { &other };
        assert_eq!(ticket.sale, own.id);
    }
    assert_eq!(ledger.read(&[]).await.unwrap(), []);
}

pub(crate) async fn pages_hold_each_ticket_of_the_round_once(ledger: &Ledger) {
    let (before, sale, after) =
        (create(ledger, 9, 1).await, create(ledger, 60, 1).await, create(ledger, 9, 1).await);
    let orders = crowd(&sale, 100);
    ledger.decide(&crowd(&before, 9), &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    ledger.decide(&crowd(&after, 9), &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let mut expected: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    expected.sort();
    let beyond = [&before, &after].map(|other| order(other, "buyer-0", "", 1).ticket);
    let page = async |last| ledger.tickets(sale.round, None, Some(last), 1_000).await.unwrap();
    assert_eq!(page(beyond[0]).await.len(), 100, "after a ticket of an earlier round");
    assert_eq!(page(beyond[1]).await, [], "after a ticket of a later round");
    for (filter, count) in
        [(None, 100), (Some(StatusFilter::Confirmed), 60), (Some(StatusFilter::Rejected), 40)]
    {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let last = rows.last().map(|row| row.ticket.id);
            let page = ledger.tickets(sale.round, filter, last, 7).await.unwrap();
            assert!(page.len() <= 7);
            if page.is_empty() {
                break;
            }
            rows.extend(page);
        }
        let ids: Vec<TicketId> = rows.iter().map(|row| row.ticket.id).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| expected.binary_search(id).is_ok()));
        assert_eq!(ids.len(), count);
        assert!(rows.iter().all(|row| match filter {
            None => true,
            Some(StatusFilter::Confirmed) => row.ticket.state.status == Status::Confirmed,
            Some(StatusFilter::Rejected) => row.ticket.state.status != Status::Confirmed,
        }));
    }
    audit(ledger, &sale).await;
}

pub(crate) async fn a_snapshot_is_what_was_decided(ledger: &Ledger) {
    let sale = create(ledger, 30, 1).await;
    let orders = crowd(&sale, 50);
    ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let snapshot = ledger.snapshot(sale.round).await.unwrap().unwrap();
    assert_eq!((snapshot.terms, snapshot.incarnation), (sale.terms(), 1));
    assert_eq!((snapshot.available, snapshot.tickets.len()), (0, 50));
    let held: u32 = snapshot.tickets.iter().map(|ticket| ticket.state.held()).sum();
    assert_eq!(held, 30);
    audit(ledger, &sale).await;
}

pub(crate) async fn a_snapshot_is_one_view_while_orders_are_decided(ledger: &Ledger) {
    let sale = create(ledger, 400, 1).await;
    let deciding = {
        let (ledger, orders) = (ledger.clone(), crowd(&sale, 1_000));
        async move {
            for batch in orders.chunks(20) {
                ledger.decide(batch, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
            }
        }
    };
    let looking = async {
        loop {
            let snapshot = ledger.snapshot(sale.round).await.unwrap().unwrap();
            let held: u32 = snapshot.tickets.iter().map(|ticket| ticket.state.held()).sum();
            assert_eq!(snapshot.available + i64::from(held), 400);
            if snapshot.tickets.len() == 1_000 {
                break;
            }
        }
    };
    tokio::join!(deciding, looking);
    audit(ledger, &sale).await;
}

pub(crate) async fn any_buyer_that_may_exist_is_kept_as_he_is(ledger: &Ledger) {
    let sale = create(ledger, 100, 1).await;
    let long = "é".repeat(32);
    let names = ["a\0b", "a\0c", "a", "A", "a ", "'; --", "😀", &long, "1", "1.0", "null"];
    let orders = names.map(|name| order(&sale, name, "", 1));
    ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let rows = all_tickets(ledger, &sale).await;
    let mut found: Vec<&str> = rows.iter().map(|row| row.buyer.as_str()).collect();
    let mut expected = names.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(rows.iter().all(|row| row.ticket.state.status == Status::Confirmed));
    let again = names.map(|name| order(&sale, name, "again", 1));
    ledger.decide(&again, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert_eq!(ledger.counts(sale.round).await.unwrap().unwrap().rejected, names.len() as u64);
    assert!(BuyerId::new(&"x".repeat(65)).is_err());
    audit(ledger, &sale).await;
}
