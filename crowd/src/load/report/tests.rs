use std::time::{Duration, Instant};

use client::Timestamp;

use super::*;
use crate::check::{Kind, Violation};
use crate::load::plan::{Behaviour, Door, Mix};
use crate::load::tally::{Answer, Claimed, Final, Life};

fn plan() -> Plan {
    let address: url::Url = "http://127.0.0.1:8080".parse().unwrap();
    Plan {
        doors: vec![Door { api: address.clone(), push: address }],
        ca: None,
        sales: vec![sale::id::SaleId::new("cups").unwrap()],
        arrivals: Arrivals::Herd { buyers: 3, within: Duration::from_secs(1) },
        mix: Mix::default(),
        behaviour: Behaviour::default(),
        most_units: sale::units::Units::ONE,
        identity: "guests".parse().unwrap(),
        patience: Duration::from_secs(60),
        most_open: 2,
        seed: 7,
        ledger: None,
    }
}

/// One buyer was told after a second that he has it, one was refused, one was not sent.
fn tally() -> Tally {
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    let known = Final { at: at(1000), way: Some(Way::Events), confirmed: true };
    let granted = (at(100), Answer::Granted(Some(known)));
    let refused = (at(30), Answer::Refused("/problems/sold-out".to_owned()));
    let mut tally = Tally::new(Timestamp::from_millis(0).unwrap(), 3);
    for answer in [granted, refused] {
        let claims = vec![Claimed { due: begin, attempts: 1, answer: Some(answer) }];
        let errors = vec![("no answer in time".to_owned(), at(10))];
        tally.add(Life { claims, errors, ..Life::default() }, begin);
    }
    tally.shed = 1;
    tally
}

fn violated() -> Verdict {
    let says = "<b>7</b> units of 5".to_owned();
    let violation =
        Violation { kind: Kind::Oversold, says, buyer: None, ticket: None, event: None };
    Verdict {
        found: [(Kind::Oversold, 1)].into(),
        violations: vec![violation],
        ..Verdict::default()
    }
}

fn report<'a>(plan: &'a Plan, tally: &'a Tally, judged: Judged) -> Report<'a> {
    Report { plan, tally, judged }
}

#[test]
fn a_violation_stands_in_every_report_with_its_example() {
    let (plan, tally) = (plan(), tally());
    let report = report(&plan, &tally, Judged::Verdict(violated()));
    assert!(report.violated());
    let text = text(&report);
    assert!(text.contains("VIOLATED") && text.contains("<b>7</b> units of 5"), "{text}");
    let page = html(&report);
    assert!(page.contains("1 of 16 invariants violated"), "{page}");
    assert!(page.contains("&lt;b&gt;7&lt;/b&gt; units of 5"), "words are no markup: {page}");
    assert_eq!(json(&report)["verdict"]["found"]["oversold"], 1);
}

#[test]
fn what_the_generator_did_not_send_is_said() {
    let (plan, tally) = (plan(), tally());
    let report = report(&plan, &tally, Judged::Verdict(Verdict::default()));
    assert!(!report.violated());
    for told in [text(&report), html(&report)] {
        assert!(told.contains("1 buyers were not sent at all"), "{told}");
    }
    assert_eq!(json(&report)["buyers"]["shed"], 1);
}

#[test]
fn stages_count_from_the_moment_that_was_scheduled() {
    let (plan, tally) = (plan(), tally());
    let json = json(&report(&plan, &tally, Judged::Not("nobody asked".to_owned())));
    let stage = |name: &str| {
        let stage = &json["since_the_scheduled_moment"][name];
        (stage["count"].as_u64().unwrap(), stage["max"].as_u64().unwrap() / 1000)
    };
    assert_eq!(stage("claim_answered"), (2, 100));
    assert_eq!(stage("final_result_known"), (1, 1000));
    assert_eq!(stage("over_server_sent_events"), (1, 1000));
    assert_eq!(json["errors"]["no answer in time"], 2);
    assert_eq!(json["not_judged"], "nobody asked");
}

#[test]
fn the_page_needs_nothing_else_and_can_be_drawn_of_an_empty_load() {
    let (plan, empty) = (plan(), Tally::new(Timestamp::from_millis(0).unwrap(), 0));
    let page = html(&report(&plan, &empty, Judged::Not("nobody asked".to_owned())));
    for foreign in ["src=", "href=", "@import", "<script"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn durations_have_three_digits() {
    let short = |micros| Short(Duration::from_micros(micros)).to_string();
    assert_eq!(short(1_234), "1.23 ms");
    assert_eq!(short(99_960), "100 ms");
    assert_eq!(short(999_700), "1.00 s");
    assert_eq!(short(61_500_000), "61.5 s");
}

#[test]
fn thousands_are_set_apart() {
    let texts = [0, 999, 1000, 1_234_567].map(|number| Grouped(number).to_string());
    assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
}
