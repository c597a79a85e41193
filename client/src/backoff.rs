//! How long to wait before asking again, spread at random so that a crowd does not come back as
//! one.

use std::time::Duration;

use crate::error::Error;

/// The longest pause of a client's own choice.
const LONGEST: Duration = Duration::from_secs(20);

/// The longest pause that a server is obeyed for.
const OBEYED: Duration = Duration::from_secs(120);

const SHORTEST: Duration = Duration::from_millis(500);

/// The pause before try `n`.
pub fn backoff(n: u32) -> Duration {
    let spread = SHORTEST.saturating_mul(1 << n.min(10)).min(LONGEST);
    (SHORTEST + spread.mul_f64(rand::random_range(0.0..1.0))).min(LONGEST)
}

/// The pause after a failure: what the server asked for and a little more, else the backoff.
pub fn pause_after(error: &Error, n: u32) -> Duration {
    match error.retry_after() {
        Some(asked) => asked.min(OBEYED).mul_f64(rand::random_range(1.0..1.5)),
        None => backoff(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_are_never_below_half_a_second() {
        for n in 0..100 {
            let pause = backoff(n);
            assert!((SHORTEST..=LONGEST).contains(&pause), "{n}: {pause:?}");
        }
        assert!(backoff(0) <= SHORTEST * 2);
    }

    #[test]
    fn the_server_is_obeyed_and_a_server_that_asks_for_too_much_up_to_a_bound() {
        let busy = |secs| Error::NotKnown {
            why: "busy",
            detail: String::new(),
            retry_after: Some(Duration::from_secs(secs)),
        };
        let pause = pause_after(&busy(2), 9);
        assert!((Duration::from_secs(2)..=Duration::from_secs(3)).contains(&pause), "{pause:?}");
        assert!(pause_after(&busy(u64::MAX), 0) <= OBEYED * 3 / 2);
    }
}
