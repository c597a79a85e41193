//! The contract of the ledger on MySQL and on MariaDB, and what only a server has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "mysql/contention.rs"]
mod contention;
#[macro_use]
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
    ($server:expr; $why:expr; $($part:ident: $($shows:ident),+;)+) => {$($(
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

            every_case!(of_contract, $server, $why);

            of_engine! {
                $server, $why;
                schema:
                    ten_migrations_at_once_make_the_tables_once,
                    a_migration_that_was_cut_off_is_ended_by_the_next,
                    rounds_of_the_version_before_count_as_loaded,
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
