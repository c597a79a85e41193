//! Random histories of a sale, by a seed: the worker's own parts on a real gate, log and ledger,
//! two of each, cut off at any await; the gate is killed, set back and emptied. Then two whole
//! workers bring it to rest.
//!
//! The model of `store` looks at every interleaving of the calls at the seams; here the calls are
//! made by the real worker and keeper.

mod cut;
mod judge;
mod world;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use world::{Then, World};

/// Steps of one history.
const STEPS: u32 = 50;

/// Histories of a plain test run.
const HISTORIES: u64 = 60;

/// Names the seeds to run, as `7` or `0..1000`.
const SEEDS: &str = "SIMULATION_SEEDS";

#[tokio::test]
async fn whatever_is_cut_off_or_lost_nothing_is_oversold_and_every_token_gets_its_result() {
    for seed in seeds() {
        println!("simulation with {SEEDS}={seed}");
        history(seed).await;
    }
}

async fn history(seed: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut world = World::new().await;
    // After a loss less is promised.
    let loses = random.random_bool(0.5);
    for _ in 0..STEPS {
        step(&mut world, &mut random, loses).await;
        world.check().await;
    }
    world.comes_to_rest().await;
}

async fn step(world: &mut World, random: &mut SmallRng, loses: bool) {
    let w = random.random_range(0..2);
    // As often as not it is done to its end.
    let cut = random.random_bool(0.3).then(|| random.random_range(1..40));
    match random.random_range(0..100) {
        0..20 => {
            let first = random.random_range(0..world.claims());
            let second = random.random_range(0..world.claims());
            let then = match random.random_range(0..10) {
                0..6 => Then::Published,
                6..9 => Then::CallerDies,
                _ => Then::GateDies,
            };
            world.claim(&[first, second], then, cut).await;
        }
        20..28 => world.resend().await,
        28..40 => world.take(w).await,
        40..52 => world.decide(w, cut).await,
        52..64 => world.settle(w, cut).await,
        64..74 => world.walk(w, cut).await,
        74..82 => world.rebuild(w, cut).await,
        82..86 => world.load(w, cut).await,
        86..90 => {
            let claim = random.random_range(0..world.claims());
            world.reread(claim).await;
        }
        90..92 => world.die(w).await,
        92..94 => world.poison(random.random_bool(0.5)).await,
        94..97 => world.kill_gate().await,
        97..98 => world.copy_gate(),
        98.. if !loses => {}
        _ => {
            let copied = random.random_bool(0.5);
            world.lose_gate(copied).await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "only a test reads it")]
fn seeds() -> std::ops::Range<u64> {
    let number = |text: &str| text.parse().expect("a seed is a number");
    match std::env::var(SEEDS) {
        Ok(seeds) => match seeds.split_once("..") {
            Some((first, end)) => number(first)..number(end),
            None => number(&seeds)..number(&seeds) + 1,
        },
        Err(_) => 0..HISTORIES,
    }
}
