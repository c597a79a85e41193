//! Each invariant about what buyers were told: a history that violates exactly it, and one that
//! nearly does.

use crowd::check::Kind;
use crowd::history::{Did, Way};
use sale::status::{Reason, Status};

use crate::scene::{CLOSES_AT, DEADLINE, OPENS_AT, SALE, SOLD_OUT, Scene, at, id, text, ticket};

#[test]
fn a_clean_history_is_not_accused() {
    let verdict = Scene::of_anna().judge();
    assert!(verdict.holds(), "{:#?}", verdict.violations);
    let checked = verdict.checked;
    assert_eq!((checked.events, checked.buyers, checked.claims, checked.tickets), (4, 1, 1, 1));
    assert_eq!((checked.readings, checked.finals, checked.booked), (3, 1, 1));
}

#[test]
fn a_granted_ticket_that_the_ledger_lacks_is_lost() {
    let mut scene = Scene::of_anna();
    scene.buys("bert", 0, "r0", 2);
    scene.is_violated(&[Kind::Lost]);
}

#[test]
fn a_claim_without_an_answer_need_not_have_a_ticket() {
    let mut scene = Scene::of_anna();
    scene.claims("bert", 0, "r0");
    scene.unsure("bert", 0, "r0");
    scene.claims("carl", 0, "r0");
    scene.holds();
}

#[test]
fn a_ticket_that_a_gate_forgot_is_lost_only_if_its_buyer_was_told_the_result() {
    let mut scene = Scene::of_anna();
    scene.sale().incarnation = Some(2);
    let asked = scene.buys("bert", 0, "r0", 2);
    scene.holds();
    assert_eq!(scene.judge().checked.forgotten, 1);
    scene.saw("bert", Way::Events, asked, ticket(2, DEADLINE, 2));
    scene.is_violated(&[Kind::Lost]);
}

#[test]
fn a_retry_that_is_refused_after_the_grant_was_known_is_a_loss() {
    let mut scene = Scene::of_anna();
    scene.claims("anna", 0, "r0");
    scene.refused("anna", 0, "r0");
    scene.is_violated(&[Kind::Lost]);
}

#[test]
fn a_retry_that_never_reached_the_gate_tells_nothing_of_the_ticket() {
    let mut scene = Scene::of_anna();
    scene.claims("anna", 0, "r0");
    let (sale, request) = (SALE.to_owned(), "r0".to_owned());
    let problem = "/problems/unauthenticated".to_owned();
    scene.did("anna", Did::Refused { sale, intent: 0, request, problem });
    scene.holds();
}

#[test]
fn of_two_attempts_at_one_moment_one_may_be_refused() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.claims("anna", 0, "r0");
    scene.claims("anna", 0, "r0");
    scene.granted("anna", 0, "r0", asked, ticket(1, Status::Pending, 1));
    scene.refused("anna", 0, "r0");
    scene.booked("anna", 1, Status::Confirmed);
    scene.holds();
}

#[test]
fn two_results_of_one_ticket_are_two_finals() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    scene.saw("anna", Way::Socket, asked, ticket(1, DEADLINE, 2));
    scene.saw("anna", Way::Socket, asked, ticket(1, Status::Confirmed, 3));
    scene.booked("anna", 1, Status::Confirmed);
    scene.sale().tickets[0].ticket = ticket(1, Status::Confirmed, 3);
    scene.is_violated(&[Kind::TwoFinals]);
}

#[test]
fn two_reasons_are_two_finals_and_other_bytes_at_the_same_version() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    scene.saw("anna", Way::Socket, asked, ticket(1, DEADLINE, 2));
    let unprocessable = Status::Rejected(Reason::Unprocessable);
    scene.saw("anna", Way::Events, asked, ticket(1, unprocessable, 2));
    scene.booked("anna", 1, DEADLINE);
    scene.is_violated(&[Kind::TwoFinals, Kind::OtherBytes]);
}

#[test]
fn results_of_two_tickets_may_differ() {
    let mut scene = Scene::of_anna();
    let asked = scene.buys("anna", 1, "r1", 2);
    scene.saw("anna", Way::Socket, asked, ticket(2, DEADLINE, 2));
    scene.booked("anna", 2, DEADLINE);
    scene.holds();
}

