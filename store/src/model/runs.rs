//! The runs: how far each of them looks.

use stateright::{Checker, Model};

use super::state::Faults;
use super::steps::Crowd;

type Calls = &'static [&'static [(&'static str, &'static str, u64)]];

/// Three buyers, each with a call of his own.
const THREE: Calls = &[&[("ada", "r1", 1)], &[("bob", "r1", 1)], &[("cy", "r1", 1)]];

/// Two of them come in one call.
const TOGETHER: Calls = &[&[("ada", "r1", 1)], &[("bob", "r1", 1), ("cy", "r1", 1)]];

/// One buyer asks for more than the limit, by two requests.
const GREEDY: Calls = &[&[("ada", "r1", 1)], &[("ada", "r2", 2)], &[("bob", "r1", 1)]];

const NONE: Faults = Faults { crashes: 0, deaths: 0, drops: 0, late: 0, losses: 0 };

/// Two units, two for one buyer at most.
fn crowd(calls: Calls, faults: Faults) -> Crowd {
    Crowd::new(2, 2, faults, calls)
}

/// Looks at every state; `reached` names what must have come to pass in some of them.
fn check(crowd: Crowd, reached: &[&'static str]) {
    let checked = crowd.checker().target_state_count(1_500_000).spawn_bfs().join();
    println!(
        "{} states, {} unique, depth {}",
        checked.state_count(),
        checked.unique_state_count(),
        checked.max_depth(),
    );
    let found = checked.discoveries();
    for (name, path) in &found {
        assert!(reached.contains(name), "{name}:\n{path}");
    }
    for name in reached {
        assert!(found.contains_key(name), "in no state: {name}");
    }
}

#[test]
fn a() {
    check(Crowd { lags: true, ..crowd(THREE, Faults { crashes: 1, deaths: 1, ..NONE }) }, &[]);
}

#[test]
fn b() {
    check(
        crowd(TOGETHER, Faults { late: 1, drops: 1, deaths: 1, ..NONE }),
        &["somebody is rejected"],
    );
}

#[test]
fn c() {
    check(
        crowd(TOGETHER, Faults { losses: 1, ..NONE }),
        &["somebody is rejected", "a gate is rebuilt"],
    );
}

#[test]
fn d() {
    check(
        crowd(GREEDY, Faults { losses: 1, ..NONE }),
        &["somebody is rejected", "a gate is rebuilt"],
    );
}
