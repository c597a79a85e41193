//! The local gate: the contract of every gate, and what its journal adds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "local/history.rs"]
mod history;

use std::path::Path;

use contract::{Round, fresh_batch};
use sale::grant::Answer;
use sale::id::InstallId;
use sale::status::{Move, Reason};
use sale::terms::Restock;
use store::gate::local::{LocalGate, Settings};
use store::gate::{Decided, Gate, GateError, Slot};

const INSTALL: InstallId = InstallId([1; 16]);

async fn open_with(folder: &Path, settings: Settings) -> Gate {
    let gate = LocalGate::open(&folder.join("gate.db"), INSTALL, settings).await;
    Gate::Local(gate.unwrap())
}

async fn open(folder: &Path) -> Gate {
    open_with(folder, Settings::default()).await
}

macro_rules! on_a_file {
    ($bounds:expr => $($part:ident: $($shows:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $shows() {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings { bounds: $bounds, ..Settings::default() };
            let gate = open_with(folder.path(), settings).await;
            contract::$part::$shows(gate.clone()).await;
            gate.close().await;
        }
    )+)+};
}

every_case!(on_a_file);

/// Copies the files as they lie there while the gate lives: what a kill -9 would leave. The
/// lock keeps the two of one moment.
async fn copy_as_a_crash_would(from: &Path, to: &Path) {
    let mut lock = intruder(from).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    for file in ["gate.db", "gate.db-wal"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_crash_and_the_outbox_is_due_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let mut round = Round::warm(&gate, 10, 1).await;
    let claims = ["ada", "bob", "cleo"].map(|buyer| round.claim(buyer, "", 1));
    let first = round.grant(&claims[..2]).await;
    let second = round.grant(&claims[2..]).await;
    let Answer::Granted(state) = first.answers[0] else { panic!("granted") };
    let rejected = round.verdict(&claims[0], &state, Move::Reject(Reason::Deadline));
    let first_batch = Decided::from(&*first.batch.unwrap());
    gate.settle(round.slot, std::slice::from_ref(&rejected), &[first_batch]).await.unwrap();
    gate.restock(round.slot, "k", &Restock::new(5).unwrap()).await.unwrap();
    round.stock += 5;
    let before = round.audit().await;

    let crashed = tempfile::tempdir().unwrap();
    copy_as_a_crash_would(folder.path(), crashed.path()).await;
    gate.close().await;
    round.gate = open(crashed.path()).await;
    assert_eq!(round.audit().await, before);
    let overdue = round.gate.resend(round.slot, 10).await.unwrap();
    assert_eq!(overdue, [second.batch.unwrap()]);
    assert!(round.gate.resend(round.slot, 10).await.unwrap().is_empty(), "once a step");
    let again = round.grant(&claims).await.answers;
    assert_eq!(again[0], Answer::Standing(rejected.state));
    assert!(matches!(again[2], Answer::Standing(_)));
    let applied = round.gate.restock(round.slot, "k", &Restock::new(5).unwrap()).await;
    assert_eq!(applied.unwrap(), 5, "known by its key");
    assert_eq!(round.audit().await, before);
    round.gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_taken_while_calls_go_on_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { checkpoint_after: 2_000, ..Settings::default() };
    let gate = open_with(folder.path(), settings.clone()).await;
    let mut round = Round::warm(&gate, 400, 2).await;
    let crashed = tempfile::tempdir().unwrap();
    let mut crashes = 0;
    for n in 0..200 {
        let claims = [round.claim(&format!("b{n}"), "", 1), round.claim(&format!("c{n}"), "", 1)];
        let grants = round.grant(&claims).await;
        if n % 2 == 0 {
            let Answer::Granted(state) = grants.answers[0] else { panic!("granted") };
            let by = if n % 4 == 0 { Move::Confirm } else { Move::Reject(Reason::Deadline) };
            let verdict = round.verdict(&claims[0], &state, by);
            let batch = Decided::from(&*grants.batch.unwrap());
            gate.settle(round.slot, &[verdict], &[batch]).await.unwrap();
        }
        if n % 20 == 19 {
            let before = round.audit().await;
            copy_as_a_crash_would(folder.path(), crashed.path()).await;
            let reopened = open_with(crashed.path(), settings.clone()).await;
            let mirror = Round { gate: reopened, slot: round.slot, stock: round.stock };
            assert_eq!(mirror.audit().await, before);
            for m in 0..=n {
                let claim = mirror.claim(&format!("c{m}"), "", 1);
                let standing = mirror.gate.read(mirror.slot, &[(claim.ticket, claim.buyer)]).await;
                assert!(standing.unwrap()[0].is_some(), "c{m} was answered");
            }
            mirror.gate.close().await;
            for file in ["gate.db-wal", "gate.db-shm"] {
                let _ = std::fs::remove_file(crashed.path().join(file));
            }
            crashes += 1;
        }
    }
    assert_eq!(crashes, 10);
    let size = std::fs::metadata(folder.path().join("gate.db")).unwrap().len();
    gate.close().await;
    assert!(size < 4 << 20, "old journal is removed: {size} bytes");
    round.gate = open_with(folder.path(), settings).await;
    round.audit().await;
    round.gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_round_costs_nothing_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let round = Round::warm(&gate, 5, 1).await;
    round.grant(&[round.claim("ada", "", 1)]).await;
    gate.retire(round.slot.round).await.unwrap();
    gate.close().await;
    let gate = open(folder.path()).await;
    assert!(matches!(gate.figures(round.slot).await, Err(GateError::NotWarm(_))));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_of_another_ledger_or_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await;
    let path = folder.path().join("gate.db");
    let foreign = LocalGate::open(&path, InstallId([2; 16]), Settings::default()).await;
    let Err(GateError::Unavailable(text)) = foreign else { panic!("a foreign gate opens") };
    assert!(text.contains("belongs to another ledger"), "{text}");
    let mut file = intruder(folder.path()).await;
    sqlx::query("PRAGMA user_version = 2").execute(&mut file).await.unwrap();
    sqlx::Connection::close(file).await.unwrap();
    let newer = LocalGate::open(&path, INSTALL, Settings::default()).await;
    let Err(GateError::Unavailable(text)) = newer else { panic!("a newer file opens") };
    assert!(text.contains("newer than this program"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_journal_cannot_be_written_nothing_is_granted_and_a_retry_finds_the_grant() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let round = Round::warm(&gate, 5, 1).await;
    let mut other = intruder(folder.path()).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let claim = round.claim("ada", "", 1);
    let once = std::slice::from_ref(&claim);
    let cut_off = gate.grant(round.slot, fresh_batch(), once).await;
    assert!(matches!(cut_off, Err(GateError::NotKnown)), "{cut_off:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    let answer = loop {
        match gate.grant(round.slot, fresh_batch(), once).await {
            Ok(grants) => break grants.answers[0].clone(),
            Err(GateError::Unavailable(_) | GateError::NotKnown) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(matches!(answer, Answer::Standing(_)), "{answer:?}");
    assert_eq!(round.audit().await.available, 4);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_end_nothing_is_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let round = Round::warm(&gate, 5, 1).await;
    gate.close().await;
    let claim = round.claim("ada", "", 1);
    let refused = gate.grant(round.slot, fresh_batch(), &[claim]).await;
    assert!(matches!(refused, Err(GateError::Unavailable(_))), "{refused:?}");
}

/// Another connection to the gate's file.
async fn intruder(folder: &Path) -> sqlx::SqliteConnection {
    let url = format!("sqlite:{}", folder.join("gate.db").display());
    <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap()
}

async fn number(file: &mut sqlx::SqliteConnection, query: &str) -> i64 {
    sqlx::query_scalar(query).fetch_one(file).await.unwrap()
}

/// Retires a round while the disk refuses, so that the call is cut off.
async fn retire_cut_off(gate: &Gate, folder: &Path, round: &Round) {
    let mut other = intruder(folder).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let cut_off = gate.retire(round.slot.round).await;
    assert!(matches!(cut_off, Err(GateError::NotKnown)), "{cut_off:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    while gate.probe().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retirement_that_was_cut_off_is_completed_by_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let snapshot = contract::snapshot(&gate, 5, 1);
    assert!(gate.warm(snapshot.clone(), None).await.unwrap());
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 5 };
    retire_cut_off(&gate, folder.path(), &round).await;
    assert!(matches!(gate.figures(slot).await, Err(GateError::NotWarm(_))));
    gate.retire(slot.round).await.unwrap();
    assert!(gate.warm(snapshot, None).await.unwrap(), "nothing of it is left in the way");
    assert_eq!(round.audit().await.available, 5);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_does_not_bring_a_retired_round_back() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { checkpoint_after: 1, ..Settings::default() };
    let gate = open_with(folder.path(), settings.clone()).await;
    let round = Round::warm(&gate, 5, 1).await;
    retire_cut_off(&gate, folder.path(), &round).await;
    let mut file = intruder(folder.path()).await;
    let journalled = number(&mut file, "SELECT max(position) FROM journal").await;
    while number(&mut file, "SELECT position FROM head").await < journalled {
        gate.probe().await.unwrap();
    }
    gate.close().await;
    let gate = open_with(folder.path(), settings).await;
    assert!(matches!(gate.figures(round.slot).await, Err(GateError::NotWarm(_))));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_rows_end_in_a_checkpoint_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { checkpoint_after: 100_000, ..Settings::default() };
    let gate = open_with(folder.path(), settings).await;
    for _ in 0..300 {
        gate.probe().await.unwrap();
    }
    let mut file = intruder(folder.path()).await;
    let rows = number(&mut file, "SELECT count(*) FROM journal").await;
    assert!(rows < 150, "a start would read {rows} rows of a server that did nothing");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_does_not_wait_for_a_checkpoint_and_loses_nothing_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path()).await;
    let mut rounds = Vec::new();
    for _ in 0..50 {
        rounds.push(Round::warm(&gate, 5, 1).await);
    }
    gate.close().await;
    let settings = Settings { checkpoint_after: 1, ..Settings::default() };
    open_with(folder.path(), settings).await.close().await;
    let mut file = intruder(folder.path()).await;
    assert_eq!(number(&mut file, "SELECT generation FROM head").await, 0, "left half done");
    let gate = open(folder.path()).await;
    for mut round in rounds {
        round.gate = gate.clone();
        assert_eq!(round.audit().await.available, 5);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_left_in_doubt_by_a_panic_refuses_and_takes_no_other_down() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { checkpoint_after: 1, ..Settings::default() };
    let gate = open_with(folder.path(), settings.clone()).await;
    let doubtful = Round::warm(&gate, 5, 1).await;
    let sound = Round::warm(&gate, 200, 1).await;
    let mixed = [doubtful.claim("ada", "", 1), sound.claim("bob", "", 1)];
    let mut task = tokio::task::JoinSet::new();
    task.spawn({
        let (gate, slot) = (gate.clone(), doubtful.slot);
        async move { gate.grant(slot, fresh_batch(), &mixed).await }
    });
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic(), "the bug of a caller");
    let refused = gate.figures(doubtful.slot).await;
    assert!(matches!(refused, Err(GateError::Unavailable(_))), "{refused:?}");
    for n in 0..100 {
        sound.grant(&[sound.claim(&format!("b{n}"), "", 1)]).await;
    }
    gate.close().await;
    let mut reopened = doubtful;
    reopened.gate = open_with(folder.path(), settings).await;
    assert_eq!(reopened.audit().await.available, 5, "the journal knows nothing of it");
    reopened.gate.close().await;
}