#[test]
fn a_final_that_the_ledger_has_otherwise_has_changed() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    scene.saw("anna", Way::Socket, asked, ticket(1, DEADLINE, 3));
    scene.booked("anna", 1, Status::Confirmed);
    scene.is_violated(&[Kind::ChangedFinal]);
}

#[test]
fn a_final_that_is_open_again_has_changed() {
    let mut scene = Scene::of_anna();
    let asked = scene.tick();
    scene.saw("anna", Way::Poll, asked, ticket(1, Status::Pending, 3));
    scene.is_violated(&[Kind::ChangedFinal]);
}

#[test]
fn a_final_that_nobody_saw_has_not_changed() {
    let mut scene = Scene::new(10, 2);
    scene.buys("anna", 0, "r0", 1);
    scene.booked("anna", 1, DEADLINE);
    scene.holds();
}

#[test]
fn an_older_version_for_a_question_asked_after_a_newer_was_seen_went_back() {
    let mut scene = Scene::of_anna();
    let asked = scene.tick();
    scene.saw("anna", Way::Poll, asked, ticket(1, Status::Pending, 1));
    scene.is_violated(&[Kind::VersionWentBack]);
    let example = scene.judge().violations.remove(0);
    assert_eq!((example.buyer.as_deref(), example.ticket), (Some("anna"), Some(id(1))));
    assert_eq!(example.event, Some(5));
}

#[test]
fn an_older_version_for_a_question_asked_before_has_only_crossed() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    let late = scene.tick();
    scene.saw("anna", Way::Socket, asked, ticket(1, Status::Confirmed, 2));
    scene.saw("anna", Way::Poll, late, ticket(1, Status::Pending, 1));
    scene.booked("anna", 1, Status::Confirmed);
    scene.holds();
}

#[test]
fn a_retry_of_a_claim_is_a_reading_too() {
    let mut scene = Scene::of_anna();
    scene.buys("anna", 0, "r0", 1);
    scene.is_violated(&[Kind::VersionWentBack]);
}

#[test]
fn within_one_stream_versions_never_fall_but_two_streams_may_differ() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    let other = asked + 1;
    scene.saw("anna", Way::Events, asked, ticket(1, Status::Confirmed, 2));
    scene.saw("anna", Way::Events, other, ticket(1, Status::Pending, 1));
    scene.saw("anna", Way::Socket, asked, ticket(1, Status::Pending, 1));
    scene.booked("anna", 1, Status::Confirmed);
    scene.holds();
    scene.saw("anna", Way::Events, asked, ticket(1, Status::Pending, 1));
    scene.is_violated(&[Kind::VersionWentBack]);
}

#[test]
fn a_version_in_other_bytes_is_accused_on_whatever_way() {
    let other = text(id(1), 1, Status::Confirmed, 2, OPENS_AT + 1_001);
    let mut scene = Scene::of_anna();
    let asked = scene.tick();
    scene.saw("anna", Way::LongPoll, asked, other.clone());
    scene.is_violated(&[Kind::OtherBytes]);

    let mut scene = Scene::of_anna();
    scene.sale().tickets[0].ticket = other;
    scene.is_violated(&[Kind::OtherBytes]);

    let mut scene = Scene::of_anna();
    let asked = scene.tick();
    scene.saw("anna", Way::LongPoll, asked, "{}".to_owned());
    scene.is_violated(&[Kind::OtherBytes]);
}

#[test]
fn a_gate_that_lost_writes_may_grant_a_pending_ticket_at_another_time() {
    let again = text(id(1), 1, Status::Pending, 1, OPENS_AT + 1_001);
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    scene.saw("anna", Way::Poll, asked, again);
    scene.booked("anna", 1, Status::Confirmed);
    scene.is_violated(&[Kind::OtherBytes]);
    scene.sale().incarnation = Some(2);
    scene.holds();
    scene.books.gate_lost = Some(false);
    assert!(scene.kinds().contains(&Kind::OtherBytes));
    scene.saw("anna", Way::Poll, asked, text(id(1), 2, Status::Pending, 1, OPENS_AT + 1_001));
    scene.books.gate_lost = Some(true);
    scene.is_violated(&[Kind::OtherBytes]);
}

