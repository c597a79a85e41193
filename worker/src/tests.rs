//! The worker on real engines in a temporary folder.

pub(crate) mod bench;
mod orders;
mod outages;
mod recovering;
mod rounds;
mod set_aside;
mod simulation;
mod together;
