//! The wall clock, read in one place.

use sale::time::Timestamp;

/// The present time of this machine.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
        .expect("this machine's clock stands between 1970 and 9999")
}
