//! What every ledger must do, whatever its engine. Each function makes a sale of its own; those
//! of `aside` take up whatever is due, so they want a database that nobody else works on.

pub(crate) mod aside;
pub(crate) mod decide;
pub(crate) mod restocks;
pub(crate) mod sales;
pub(crate) mod tickets;

use std::collections::HashMap;
use std::time::Duration;

use sale::id::{BuyerId, RequestId, SaleId, Shard, TicketId};
use sale::order::OrderV1;
use sale::status::Status;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sale::units::Units;
use store::ledger::{Creation, DeadlineFrom, Decision, Ledger, Row, Sale};

/// How long orders of these sales may wait for their verdict.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// A point in time, `ms` after the opening of the sales.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_323_000_000 + ms).unwrap()
}

/// The ledger was within reach all the time.
pub(crate) fn deadline() -> DeadlineFrom {
    DeadlineFrom { reachable_since: at(0) }
}

pub(crate) fn new_sale(stock: u32, limit: u64) -> NewSale {
    NewSale {
        id: SaleId::new(&format!("sale-{:032x}", rand::random::<u128>())).unwrap(),
        name: SaleName::new("Lamp".to_owned()).unwrap(),
        stock: Stock::new(stock).unwrap(),
        limit: Units::new(limit).unwrap(),
        window: Window::new(at(0), at(3_600_000)).unwrap(),
        answer_within: ANSWER_WITHIN,
    }
}

pub(crate) async fn create(ledger: &Ledger, stock: u32, limit: u64) -> Sale {
    match ledger.create(&new_sale(stock, limit)).await.unwrap() {
        Creation::Created(sale) => sale,
        other @ (Creation::Same(_) | Creation::Differs) => panic!("{other:?}"),
    }
}

/// An order of `buyer`, granted one second after the opening.
pub(crate) fn order(sale: &Sale, buyer: &str, request: &str, units: u64) -> OrderV1 {
    let buyer = BuyerId::new(buyer).unwrap();
    let request = RequestId::new(request).unwrap();
    OrderV1 {
        ticket: TicketId::derive(sale.round, Shard::FIRST, &sale.salt, &buyer, &request),
        buyer,
        units: Units::new(units).unwrap(),
        granted_at: at(1_000),
        incarnation: 1,
    }
}

/// `count` orders of one unit, each of another buyer.
pub(crate) fn crowd(sale: &Sale, count: usize) -> Vec<OrderV1> {
    (0..count).map(|n| order(sale, &format!("buyer-{n}"), "", 1)).collect()
}

/// The state that a decision says.
pub(crate) fn state(decision: &Decision) -> TicketState {
    match decision {
        Decision::Stands { ticket, .. } => ticket.state,
        other @ (Decision::Foreign(_) | Decision::Failed(..)) => panic!("{other:?}"),
    }
}

pub(crate) fn statuses(decisions: &[Decision]) -> Vec<Status> {
    decisions.iter().map(|decision| state(decision).status).collect()
}

/// Every ticket of the sale's round, read in pages.
pub(crate) async fn all_tickets(ledger: &Ledger, sale: &Sale) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.ticket.id);
        let page = ledger.tickets(sale.round, None, after, 1_000).await.unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

/// Units are conserved, nobody holds more than the limit, and every way to read the round says
/// the same.
pub(crate) async fn audit(ledger: &Ledger, sale: &Sale) {
    let counts = ledger.counts(sale.round).await.unwrap().unwrap();
    let snapshot = ledger.snapshot(sale.round).await.unwrap().unwrap();
    let rows = all_tickets(ledger, sale).await;
    let mut held = HashMap::<BuyerId, u32>::new();
    for row in &rows {
        *held.entry(row.buyer.clone()).or_default() += row.ticket.state.held();
    }
    let sold: u32 = held.values().sum();
    assert_eq!(sold + counts.available, counts.stock, "units are conserved");
    assert_eq!(sold, counts.sold());
    assert!(held.values().all(|units| *units <= u32::from(sale.limit.get())), "{held:?}");
    let rejected = rows.iter().filter(|row| row.ticket.state.status.reason().is_some());
    assert_eq!(rejected.count() as u64, counts.rejected);
    assert_eq!(snapshot.available, i64::from(counts.available));
    let states = rows.iter().map(|row| (row.ticket.id, &row.buyer, row.ticket.state));
    let settled = snapshot.tickets.iter().map(|found| (found.ticket, &found.buyer, found.state));
    assert!(states.eq(settled), "a snapshot holds every ticket");
}
