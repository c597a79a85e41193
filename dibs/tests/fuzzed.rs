//! The fuzz targets of `fuzz/` on their seeds, and on some thousand mutations of them that are the
//! same each time. It follows no coverage, as `./test fuzz` does, and needs no build of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/src/answer.rs"]
mod answer;
#[path = "../../fuzz/src/config.rs"]
mod config;
#[path = "../../fuzz/src/frame.rs"]
mod frame;
#[path = "../../fuzz/src/id.rs"]
mod id;
#[path = "../../fuzz/src/jwt.rs"]
mod jwt;
#[path = "../../fuzz/src/message.rs"]
mod message;
#[path = "../../fuzz/src/request.rs"]
mod request;
#[path = "../../fuzz/src/shop.rs"]
mod shop;
#[path = "../../fuzz/src/socket.rs"]
mod socket;
#[path = "../../fuzz/src/token.rs"]
mod token;

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// One input. Its bytes are told where the target panics.
struct Input<'a>(&'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// Runs a target on all its seeds, and on so many mutations of each.
fn withstands(target: &str, run: fn(&[u8]), mutations: u32) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let seeds = seeds(&fuzz.join("seeds").join(target));
    let words = words(&fuzz.join("words.dict"));
    assert!(!seeds.is_empty() && !words.is_empty());
    let try_on = |data: &[u8]| {
        let input = Input(data);
        run(input.0);
    };
    seeds.iter().for_each(|seed| try_on(seed));
    let mut rng = StdRng::seed_from_u64(6455);
    for seed in &seeds {
        for _ in 0..mutations {
            let mut data = seed.clone();
            for _ in 0..rng.random_range(1..=4) {
                mutate(&mut data, &seeds, &words, &mut rng);
            }
            try_on(&data);
        }
    }
}

/// The files of a folder, always in the same order.
fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The words of a dictionary as libFuzzer reads it.
fn words(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file).unwrap();
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(|word| word.replace("\\\"", "\"").replace("\\\\", "\\").into_bytes()).collect()
}

fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>], rng: &mut StdRng) {
    let at = rng.random_range(0..=data.len());
    let end = rng.random_range(at..=data.len());
    match rng.random_range(0..7) {
        0 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
        0 | 1 => data.insert(at, rng.random()),
        2 => data.truncate(at),
        3 => drop(data.drain(at..end)),
        4 => {
            let piece = data[at..end.min(at + 64)].to_vec();
            data.splice(at..at, piece);
        }
        5 => {
            let word = &words[rng.random_range(0..words.len())];
            data.splice(at..at, word.iter().copied());
        }
        _ => {
            let other = &seeds[rng.random_range(0..seeds.len())];
            let from = rng.random_range(0..=other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
}

#[test]
fn tokens() {
    withstands("token", token::run, 500);
}

#[test]
fn frames_of_the_websocket() {
    withstands("frame", frame::run, 500);
}

#[test]
fn messages_of_the_log() {
    withstands("message", message::run, 500);
}

#[test]
fn ids_and_times() {
    withstands("id", id::run, 500);
}

#[test]
fn jwts_and_their_keys() {
    withstands("jwt", jwt::run, 100);
}

#[test]
fn configurations() {
    withstands("config", config::run, 200);
}

#[test]
fn requests_to_the_api() {
    withstands("request", request::run, 30);
}

#[test]
fn bytes_on_a_websocket() {
    withstands("socket", socket::run, 50);
}

#[test]
fn answers_of_a_server() {
    withstands("answer", answer::run, 20);
}
