//! Two gates, driven with the same random histories: every answer, every figure and every final
//! state are the same. Times are each gate's own, so they are compared by what they are relative
//! to: a grant by the clock of its call, a window by the clock that it was made for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "redis/engine.rs"]
mod engine;
#[path = "differential/side.rs"]
mod side;
#[path = "differential/step.rs"]
mod step;
#[path = "differential/times.rs"]
mod times;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine::{Place, setting};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use sale::id::{InstallId, RoundId};
use store::gate::local::{LocalGate, Settings};
use store::gate::{Bounds, Gate};

use side::Side;
use step::Step;

/// Batches are overdue all the time, and the outbox is full often.
fn always_due() -> Bounds {
    Bounds { outbox_most: 8, resend_after: Duration::ZERO, ..Bounds::default() }
}

/// Nothing is overdue within a test.
fn never_due() -> Bounds {
    let hour = Duration::from_secs(3600);
    Bounds { outbox_most: 200, resend_after: hour, resend_most: hour }
}

async fn local(folder: &tempfile::TempDir, install: InstallId, bounds: Bounds) -> Gate {
    let settings = Settings { bounds, ..Settings::default() };
    let gate = LocalGate::open(&folder.path().join("gate.db"), install, settings).await;
    Gate::Local(gate.unwrap())
}

/// Plays one history on a fresh round of both gates.
async fn play(gates: [&Gate; 2], round: RoundId, history: &[Step]) -> Result<(), TestCaseError> {
    let mut sides = gates.map(|gate| Side::new(gate.clone(), round));
    for (n, step) in history.iter().enumerate() {
        let batch = side::batch(round, n);
        let [left, right] = &mut sides;
        let (left, right) = (left.take(step, batch).await, right.take(step, batch).await);
        proptest::prop_assert_eq!(left, right, "step {}: {:?}", n, step);
    }
    let [left, right] = &mut sides;
    let (left, right) = (left.rest().await, right.rest().await);
    proptest::prop_assert_eq!(left, right, "what is left in the end");
    Ok(())
}

/// Looks for a history that tells these gates apart, and makes the one it finds short.
fn tell_apart(
    runtime: &tokio::runtime::Runtime,
    gates: [&Gate; 2],
    histories: u32,
) -> Result<(), TestError<Vec<Step>>> {
    let config = Config { cases: histories, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&step::history(), |history| {
        static ROUND: AtomicU32 = AtomicU32::new(1);
        let round = RoundId(ROUND.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(play(gates, round, &history))
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn redis_is_as_local(bounds: &Bounds) {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(&setting("TEST_REDIS_URL"));
    let local = runtime.block_on(local(&folder, place.install, bounds.clone()));
    let redis = runtime.block_on(place.open(bounds.clone()));
    let found = tell_apart(&runtime, [&local, &redis], 24);
    runtime.block_on(async { tokio::join!(local.close(), redis.close(), place.clear()) });
    if let Err(difference) = found {
        panic!("local (left) and Redis (right) differ: {difference}");
    }
}

#[test]
#[ignore = "needs Redis: ./test brings it"]
fn local_gate_and_redis_answer_every_history_alike() {
    redis_is_as_local(&never_due());
}

#[test]
#[ignore = "needs Redis: ./test brings it"]
fn local_gate_and_redis_send_again_alike_and_are_full_alike() {
    redis_is_as_local(&always_due());
}

/// Proof that histories reach far enough: two local gates with bounds one order apart.
#[test]
fn a_gate_that_differs_by_one_order_is_told_apart_and_one_that_does_not_is_not() {
    let runtime = runtime();
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let install = InstallId(rand::random());
    let open = |folder, bounds| runtime.block_on(local(folder, install, bounds));
    let first = open(&folders[0], always_due());
    let same = open(&folders[1], always_due());
    let other = open(&folders[2], Bounds { outbox_most: 7, ..always_due() });
    tell_apart(&runtime, [&first, &same], 2).unwrap();
    let found = tell_apart(&runtime, [&first, &other], 50);
    assert!(matches!(found, Err(TestError::Fail(..))), "{found:?}");
    runtime.block_on(async { tokio::join!(first.close(), same.close(), other.close()) });
}
