//! Copies of the data folder, taken while the server works: what a power cut would leave.

use std::fs;
use std::path::Path;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::{Signal, WaitOptions, waitpid};

use crate::books::{check, check_all};
use crate::dice::dice;
use crate::harness::{Place, Server};
use crate::market::{Crowd, Market, Stall};
use crate::memory::Memory;
use crate::wal::torn;

const STALLS: [Stall; 2] = [Stall::Plenty, Stall::Several];

#[tokio::test]
async fn a_data_folder_with_torn_ends_holds_all_that_was_answered_before() {
    let (seed, mut dice) = dice();
    let server = Server::start(&[]).await;
    let market = Market::open(&server, &STALLS).await;
    let crowd = Crowd::gather(&market, 32, seed);
    for _ in 0..3 {
        market.further_answers(dice.random_range(20..150)).await;
        let (copy, answered) = torn_copy(&server, &market, &mut dice).await;
        let revived = Server::start_in(copy, &[]).await;
        for stall in STALLS {
            check(&revived, stall, &answered).await;
        }
    }
    let memory = crowd.leave().await;
    for stall in STALLS {
        check_all(&server, stall, &memory).await;
    }
}

/// A copy of the data folder in which the next transaction of each file has been begun and not
/// finished, and what had been answered before.
async fn torn_copy(server: &Server, market: &Market, dice: &mut StdRng) -> (Place, Memory) {
    loop {
        let (copy, answered) = copy(server, market);
        market.further_answers(5).await;
        let (later, _) = self::copy(server, market);
        let cuts = ["gate.db-wal", "ledger.db-wal"].map(|file| {
            let (file, later) = (copy.data().join(file), later.data().join(file));
            let later = fs::read(later).unwrap();
            let range = torn(&fs::read(&file).unwrap(), &later)?;
            Some((file, later, range))
        });
        // A log that has begun anew in between has no such end.
        let [Some(gate), Some(ledger)] = cuts else { continue };
        for (file, later, range) in [gate, ledger] {
            fs::write(file, &later[..dice.random_range(range)]).unwrap();
        }
        return (copy, answered);
    }
}

/// Copies the data folder as it stands at one moment, with what had been answered by then.
fn copy(server: &Server, market: &Market) -> (Place, Memory) {
    let copy = Place::new();
    server.signal(Signal::STOP);
    let stopped = waitpid(Some(server.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(stopped.1.stopped(), "{stopped:?}");
    let answered = market.memory().clone();
    copy_folder(&server.place().data(), &copy.data());
    server.signal(Signal::CONT);
    (copy, answered)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
