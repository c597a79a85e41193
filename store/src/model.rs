//! Every interleaving of a few buyers, two workers and their faults, on the real local gate and
//! the real decisions of the ledger.
//!
//! The state of the model names a gate and a ledger by numbers, and what a call makes of a gate
//! or a ledger is found once, by the product's own code ([`memo`]). What may happen is in
//! [`steps`], what must hold in [`judge`]: also that from every state in which no more faults
//! come all of it comes to rest, with a final result for everybody who holds a token.
//!
//! Time stands still here. What the worker does between two calls, and the log, are modelled;
//! the worker's own tests let the real ones run by random schedules.

mod judge;
mod memo;
mod runs;
mod seams;
mod state;
mod steps;