#[test]
fn yours_is_too_early_if_a_later_look_finds_nothing() {
    let early = |found, delay: u64| {
        let mut scene = Scene::new(10, 2);
        let asked = scene.buys("anna", 0, "r0", 1);
        let told = scene.saw("anna", Way::Socket, asked, ticket(1, Status::Confirmed, 2));
        let asked = told - 5 + delay;
        scene.did("anna", Did::Looked { id: id(1).to_string(), asked, found });
        scene.booked("anna", 1, Status::Confirmed);
        scene
    };
    early(None, 10).is_violated(&[Kind::YoursBeforeCommit]);
    early(Some(ticket(1, Status::Pending, 1)), 10).is_violated(&[Kind::YoursBeforeCommit]);
    early(Some(ticket(1, Status::Confirmed, 2)), 10).holds();
    early(None, 0).holds();
}

#[test]
fn yours_is_wrong_if_the_ledger_never_confirmed_it() {
    let mut scene = Scene::of_anna();
    scene.sale().tickets[0].ticket = ticket(1, DEADLINE, 3);
    scene.sale().ledger.rejected = 1;
    (scene.sale().ledger.available, scene.sale().ledger.sold) = (10, 0);
    (scene.gate().available, scene.gate().sold) = (10, 0);
    scene.is_violated(&[Kind::ChangedFinal, Kind::YoursBeforeCommit]);
}

#[test]
fn a_ticket_of_another_buyer_is_a_foreign_answer() {
    let mut scene = Scene::of_anna();
    scene.claims("bert", 0, "r0");
    scene.refused("bert", 0, "r0");
    let nothing = Did::Foreign { id: id(1).to_string(), way: Way::Poll, shown: None };
    scene.did("bert", nothing);
    scene.holds();

    let mut shown = scene.clone();
    let asked = shown.tick();
    shown.saw("bert", Way::Poll, asked, ticket(1, Status::Confirmed, 2));
    shown.is_violated(&[Kind::ForeignAnswer]);

    let shown = Some(ticket(1, Status::Confirmed, 2));
    scene.did("bert", Did::Foreign { id: id(1).to_string(), way: Way::Poll, shown });
    scene.is_violated(&[Kind::ForeignAnswer]);
}

#[test]
fn a_ticket_of_other_units_is_not_the_one_that_was_claimed() {
    let with = |units| {
        let mut scene = Scene::new(10, 2);
        let asked = scene.claims_units("anna", 0, "r0", 2);
        let pending = text(id(1), units, Status::Pending, 1, OPENS_AT + 1_000);
        scene.granted("anna", 0, "r0", asked, pending);
        scene.booked("anna", 1, DEADLINE);
        scene
    };
    with(1).is_violated(&[Kind::ForeignAnswer]);
    with(2).holds();
}

#[test]
fn one_request_has_one_ticket() {
    let mut scene = Scene::of_anna();
    let asked = scene.claims("anna", 0, "r0");
    scene.granted("anna", 0, "r0", asked, ticket(2, Status::Pending, 1));
    scene.booked("anna", 2, Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);
}

#[test]
fn one_intent_has_one_ticket_but_two_intents_have_two() {
    let mut scene = Scene::of_anna();
    scene.buys("anna", 1, "r1", 2);
    scene.booked("anna", 2, Status::Confirmed);
    scene.holds();

    let mut scene = Scene::of_anna();
    scene.buys("anna", 0, "r1", 2);
    scene.booked("anna", 2, Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);
}

#[test]
fn a_ticket_that_no_event_mentions_belongs_to_a_claim_without_an_answer() {
    let mut scene = Scene::of_anna();
    scene.claims("anna", 1, "r1");
    scene.unsure("anna", 1, "r1");
    scene.booked("anna", 2, Status::Confirmed);
    scene.holds();
    assert_eq!(scene.judge().checked.of_unsure, 1);
    scene.booked("anna", 3, DEADLINE);
    scene.is_violated(&[Kind::SecondGrant]);
}

#[test]
fn a_refused_claim_accounts_for_no_ticket_unless_an_attempt_stayed_open() {
    let mut scene = Scene::of_anna();
    scene.claims("anna", 1, "r1");
    scene.refused("anna", 1, "r1");
    scene.booked("anna", 2, Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);

    let mut scene = Scene::of_anna();
    scene.claims("anna", 1, "r1");
    scene.unsure("anna", 1, "r1");
    scene.claims("anna", 1, "r1");
    scene.refused("anna", 1, "r1");
    scene.booked("anna", 2, Status::Confirmed);
    scene.holds();
}

