//! The domain of Dibs: sales, claims, tickets, tokens, the status machine, orders, outcomes and
//! the frames of the WebSocket protocol.
//!
//! Nothing here does IO, awaits, or reads a clock: time is an argument.

pub mod decide;
pub mod fence;
pub mod frame;
pub mod grant;
pub mod id;
pub mod order;
pub mod outcome;
pub mod record;
pub mod status;
pub mod terms;
pub mod ticket;
pub mod time;
pub mod token;
pub mod units;
