//! Measures parts of Dibs on real engines, each beside what bounds it, in alternating rounds.
//! `bench/run` calls it; each command prints rows of a table.
//!
//! `engines batcher REDIS_URL RUNS`
//! `engines memory REDIS_URL`
//! `engines ledger MYSQL_URL RUNS STANDING`

mod batcher;
mod figures;
mod gate;
mod ledger;
mod memory;
mod shop;
mod statements;

use anyhow::Context as _;
// The same allocator.
use dibs as _;

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
        _ => None.context("usage: see the head of dibs/examples/engines/main.rs"),
    }
}
