//! Each fault put into a correct server's history is found.

use crowd::books::Entry;
use crowd::check::Kind;
use crowd::history::{Did, Event, Way};
use proptest::prelude::*;
use serde_json::Value;

use crate::crossing::shapes;
use crate::scene::{OPENS_AT, SALE, SOLD_OUT, Scene, at, id, text};
use crate::simulated::run;

/// A fault, and how it is put in; false where the history gives no occasion.
type Mutation = (Kind, fn(&mut Scene) -> bool);

const MUTATIONS: [Mutation; 28] = [
    (Kind::Oversold, sell_more),
    (Kind::Oversold, shrink_the_stock),
    (Kind::Lost, lose_a_ticket),
    (Kind::Lost, refuse_a_retry),
    (Kind::TwoFinals, show_another_final),
    (Kind::ChangedFinal, change_the_ledger),
    (Kind::ChangedFinal, open_a_final_again),
    (Kind::NotConserved, lose_a_unit),
    (Kind::NotConserved, count_a_ticket_less),
    (Kind::LimitPassed, sell_one_buyer_more),
    (Kind::VersionWentBack, show_the_first_version_again),
    (Kind::OtherBytes, show_another_time),
    (Kind::OtherBytes, book_another_time),
    (Kind::YoursBeforeCommit, look_in_vain),
    (Kind::YoursBeforeCommit, lose_a_confirmed_ticket),
    (Kind::ForeignAnswer, show_it_to_somebody_else),
    (Kind::ForeignAnswer, answer_a_foreign_question),
    (Kind::SecondGrant, answer_a_retry_with_another_ticket),
    (Kind::SecondGrant, book_a_ticket_nobody_claimed),
    (Kind::OutsideWindow, open_late),
    (Kind::OutsideWindow, close_early),
    (Kind::NoAnswer, leave_one_pending),
    (Kind::NoAnswer, give_up),
    (Kind::NoAnswer, answer_nobody),
    (Kind::NoAnswer, reject_at_once),
    (Kind::NotFound, deny_a_ticket),
    (Kind::Disagree, sell_in_the_gate_alone),
    (Kind::Leak, keep_an_order),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_mutation_of_a_correct_history_is_found(shape in shapes()) {
        let clean = run(shape);
        for (number, (kind, mutate)) in MUTATIONS.into_iter().enumerate() {
            let mut mutant = clean.clone();
            if mutate(&mut mutant) {
                let verdict = mutant.judge();
                prop_assert!(verdict.found.contains_key(&kind), "mutation {number}, {kind}: {verdict:#?}");
            }
        }
    }
}

#[test]
fn every_kind_has_a_mutation_and_every_mutation_its_occasion() {
    use clap::ValueEnum as _;
    let shape = crate::simulated::Shape {
        seed: 1,
        buyers: 9,
        steps: 40,
        stock: 12,
        limit: 3,
        forgets: false,
    };
    let clean = run(shape);
    for kind in Kind::value_variants() {
        assert!(MUTATIONS.iter().any(|mutation| mutation.0 == *kind), "{kind}");
    }
    for (number, (kind, mutate)) in MUTATIONS.into_iter().enumerate() {
        assert!(mutate(&mut clean.clone()), "mutation {number}, {kind}");
    }
}

/// After everything else.
fn later(scene: &mut Scene, buyer: &str, did: Did) -> bool {
    let at = scene.events.iter().map(|event| event.at).max().unwrap_or(0) + 10;
    scene.events.push(Event { at, buyer: buyer.to_owned(), did });
    true
}

/// Shown to a question that is asked after everything else.
fn shown_later(scene: &mut Scene, buyer: &str, ticket: String) -> bool {
    let asked = scene.events.iter().map(|event| event.at).max().unwrap_or(0) + 5;
    later(scene, buyer, Did::Saw { way: Way::Poll, asked, ticket })
}

/// A reading of a ticket with this status.
fn reading(scene: &Scene, status: &str) -> Option<(String, String)> {
    scene.events.iter().find_map(|event| {
        let (Did::Saw { ticket, .. } | Did::Granted { ticket, .. }) = &event.did else {
            return None;
        };
        (field(ticket, "status") == status).then(|| (event.buyer.clone(), ticket.clone()))
    })
}

fn field(ticket: &str, name: &str) -> String {
    let ticket: Value = serde_json::from_str(ticket).unwrap();
    ticket[name].as_str().unwrap_or_default().to_owned()
}

