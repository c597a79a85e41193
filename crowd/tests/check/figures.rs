//! Each invariant about the figures of gate and ledger.

use crowd::books::{Gate, State};
use crowd::check::Kind;
use sale::status::Status;

use crate::scene::{Scene, id, text, ticket};

#[test]
fn more_confirmed_than_there_is_is_oversold_and_all_of_it_is_not() {
    let sold = |stock: i64, tickets: u8| {
        let mut scene = Scene::new(stock, 1);
        for n in 1..=tickets {
            scene.booked(&format!("buyer-{n}"), n, Status::Confirmed);
        }
        scene
    };
    sold(3, 3).holds();
    let mut over = sold(3, 4);
    assert!(over.kinds().contains(&Kind::Oversold));
    // The server counts as if all was well: only its tickets tell.
    over.sale().ledger.available = 0;
    over.sale().ledger.sold = 3;
    *over.gate() = Gate { available: 0, held: 0, sold: 3, undecided: 0 };
    over.is_violated(&[Kind::Oversold, Kind::NotConserved]);
}

#[test]
fn more_than_the_limit_for_one_buyer_is_accused_and_the_limit_itself_is_not() {
    let mut scene = Scene::new(10, 2);
    scene.booked("zoe", 1, Status::Confirmed);
    scene.booked("zoe", 2, Status::Confirmed);
    scene.holds();
    scene.booked("zoe", 3, Status::Confirmed);
    scene.is_violated(&[Kind::LimitPassed]);
}

#[test]
fn the_limit_counts_units_not_tickets() {
    let mut scene = Scene::new(10, 2);
    scene.booked("zoe", 1, Status::Confirmed);
    scene.sale().tickets[0].ticket = text(id(1), 3, Status::Confirmed, 2, crate::scene::OPENS_AT);
    scene.sale().ledger.sold = 3;
    scene.sale().ledger.available = 7;
    *scene.gate() = Gate { available: 7, held: 0, sold: 3, undecided: 0 };
    scene.is_violated(&[Kind::LimitPassed]);
}

#[test]
fn a_ticket_that_the_ledger_has_twice_counts_twice_and_is_a_second_grant() {
    let mut scene = Scene::new(10, 2);
    scene.booked("zoe", 1, Status::Confirmed);
    scene.booked("zoe", 1, Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);
}

#[test]
fn units_that_vanish_from_the_gate_are_not_conserved() {
    let mut scene = Scene::of_anna();
    scene.gate().available -= 1;
    scene.is_violated(&[Kind::NotConserved, Kind::Disagree]);
    // Also while orders are on their way.
    *scene.gate() = Gate { available: 7, held: 1, sold: 1, undecided: 1 };
    scene.is_violated(&[Kind::NotConserved, Kind::Leak]);
}

#[test]
fn a_ledger_that_counts_other_than_its_tickets_is_not_conserved() {
    let mut scene = Scene::of_anna();
    scene.booked("bert", 2, Status::Confirmed);
    scene.sale().tickets.pop();
    scene.is_violated(&[Kind::NotConserved]);

    let mut scene = Scene::of_anna();
    scene.sale().ledger.rejected = 1;
    scene.is_violated(&[Kind::NotConserved]);
}

#[test]
fn gate_and_ledger_that_differ_disagree_and_orders_set_aside_are_held() {
    let mut scene = Scene::of_anna();
    scene.gate().available = 8;
    scene.gate().held = 1;
    scene.is_violated(&[Kind::Disagree]);
    scene.sale().tickets.push(crowd::books::Entry {
        buyer: "zoe".to_owned(),
        ticket: ticket(9, Status::Pending, 1),
    });
    scene.is_violated(&[Kind::NoAnswer]);
}

#[test]
fn a_gate_that_is_not_live_in_the_end_disagrees() {
    for state in [State::Recovering, State::NotLoaded] {
        let mut scene = Scene::of_anna();
        scene.sale().state = state;
        scene.sale().gate = None;
        scene.is_violated(&[Kind::Disagree]);
    }
    let mut scene = Scene::of_anna();
    scene.sale().gate = None;
    scene.is_violated(&[Kind::Disagree]);
}

#[test]
fn a_retired_round_has_left_the_gate() {
    let mut scene = Scene::of_anna();
    scene.sale().state = State::Retired;
    scene.sale().gate = None;
    scene.sale().incarnation = None;
    scene.holds();
}

#[test]
fn a_rebuilt_gate_is_accused_only_where_nothing_was_taken_from_it() {
    let mut scene = Scene::of_anna();
    scene.sale().incarnation = Some(2);
    for (gate_lost, kinds) in
        [(None, vec![]), (Some(true), vec![]), (Some(false), vec![Kind::Disagree])]
    {
        scene.books.gate_lost = gate_lost;
        scene.is_violated(&kinds);
    }
}

#[test]
fn what_is_left_is_a_leak() {
    let mut scene = Scene::of_anna();
    scene.books.left.push("push-1 still watches 3 tickets".to_owned());
    scene.is_violated(&[Kind::Leak]);
    assert_eq!(scene.judge().violations[0].says, "push-1 still watches 3 tickets");
}
