//! Measures Dibs and its parts, each part beside what bounds it. `bench/run` calls it; each
//! command prints rows of a table, and what it measured on the way to standard error.
//!
//! `figures batcher REDIS RUNS`
//! `figures memory REDIS`
//! `figures ledger MYSQL RUNS STANDING`
//! `figures latency API PUSH SALE [GATE LOG LOG_ADMIN LEDGER]`, with JWTs on standard input, one
//! a line; the engines are those of an install that nobody else uses.

mod batcher;
mod gate;
mod latency;
mod ledger;
mod memory;
mod round_trips;
mod shop;
mod statements;
mod table;

// The same allocator.
use dibs as _;

use round_trips::Engines;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["batcher", redis, runs] => batcher::measure(redis, runs.parse()?).await,
        ["memory", redis] => memory::measure(redis).await,
        ["ledger", mysql, runs, standing] => {
            ledger::measure(mysql, runs.parse()?, standing.parse()?).await
        }
        ["latency", api, push, sale] => latency::measure(api, push, sale, None).await,
        ["latency", api, push, sale, gate, log, log_admin, ledger] => {
            let engines = Engines { gate, log, log_admin, ledger };
            latency::measure(api, push, sale, Some(engines)).await
        }
        _ => anyhow::bail!("unknown command: see the head of dibs/examples/figures/main.rs"),
    }
}