#[test]
fn another_request_of_the_same_intent_is_a_second_grant_even_if_nobody_was_told() {
    let mut scene = Scene::of_anna();
    scene.claims("anna", 0, "r1");
    scene.unsure("anna", 0, "r1");
    scene.booked("anna", 2, Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);
}

#[test]
fn tickets_of_buyers_outside_the_history_are_counted_only() {
    let mut scene = Scene::of_anna();
    scene.booked("zoe", 9, Status::Confirmed);
    scene.holds();
    assert_eq!(scene.judge().checked.of_others, 1);
}

#[test]
fn a_grant_outside_the_window_is_accused_at_either_end() {
    let granted = |granted| {
        let mut scene = Scene::new(10, 2);
        let asked = scene.claims("anna", 0, "r0");
        let pending = text(id(1), 1, Status::Pending, 1, granted);
        scene.granted("anna", 0, "r0", asked, pending);
        scene.booked("anna", 1, Status::Confirmed);
        scene.sale().tickets[0].ticket = text(id(1), 1, Status::Confirmed, 2, granted);
        scene
    };
    granted(OPENS_AT - 1).is_violated(&[Kind::OutsideWindow]);
    granted(OPENS_AT).holds();
    granted(CLOSES_AT - 1).holds();
    granted(CLOSES_AT).is_violated(&[Kind::OutsideWindow]);
}

#[test]
fn a_window_is_judged_for_tickets_of_others_too() {
    let mut scene = Scene::of_anna();
    scene.booked("zoe", 9, Status::Confirmed);
    scene.sale().tickets[1].ticket = text(id(9), 1, Status::Confirmed, 2, CLOSES_AT + 5);
    scene.is_violated(&[Kind::OutsideWindow]);
}

#[test]
fn a_good_token_is_never_unknown() {
    let mut scene = Scene::of_anna();
    scene.did("anna", Did::NotFound { id: id(1).to_string(), way: Way::Poll });
    scene.is_violated(&[Kind::NotFound]);
}

#[test]
fn a_rejection_for_want_of_stock_accuses_a_gate_that_lost_nothing() {
    let mut scene = Scene::new(10, 2);
    let asked = scene.buys("anna", 0, "r0", 1);
    scene.saw("anna", Way::Socket, asked, ticket(1, SOLD_OUT, 2));
    scene.booked("anna", 1, SOLD_OUT);
    scene.is_violated(&[Kind::Oversold]);
    scene.books.gate_lost = Some(true);
    scene.holds();
    scene.books.gate_lost = None;
    scene.sale().incarnation = Some(2);
    scene.holds();
}

#[test]
fn a_rejection_at_the_limit_accuses_a_gate_that_lost_nothing() {
    let limit = Status::Rejected(Reason::Limit);
    let mut scene = Scene::new(10, 2);
    scene.buys("anna", 0, "r0", 1);
    scene.booked("anna", 1, limit);
    scene.is_violated(&[Kind::LimitPassed]);
    scene.sale().incarnation = Some(3);
    scene.holds();
}

#[test]
fn what_buyers_were_told_counts_as_sold() {
    let told = |tickets: u8| {
        let mut scene = Scene::new(2, 1);
        for n in 1..=tickets {
            let buyer = format!("buyer-{n}");
            let asked = scene.buys(&buyer, 0, "r0", n);
            scene.saw(&buyer, Way::Socket, asked, ticket(n, Status::Confirmed, 2));
        }
        scene.booked("buyer-1", 1, Status::Confirmed);
        scene.booked("buyer-2", 2, Status::Confirmed);
        scene
    };
    told(2).holds();
    assert!(told(3).kinds().contains(&Kind::Oversold));
}

#[test]
fn a_history_of_a_sale_that_the_books_lack_is_an_error() {
    let mut scene = Scene::of_anna();
    scene.sale().id = "hats".to_owned();
    let error = crate::scene::judge(&scene.lines(), &scene.books).unwrap_err();
    assert!(format!("{error:#}").contains(&format!("no sale {SALE}")), "{error:#}");
}

#[test]
fn times_in_the_books_are_those_of_the_contract() {
    let mut scene = Scene::of_anna();
    let text = serde_json::to_string(&scene.books).unwrap();
    assert!(text.contains(&at(OPENS_AT).to_string()), "{text}");
    let read: crowd::books::Books = serde_json::from_str(&text).unwrap();
    assert_eq!(read, scene.books);
    scene.sale().opens_at = at(OPENS_AT + 1);
    assert_ne!(read, scene.books);
}
