//! Sends buyers, by a schedule that waits for no answer.
//!
//! Latencies count from the moment that the schedule names, not from when a request was sent, so
//! that a slow server is charged for everybody whom it keeps waiting.

mod arguments;
mod arrivals;
mod buyer;
mod command;
mod device;
mod display;
mod follow;
mod identity;
mod market;
mod plan;
mod progress;
mod report;
mod send;
mod tally;
mod timeline;

pub use arguments::Arguments;
pub use arrivals::Arrivals;
pub use command::run;
pub use identity::{Identity, Signer, Vouched};
pub use plan::{BadSetting, Behaviour, Door, Mix, Plan, Share};
pub use progress::{Progress, Standing};
pub use send::send;
pub use tally::{LATE, Latencies, Tally, WAYS};
pub use timeline::{Slice, Timeline};
