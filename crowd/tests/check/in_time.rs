//! Claims are answered and tickets decided in time: histories that violate it, and ones that nearly
//! do.

use crowd::check::Kind;
use crowd::history::Did;
use sale::status::{Reason, Status};

use crate::scene::{DEADLINE, SALE, SOLD_OUT, Scene, id, ticket};

fn unanswered(scene: &mut Scene, buyer: &str, request: &str) {
    let (sale, request) = (SALE.to_owned(), request.to_owned());
    scene.did(buyer, Did::Unanswered { sale, intent: 0, request });
}

#[test]
fn a_claim_that_is_never_answered_has_no_answer() {
    let mut scene = Scene::of_anna();
    for _ in 0..2 {
        scene.claims("bert", 0, "r0");
        scene.unsure("bert", 0, "r0");
    }
    scene.holds();
    unanswered(&mut scene, "bert", "r0");
    scene.is_violated(&[Kind::NoAnswer]);
    let example = scene.judge().violations.remove(0);
    assert_eq!((example.buyer.as_deref(), example.event), (Some("bert"), Some(9)));
}

#[test]
fn a_claim_that_is_answered_at_a_later_attempt_has_its_answer() {
    let given_up = || {
        let mut scene = Scene::of_anna();
        scene.claims("bert", 0, "r0");
        scene.unsure("bert", 0, "r0");
        unanswered(&mut scene, "bert", "r0");
        scene
    };
    let mut granted = given_up();
    granted.buys("bert", 0, "r0", 2);
    granted.booked("bert", 2, Status::Confirmed);
    granted.holds();
    let mut refused = given_up();
    refused.claims("bert", 0, "r0");
    refused.refused("bert", 0, "r0");
    refused.holds();
    let mut another = given_up();
    another.claims("bert", 1, "r1");
    another.refused("bert", 1, "r1");
    another.is_violated(&[Kind::NoAnswer]);
}

#[test]
fn a_deadline_rejects_no_ticket_before_its_time_is_over() {
    // A ticket is decided 50 ms after its grant.
    let mut scene = Scene::of_anna();
    scene.buys("bert", 0, "r0", 2);
    scene.booked("bert", 2, DEADLINE);
    scene.holds();
    scene.books.answer_within_ms = Some(50);
    scene.holds();
    scene.books.answer_within_ms = Some(51);
    scene.is_violated(&[Kind::NoAnswer]);
    scene.sale().tickets[1].ticket = ticket(2, SOLD_OUT, 2);
    scene.sale().incarnation = Some(2);
    scene.holds();
}

#[test]
fn rejections_are_counted_by_their_reason() {
    let mut scene = Scene::new(10, 2);
    let unprocessable = Status::Rejected(Reason::Unprocessable);
    for (n, status) in [(1, DEADLINE), (2, unprocessable), (3, DEADLINE), (4, Status::Confirmed)] {
        scene.booked("zoe", n, status);
    }
    let rejected = [("deadline".to_owned(), 2), ("unprocessable".to_owned(), 1)];
    assert_eq!(scene.judge().checked.rejected, rejected.into());
    let mut printed = Vec::new();
    scene.judge().print(&mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let line = printed.lines().find(|line| line.contains("rejected (deadline)")).unwrap();
    assert!(line.ends_with(" 2"), "{line}");
}

#[test]
fn who_gave_up_had_no_answer() {
    let mut scene = Scene::of_anna();
    scene.did("anna", Did::GaveUp { id: id(1).to_string() });
    scene.is_violated(&[Kind::NoAnswer]);
}

#[test]
fn a_ticket_that_stays_pending_has_no_answer_but_one_that_is_decided_unseen_has() {
    let with = |status| {
        let mut scene = Scene::of_anna();
        scene.buys("bert", 0, "r0", 2);
        scene.booked("bert", 2, status);
        scene
    };
    with(Status::Pending).is_violated(&[Kind::NoAnswer]);
    with(Status::Confirmed).holds();
    with(DEADLINE).holds();
}

#[test]
fn a_ticket_still_on_its_way_has_no_answer_and_is_not_lost() {
    let mut scene = Scene::of_anna();
    scene.buys("bert", 0, "r0", 2);
    *scene.gate() = crowd::books::Gate { available: 8, held: 1, sold: 1, undecided: 1 };
    scene.is_violated(&[Kind::NoAnswer, Kind::Leak]);
}