/// The same ticket with one field changed.
fn with(ticket: &str, name: &str, value: &str) -> String {
    ticket.replace(
        &format!(r#""{name}":"{}""#, field(ticket, name)),
        &format!(r#""{name}":"{value}""#),
    )
}

/// The place of a ticket in the books.
fn place(scene: &Scene, ticket: &str) -> Option<usize> {
    let id = field(ticket, "id");
    scene.books.sales[0].tickets.iter().position(|entry| field(&entry.ticket, "id") == id)
}

/// A ticket that a buyer was told to have, and its place in the books.
fn confirmed(scene: &Scene) -> Option<(String, String, usize)> {
    let (buyer, ticket) = reading(scene, "confirmed")?;
    let place = place(scene, &ticket)?;
    Some((buyer, ticket, place))
}

fn sell_more(scene: &mut Scene) -> bool {
    for n in 200..220 {
        let ticket = text(id(n), 1, sale::status::Status::Confirmed, 2, OPENS_AT);
        scene.sale().tickets.push(Entry { buyer: format!("stranger-{n}"), ticket });
    }
    true
}

fn shrink_the_stock(scene: &mut Scene) -> bool {
    let sold = scene.sale().ledger.sold;
    scene.sale().ledger.stock = sold - 1;
    sold > 0
}

fn lose_a_ticket(scene: &mut Scene) -> bool {
    let told = reading(scene, "confirmed").or_else(|| reading(scene, "rejected"));
    let Some(place) = told.and_then(|(_, ticket)| place(scene, &ticket)) else { return false };
    scene.sale().tickets.remove(place);
    true
}

fn refuse_a_retry(scene: &mut Scene) -> bool {
    if scene.books.gate_lost == Some(true) {
        return false;
    }
    let granted = scene.events.iter().find(|event| matches!(event.did, Did::Granted { .. }));
    let Some(Event { buyer, did: Did::Granted { sale, intent, request, .. }, .. }) = granted else {
        return false;
    };
    let (buyer, sale, request, intent) = (buyer.clone(), sale.clone(), request.clone(), *intent);
    // As many as there are open attempts: one of them must have been sent after the grant.
    for _ in 0..100 {
        let (sale, request) = (sale.clone(), request.clone());
        later(
            scene,
            &buyer,
            Did::Claim { sale: sale.clone(), intent, request: request.clone(), units: 1 },
        );
        let problem = "/problems/closed".to_owned();
        later(scene, &buyer, Did::Refused { sale, intent, request, problem });
    }
    true
}

fn show_another_final(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "confirmed") else { return false };
    let rejected =
        with(&ticket, "status", "rejected").replace(r#""reason":null"#, r#""reason":"deadline""#);
    shown_later(scene, &buyer, rejected)
}

fn change_the_ledger(scene: &mut Scene) -> bool {
    let Some((_, ticket, place)) = confirmed(scene) else { return false };
    let rejected =
        with(&ticket, "status", "rejected").replace(r#""reason":null"#, r#""reason":"deadline""#);
    scene.sale().tickets[place].ticket = rejected;
    true
}

fn open_a_final_again(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "confirmed") else { return false };
    let pending = with(&ticket, "status", "pending").replace(r#""version":2"#, r#""version":3"#);
    shown_later(scene, &buyer, pending.replace(r#""final":true"#, r#""final":false"#))
}

fn lose_a_unit(scene: &mut Scene) -> bool {
    scene.gate().available -= 1;
    true
}

fn count_a_ticket_less(scene: &mut Scene) -> bool {
    scene.sale().tickets.pop().is_some()
}

fn sell_one_buyer_more(scene: &mut Scene) -> bool {
    let Some(entry) = scene.sale().tickets.first().cloned() else { return false };
    for n in 200..210 {
        let ticket = text(id(n), 1, sale::status::Status::Confirmed, 2, OPENS_AT);
        scene.sale().tickets.push(Entry { buyer: entry.buyer.clone(), ticket });
    }
    true
}

fn show_the_first_version_again(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "confirmed") else { return false };
    let pending = with(&ticket, "status", "pending").replace(r#""version":2"#, r#""version":1"#);
    shown_later(scene, &buyer, pending.replace(r#""final":true"#, r#""final":false"#))
}

fn show_another_time(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "confirmed") else { return false };
    shown_later(scene, &buyer, with(&ticket, "decided_at", "2027-01-15T08:00:59.999Z"))
}

fn book_another_time(scene: &mut Scene) -> bool {
    let Some((_, ticket, place)) = confirmed(scene) else { return false };
    scene.sale().tickets[place].ticket = with(&ticket, "decided_at", "2027-01-15T08:00:59.999Z");
    true
}

fn look_in_vain(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "confirmed") else { return false };
    let asked = scene.events.iter().map(|event| event.at).max().unwrap_or(0) + 5;
    later(scene, &buyer, Did::Looked { id: field(&ticket, "id"), asked, found: None })
}

fn lose_a_confirmed_ticket(scene: &mut Scene) -> bool {
    let Some((_, _, place)) = confirmed(scene) else { return false };
    scene.sale().tickets.remove(place);
    true
}

fn show_it_to_somebody_else(scene: &mut Scene) -> bool {
    let Some((_, ticket)) = reading(scene, "confirmed") else { return false };
    shown_later(scene, "eve", ticket)
}

fn answer_a_foreign_question(scene: &mut Scene) -> bool {
    let Some((_, ticket)) = reading(scene, "confirmed") else { return false };
    let id = field(&ticket, "id");
    later(scene, "eve", Did::Foreign { id, way: Way::Poll, shown: Some(ticket) })
}

fn answer_a_retry_with_another_ticket(scene: &mut Scene) -> bool {
    let granted =
        scene.events.iter().find(|event| matches!(event.did, Did::Granted { .. })).cloned();
    let Some(Event { buyer, did: Did::Granted { sale, intent, request, ticket, .. }, .. }) =
        granted
    else {
        return false;
    };
    let asked = scene.events.iter().map(|event| event.at).max().unwrap_or(0) + 5;
    let ticket = with(&ticket, "id", &id(250).to_string());
    later(scene, &buyer, Did::Granted { sale, intent, request, asked, ticket })
}

fn book_a_ticket_nobody_claimed(scene: &mut Scene) -> bool {
    let Some(buyer) = scene.events.first().map(|event| event.buyer.clone()) else { return false };
    // More than he has claims whose result he does not know.
    for n in 200..204 {
        let ticket = text(id(n), 1, SOLD_OUT, 2, OPENS_AT);
        scene.sale().tickets.push(Entry { buyer: buyer.clone(), ticket });
    }
    true
}

fn open_late(scene: &mut Scene) -> bool {
    scene.sale().opens_at = at(OPENS_AT + 50_000);
    !scene.sale().tickets.is_empty()
}

fn close_early(scene: &mut Scene) -> bool {
    scene.sale().closes_at = at(OPENS_AT);
    !scene.sale().tickets.is_empty()
}

fn leave_one_pending(scene: &mut Scene) -> bool {
    let Some((_, ticket, place)) = confirmed(scene) else { return false };
    let pending = with(&ticket, "status", "pending").replace(r#""version":2"#, r#""version":1"#);
    let pending = pending.replace(r#""final":true"#, r#""final":false"#);
    scene.sale().tickets[place].ticket = pending;
    true
}

fn give_up(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "pending") else { return false };
    later(scene, &buyer, Did::GaveUp { id: field(&ticket, "id") })
}

fn answer_nobody(scene: &mut Scene) -> bool {
    let (sale, request) = (SALE.to_owned(), "never answered".to_owned());
    later(
        scene,
        "eve",
        Did::Claim { sale: sale.clone(), intent: 0, request: request.clone(), units: 1 },
    );
    later(scene, "eve", Did::Unanswered { sale, intent: 0, request })
}

fn reject_at_once(scene: &mut Scene) -> bool {
    scene.books.answer_within_ms = Some(1_000);
    change_the_ledger(scene)
}

fn deny_a_ticket(scene: &mut Scene) -> bool {
    let Some((buyer, ticket)) = reading(scene, "pending") else { return false };
    later(scene, &buyer, Did::NotFound { id: field(&ticket, "id"), way: Way::Poll })
}

fn sell_in_the_gate_alone(scene: &mut Scene) -> bool {
    scene.gate().available -= 1;
    scene.gate().sold += 1;
    true
}

fn keep_an_order(scene: &mut Scene) -> bool {
    scene.gate().undecided = 1;
    true
}
