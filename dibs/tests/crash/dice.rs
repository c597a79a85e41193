//! What a run is given from outside: its seed and the number of its kills.

use std::sync::atomic::{AtomicU16, Ordering};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Draws by the seed of `SEED`, or by a new one, and prints it.
pub(crate) fn dice() -> (u64, StdRng) {
    let seed = number("SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("SEED={seed} {test}");
    (seed, StdRng::seed_from_u64(seed))
}

/// How often the server is killed in the long run.
pub(crate) fn kills() -> u64 {
    number("KILLS").unwrap_or(3)
}

#[expect(clippy::disallowed_methods, reason = "a test is told so by the command that runs it")]
fn number(key: &str) -> Option<u64> {
    let text = std::env::var(key).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{key}={text} is no number")))
}

/// An address that is free, and stays so while the server on it is down: a port below those
/// that systems give to outgoing connections.
pub(crate) fn address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % 8_000;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", 20_000 + (begin + next) % 8_000);
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
