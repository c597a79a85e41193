//! `crowd check FOLDER`, and what it reads.

use std::path::Path;
use std::process::{Command, Output};

use crowd::check::{Kind, Verdict};
use serde_json::Value;

use crate::scene::{Scene, judge};

fn folder_of(scene: &Scene) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("history.jsonl"), scene.lines()).unwrap();
    let books = serde_json::to_vec(&scene.books).unwrap();
    std::fs::write(folder.path().join("books.json"), books).unwrap();
    folder
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd"));
    command.arg("check").arg(folder).args(more).output().unwrap()
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn a_clean_run_ends_with_0_and_tells_how_much_was_checked() {
    let folder = folder_of(&Scene::of_anna());
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = text(&output);
    assert!(text.contains("All 16 invariants held."), "{text}");
    let events = text.lines().find(|line| line.starts_with("events")).unwrap();
    assert!(events.ends_with(" 4"), "{events}");
}

#[test]
fn a_violation_ends_with_1_and_names_buyer_ticket_and_event() {
    let mut scene = Scene::of_anna();
    scene.buys("bert", 0, "r0", 2);
    let folder = folder_of(&scene);
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("1 of 16 invariants were violated."), "{text}");
    assert!(text.contains("event 6, buyer bert, ticket AgICAgICAgICAgICAgICAg: "), "{text}");
}

#[test]
fn as_json_the_verdict_can_be_read_again() {
    let mut scene = Scene::of_anna();
    scene.buys("bert", 0, "r0", 2);
    let folder = folder_of(&scene);
    let output = check(folder.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value: Value = serde_json::from_str(text(&output)).unwrap();
    assert_eq!(value["found"]["lost"], 1);
    assert_eq!(value["violations"][0]["kind"], "lost");
    let verdict: Verdict = serde_json::from_value(value).unwrap();
    assert_eq!(verdict, scene.judge());
}

#[test]
fn a_folder_without_a_run_ends_with_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), &[]);
    assert!(!output.status.success());
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.contains("books.json"), "{says}");
}

#[test]
fn examples_are_bounded_and_the_count_is_not() {
    let mut scene = Scene::new(100, 1);
    for n in 1..=25 {
        scene.buys(&format!("buyer-{n}"), 0, "r0", n);
    }
    let verdict = scene.judge();
    assert_eq!(verdict.found[&Kind::Lost], 25);
    let events: Vec<_> = verdict.violations.iter().map(|example| example.event.unwrap()).collect();
    assert_eq!(events, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20], "the first ones");
}

#[test]
fn a_history_that_breaks_off_is_judged_up_to_there() {
    let scene = Scene::of_anna();
    let lines = scene.lines();
    let verdict = judge(&lines[..lines.len() - 20], &scene.books).unwrap();
    assert!(verdict.holds(), "{:?}", verdict.violations);
    assert!(verdict.checked.cut_off);
    assert_eq!(verdict.checked.events, 3);
    assert!(!scene.judge().checked.cut_off);
}

#[test]
fn after_a_break_a_ticket_that_no_event_mentions_accuses_nobody() {
    let mut scene = Scene::of_anna();
    scene.booked("anna", 2, sale::status::Status::Confirmed);
    scene.is_violated(&[Kind::SecondGrant]);
    let mut lines = scene.lines();
    lines.extend_from_slice(b"{\"at\":99,\"buy");
    assert!(judge(&lines, &scene.books).unwrap().holds());
}

#[test]
fn a_corrupt_line_is_an_error_with_its_number() {
    let scene = Scene::of_anna();
    let mut lines = scene.lines();
    let second = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    lines[second] = b'#';
    let error = judge(&lines, &scene.books).unwrap_err();
    assert!(format!("{error:#}").contains("line 2 is no event"), "{error:#}");
}
