//! Simulated buyers that load Dibs, break it and judge it from outside.
//!
//! `load` sends buyers, `history` keeps what they sent and saw, `books` what the server has written
//! in the end, and `check` decides whether the two agree. `chaos` breaks a deployment under such a
//! load, `planted` shows that the checker can fail, `bench` measures.

pub mod bench;
pub mod books;
pub mod chaos;
pub mod check;
pub mod history;
pub mod load;
pub mod planted;
