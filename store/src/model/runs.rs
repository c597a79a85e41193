//! The runs: how far each of them looks. Each looks at every state that it can reach.

use stateright::{Checker, HasDiscoveries, Model};

use super::judge::{REBUILT, REJECTED};
use super::state::Faults;
use super::steps::Crowd;

/// Faults of each kind that come in a run which has that kind; one without it. With more, and
/// with a second worker where it says so, a run takes hours.
const FAULTS: &str = "MODEL_FAULTS";

/// The calls of the gate, and the claims that each brings: who, by which request, for how many
/// units.
type Calls = &'static [&'static [(&'static str, &'static str, u64)]];

/// Three buyers, each with a call of his own.
const THREE: Calls = &[&[("ada", "r1", 1)], &[("bob", "r1", 1)], &[("cy", "r1", 1)]];

/// Two of three buyers come in one call.
const TOGETHER: Calls = &[&[("ada", "r1", 1)], &[("bob", "r1", 1), ("cy", "r1", 1)]];

/// Two buyers.
const TWO: Calls = &[&[("ada", "r1", 1)], &[("bob", "r1", 2)]];

/// One of two buyers asks for more than the limit, by two requests.
const GREEDY: Calls = &[&[("ada", "r1", 1)], &[("ada", "r2", 2)], &[("bob", "r1", 1)]];

const NONE: Faults = Faults { crashes: 0, deaths: 0, drops: 0, late: 0, losses: 0 };

/// Two units, two for one buyer at most.
fn crowd(calls: Calls, faults: Faults) -> Crowd {
    Crowd::new(2, 2, faults, calls)
}

/// Looks at every state; `reached` names what must come to pass in some of them.
fn check(crowd: Crowd, reached: &[&'static str]) {
    let checked = crowd.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states, {} steps deep", checked.unique_state_count(), checked.max_depth());
    let found = checked.discoveries();
    for (name, path) in &found {
        assert!(reached.contains(name), "{name}:\n{path}");
    }
    for name in reached {
        assert!(found.contains_key(name), "in no state: {name}");
    }
}

#[test]
fn a_gate_that_dies_before_its_journal_is_written_breaks_no_promise() {
    let n = faults_of_a_kind();
    let faults = Faults { crashes: n, deaths: n, ..NONE };
    check(Crowd { lags: true, ..crowd(THREE, faults) }, &[]);
}

#[test]
fn a_worker_that_dies_a_message_that_is_lost_and_a_late_verdict_leave_nobody_waiting() {
    let n = faults_of_a_kind();
    let faults = Faults { late: n, drops: n, deaths: n, ..NONE };
    check(crowd(THREE, faults), &[REJECTED]);
}

#[test]
fn a_gate_that_lost_writes_is_rebuilt_and_nothing_is_oversold() {
    check(Crowd { together: 2, ..losing(TOGETHER) }, &[REJECTED, REBUILT]);
}

#[test]
fn a_gate_that_lost_writes_lets_nobody_pass_the_limit() {
    check(Crowd { stock: 3, ..losing(GREEDY) }, &[REJECTED, REBUILT]);
}

#[test]
fn two_workers_rebuild_a_gate_and_neither_harms_what_the_other_has_loaded() {
    check(Crowd { workers: 2, ..losing(TWO) }, &[REJECTED, REBUILT]);
}

/// The gate loses writes; where it does so once, there is one worker.
fn losing(calls: Calls) -> Crowd {
    let losses = faults_of_a_kind();
    let workers = if losses > 1 { 2 } else { 1 };
    let incarnations = u32::from(losses) + 1;
    Crowd { workers, incarnations, ..crowd(calls, Faults { losses, ..NONE }) }
}

#[expect(clippy::disallowed_methods, reason = "only a test reads it")]
fn faults_of_a_kind() -> u8 {
    std::env::var(FAULTS).map_or(1, |faults| faults.parse().expect("a small number"))
}
