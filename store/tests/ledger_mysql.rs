//! The contract of the ledger on MySQL and on MariaDB, and what only a server has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "mysql/contention.rs"]
mod contention;
#[path = "contract/ledger/mod.rs"]
mod contract;
#[path = "mysql/database.rs"]
mod database;
#[path = "mysql/entry.rs"]
mod entry;
#[path = "mysql/rows.rs"]
mod rows;
#[path = "mysql/schema.rs"]
mod schema;

use database::{Fresh, Server};

macro_rules! of_contract {
    ($server:expr, $why:literal; $($part:ident: $($shows:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = $why]
        async fn $shows() {
            let fresh = Fresh::open($server).await;
            contract::$part::$shows(&fresh.ledger).await;
            fresh.end().await;
        }
    )+)+};
}

macro_rules! of_engine {
    ($server:expr, $why:literal; $($part:ident: $($shows:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = $why]
        async fn $shows() {
            $part::$shows($server).await;
        }
    )+)+};
}

macro_rules! on {
    ($name:ident, $server:expr, $why:literal) => {
        mod $name {
            use super::*;

            of_contract! {
                $server, $why;
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

            of_engine! {
                $server, $why;
                schema:
                    ten_migrations_at_once_make_the_tables_once,
                    a_migration_that_was_cut_off_is_ended_by_the_next,
                    tables_that_are_not_those_of_this_version_are_refused_with_what_to_do,
                    a_database_that_is_missing_is_made_if_the_user_may;
                entry:
                    who_may_not_enter_is_told_so_in_one_line_without_his_password,
                    where_nobody_answers_is_unreachable,
                    who_is_locked_out_finds_the_ledger_away_and_no_order_fails,
                    a_password_is_proved_without_encryption_and_with_it,
                    a_certificate_is_verified_where_that_is_asked_for;
                rows:
                    one_poisoned_order_of_five_hundred_fails_alone,
                    a_database_opened_again_holds_everything,
                    a_state_that_may_not_be_cannot_be_written;
                contention:
                    two_ledgers_that_decide_the_same_orders_agree,
                    a_deadlock_is_tried_again,
                    who_vanishes_in_a_transaction_does_not_hold_its_round_for_long,
                    while_a_round_is_held_nothing_of_it_is_decided_and_all_else_goes_on,
                    a_read_that_is_held_up_ends_in_time_and_the_next_one_is_right,
                    connections_killed_in_the_middle_leave_all_or_nothing,
                    calls_given_up_at_any_point_leave_all_or_nothing;
            }
        }
    };
}

on!(mysql, Server::MySql, "needs MySQL: ./test brings it");
on!(mariadb, Server::MariaDb, "needs MariaDB: ./test brings it");
