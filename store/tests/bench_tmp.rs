#![allow(warnings)]
#[path = "contract/ledger/mod.rs"]
mod contract;
use contract::*;
use store::ledger::{Ledger, sqlite::SqliteLedger};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench() {
    let folder = tempfile::tempdir_in("/work").unwrap();
    let ledger = Ledger::Sqlite(SqliteLedger::open(&folder.path().join("l.db")).await.unwrap());
    let total = 200_000;
    for tasks in [1usize, 2] {
        let sale = create(&ledger, total as u32, 1).await;
        let orders = crowd(&sale, total);
        let start = std::time::Instant::now();
        let mut set = tokio::task::JoinSet::new();
        for part in orders.chunks(total / tasks) {
            let (ledger, part) = (ledger.clone(), part.to_vec());
            set.spawn(async move {
                let mut worst = std::time::Duration::ZERO;
                for b in part.chunks(500) {
                    let t = std::time::Instant::now();
                    ledger.decide(b, &deadline(), at(2000)).await.unwrap();
                    worst = worst.max(t.elapsed());
                }
                worst
            });
        }
        let worst = set.join_all().await;
        println!(
            "{tasks} tasks: {:.0}/s worst {worst:?}",
            total as f64 / start.elapsed().as_secs_f64()
        );
    }
}
