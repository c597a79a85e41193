//! The gate's clock as this process knows it without a call.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sale::time::Timestamp;

/// The time of Redis as it was last seen in a reply, and how long ago that was. In a cluster it is
/// that of whichever master answered last: it may step by what their clocks are apart, which is
/// taken to be little. Windows are another matter: the master of a round decides them alone.
pub(super) struct Clock(Mutex<(Timestamp, Instant)>);

impl Clock {
    pub(super) fn new(seen: Timestamp) -> Self {
        Self(Mutex::new((seen, Instant::now())))
    }

    /// A reply that was just read says this.
    pub(super) fn saw(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, Instant::now());
    }

    pub(super) fn now(&self) -> Timestamp {
        let (seen, at) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.plus(at.elapsed())
    }
}
