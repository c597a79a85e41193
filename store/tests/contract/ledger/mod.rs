//! What every ledger must do, whatever its engine. Each function makes a sale of its own; those
//! of `aside` take up whatever is due, so they want a database that nobody else works on.

pub(crate) mod aside;
pub(crate) mod decide;
pub(crate) mod keys;
pub(crate) mod recovering;
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
use store::ledger::{Creation, DeadlineFrom, Decision, Ledger, LedgerError, Reached, Row, Sale};

/// Hands every case to the runner of an engine, after what the runner itself wants to be told.
macro_rules! every_case {
    ($run:ident $(, $told:expr)*) => {
        $run! { $($told;)*
            sales:
                the_same_request_finds_the_sale_and_another_one_differs,
                requests_at_the_same_time_create_one_sale,
                words_touch_neither_terms_nor_stock,
                words_of_any_characters_are_kept,
                the_window_moves_only_while_the_sale_is_upcoming,
                closing_counts_once_and_ends_the_window,
                sales_are_listed_newest_first_and_retired_ones_last,
                what_names_no_sale_or_round_finds_none;
            decide:
                the_first_thirty_of_a_hundred_are_confirmed,
                a_double_is_answered_once_a_call_and_always_the_same,
                orders_given_to_several_deciders_stand_once,
                the_limit_counts_units_of_this_call_and_of_earlier_ones,
                an_order_met_after_its_deadline_is_rejected,
                a_ticket_of_another_buyer_is_an_alarm_and_writes_nothing,
                an_order_of_an_unknown_round_delays_nobody,
                two_sales_in_one_call_are_counted_apart,
                a_rejection_takes_no_units_and_a_verdict_stays,
                a_call_of_any_size_is_decided,
                any_history_of_calls_ends_as_the_simple_model_says;
            keys:
                keys_are_admitted_first_or_beside_one_that_was_or_anew,
                of_strangers_at_the_same_time_one_is_the_first;
            recovering:
                a_new_round_is_loaded_once,
                a_loaded_round_recovers_once_an_incarnation,
                each_fence_of_the_incarnation_comes_back_once,
                a_lease_is_one_workers_until_it_ends,
                a_lease_by_a_clock_far_ahead_counts_as_ended,
                of_many_workers_one_gets_the_lease,
                a_round_is_loaded_from_what_still_stands,
                a_gate_that_is_live_is_confirmed_once_whatever_was_decided,
                a_round_is_loaded_before_a_verdict_or_not_at_all,
                the_sequence_rises_to_what_decided_batches_carried,
                what_a_gate_in_order_would_not_grant_moves_the_round,
                no_other_rejection_moves_the_round,
                halves_of_a_take_move_the_round_once,
                a_round_that_is_not_loaded_is_restocked_and_retired,
                keepers_and_deciders_disturb_nothing_of_each_other;
            restocks:
                upwards_the_units_are_there_at_once_and_once,
                downwards_the_units_leave_when_the_gate_has_applied_it,
                what_was_not_asked_for_cannot_be_finished,
                unfinished_ones_are_listed_while_their_round_lives,
                stock_and_number_of_changes_are_bounded,
                keys_are_told_apart_by_each_byte,
                a_round_is_retired_or_its_stock_changes,
                streams_of_orders_and_restocks_conserve_units;
            tickets:
                a_read_finds_what_stands_in_the_order_asked,
                pages_hold_each_ticket_of_the_round_once,
                a_snapshot_is_what_was_decided,
                a_snapshot_is_one_view_while_orders_are_decided,
                any_buyer_that_may_exist_is_kept_as_he_is;
            aside:
                an_order_climbs_the_ladder_and_is_parked,
                set_aside_again_it_stays_as_it_is,
                a_verdict_takes_the_order_back_in,
                an_operator_sends_a_parked_order_again,
                an_operator_rejects_a_parked_order,
                the_deadline_of_an_order_set_aside_is_kept,
                an_order_of_an_unknown_round_has_no_deadline,
                what_is_set_aside_is_taken_and_listed_in_parts,
                workers_side_by_side_take_up_each_order_once,
                contacts_far_apart_begin_a_new_run;
        }
    };
}

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

/// Closes a ledger that has been used, and finds everything in the one that is opened again.
pub(crate) async fn holds_everything_when_opened_again(
    ledger: &Ledger,
    open: impl AsyncFnOnce() -> Ledger,
) -> Ledger {
    let sale = create(ledger, 30, 1).await;
    let orders = crowd(&sale, 50);
    let decided =
        ledger.decide(&orders[..40], &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    ledger.set_aside(&[(orders[45].clone(), "no".into())], at(2_000)).await.unwrap();
    ledger.close().await;
    let late = ledger.probe().await;
    assert!(matches!(late, Err(LedgerError::Unavailable(_))), "{late:?}");

    let again = open().await;
    assert_eq!(again.install(), ledger.install());
    assert_eq!(again.sale(&sale.id).await.unwrap(), Some(sale.clone()));
    assert_eq!(
        again.decide(&orders[..40], &Reached::default(), &deadline(), at(9_000)).await.unwrap(),
        decided
    );
    assert_eq!(again.aside(None, 9).await.unwrap()[0].order, orders[45]);
    again.probe().await.unwrap();
    audit(&again, &sale).await;
    again
}
