//! A deployment that is broken under load, healed and judged from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use crowd::chaos::binary;
use crowd::chaos::cell::{self, Outcome, Report};
use crowd::chaos::deployment::Deployment;
use crowd::chaos::fault::{Cell, Engines};
use crowd::chaos::visitors::Visitors;

#[tokio::test]
async fn an_embedded_process_that_is_killed_under_load_keeps_every_promise() {
    let report = run(Cell::find(Engines::Embedded, "kill", None).unwrap(), None).await;
    assert!(report.verdict.checked.unsure > 0, "somebody was left without an answer");
}

#[tokio::test]
#[ignore = "needs engines that can be stopped: ./test brings them"]
#[expect(clippy::disallowed_methods, reason = "a test is told where the engines are")]
async fn a_gate_that_is_emptied_under_load_keeps_every_promise() {
    let servers = std::env::var("TEST_ENGINES").expect("TEST_ENGINES names them: run ./test");
    let cell = Cell::find(Engines::Real, "flush", None).unwrap();
    run(cell, Some(servers.into())).await;
}

async fn run(cell: Cell, servers: Option<PathBuf>) -> Report {
    let dibs = binary::dibs(None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let starting = Deployment::start(cell.engines, &dibs, folder.path(), &[], servers.as_deref());
    let mut deployment = starting.await.unwrap();
    let place = folder.path().join("cell");
    match cell::run(&mut deployment, cell, 1, &Visitors::default(), &place).await.unwrap() {
        Outcome::Judged(report) => {
            assert!(report.holds(), "{:?} {:?}", report.unserved(), report.verdict);
            *report
        }
        Outcome::NotRun(why) => panic!("{why}"),
    }
}
