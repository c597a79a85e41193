use super::*;
use std::process::Command;

fn planted() -> Vec<Patch> {
    Patch::all(&repository().join("crowd/planted")).unwrap()
}

#[test]
fn every_planted_fault_says_what_it_does_and_what_must_be_found() {
    let planted = planted();
    assert!(planted.len() >= 12, "there are {} faults", planted.len());
    for patch in planted {
        assert!(!patch.violations.is_empty(), "{}", patch.name);
        assert!(!patch.scenario.is_empty(), "{}", patch.name);
    }
}

#[test]
fn every_planted_fault_applies_to_the_present_sources() {
    let sources = repository().canonicalize().unwrap();
    for patch in planted() {
        let mut git = Command::new("git");
        git.args(["apply", "--check"]).arg(&patch.path).current_dir(&sources);
        git.env("GIT_CEILING_DIRECTORIES", sources.parent().unwrap());
        let output = git.output().unwrap();
        assert!(output.status.success(), "{}: {}", patch.name, last_lines(&output.stderr));
    }
}

#[test]
fn a_fault_is_named_by_how_its_name_begins_and_an_unknown_one_is_refused() {
    let first = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        named(planted(), &names)
            .map(|named| named.into_iter().map(|it| it.name).collect::<Vec<_>>())
    };
    assert_eq!(first(&["01"]).unwrap(), ["01-ack-before-commit"]);
    assert_eq!(first(&[]).unwrap().len(), planted().len());
    assert!(first(&["nothing-of-the-kind"]).is_err());
}
