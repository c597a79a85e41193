//! The steps of a random history. What a step refers to is picked from what there is, so that
//! every history can be played, and every part of one too.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sale::status::{Reason, Status};

/// One call, or a change of what the next calls meet.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Several claims in one call.
    Claim(Vec<Ask>),
    /// States of tickets, and batches that are decided.
    Settle { states: Vec<Verdict>, decided: Vec<Named> },
    /// A stock change under one of a few keys.
    Restock { key: u8, change: i32 },
    /// Terms, newer or not, with a window before, around or after the gate's clock.
    Terms { newer: bool, window: (i64, i64), closed: bool, limit: u64 },
    /// Tickets by their number, some of them with another one's buyer.
    Read(Vec<(Index, bool)>),
    /// Overdue batches.
    Resend(usize),
    /// The round goes.
    Retire,
    /// The round comes, as it was when it went; a live one stays.
    Warm { available: i64 },
    /// The path of a grant is tried.
    Probe,
    /// The gate grants no more, if it is of this incarnation or an older one.
    Freeze { older: bool },
    /// The ledger says that the gate has come so far beyond where it is.
    Expect { incarnations: u32, writes: u64 },
    /// The next incarnation comes over what is there: a frozen gate is drained before or not,
    /// and named by the sequence it was found at or by another one.
    Rebuild { available: i64, drained: bool, unmoved: bool },
}

/// One claim of a few buyers, under a few request ids.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) buyer: u8,
    pub(crate) request: u8,
    pub(crate) units: u64,
}

/// A state of a ticket that is known, or of one that the gate forgot.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) ticket: Result<Index, Ask>,
    pub(crate) status: Status,
    pub(crate) version: u32,
}

/// A batch that was granted, under its own id or another one; `again` if it was named before.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) batch: Index,
    pub(crate) again: bool,
    pub(crate) by_its_own_id: bool,
}

pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 100..300).prop_map(|mut steps| {
        steps.insert(0, Step::Warm { available: 40 });
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => vec(ask(), 0..8).prop_map(Step::Claim),
        8 => (vec(verdict(), 0..6), vec(named(), 0..4))
            .prop_map(|(states, decided)| Step::Settle { states, decided }),
        3 => (0..12_u8, change()).prop_map(|(key, change)| Step::Restock { key, change }),
        1 => (any::<bool>(), window(), prop::bool::weighted(0.1), limit())
            .prop_map(|(newer, window, closed, limit)| Step::Terms { newer, window, closed, limit }),
        3 => vec((any::<Index>(), prop::bool::weighted(0.2)), 0..6).prop_map(Step::Read),
        2 => prop_oneof![0..4_usize, Just(1_000)].prop_map(Step::Resend),
        1 => prop_oneof![1 => Just(true), 6 => Just(false)].prop_map(|retire| {
            if retire { Step::Retire } else { Step::Probe }
        }),
        2 => stock().prop_map(|available| Step::Warm { available }),
        1 => trouble(),
        4 => (stock(), prop::bool::weighted(0.8), prop::bool::weighted(0.8)).prop_map(
            |(available, drained, unmoved)| Step::Rebuild { available, drained, unmoved },
        ),
    ]
}

fn trouble() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(|older| Step::Freeze { older }),
        3 => Just(Step::Expect { incarnations: 0, writes: 0 }),
        1 => (0..2_u32, 0..3_u64)
            .prop_map(|(incarnations, writes)| Step::Expect { incarnations, writes }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let units = prop_oneof![6 => Just(1), 3 => 1..4_u64, 1 => Just(64)];
    (0..40_u8, 0..12_u8, units).prop_map(|(buyer, request, units)| Ask {
        // Some buyers come often, so that records fill up.
        buyer: if buyer < 20 { buyer % 3 } else { buyer },
        request,
        units,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let ticket = prop_oneof![
        8 => any::<Index>().prop_map(Ok),
        1 => ask().prop_map(Err),
    ];
    let status = prop_oneof![
        1 => Just(Status::Pending),
        3 => Just(Status::Confirmed),
        3 => prop::sample::select(&Reason::ALL[..]).prop_map(Status::Rejected),
    ];
    let version = prop_oneof![8 => 1..4_u32, 1 => Just(70_000), 1 => Just(u32::MAX)];
    (ticket, status, version).prop_map(|(ticket, status, version)| Verdict {
        ticket,
        status,
        version,
    })
}

fn named() -> impl Strategy<Value = Named> {
    (any::<Index>(), prop::bool::weighted(0.2), prop::bool::weighted(0.85))
        .prop_map(|(batch, again, by_its_own_id)| Named { batch, again, by_its_own_id })
}

fn change() -> impl Strategy<Value = i32> {
    let small = prop_oneof![1..20_i32, -20..0_i32];
    prop_oneof![8 => small, 1 => Just(1_000_000), 1 => Just(-i32::MAX)]
}

/// Hours from the gate's clock to opening and to closing: it is far from both, so that two
/// gates are on the same side of them.
fn window() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![6 => Just((-1, 1)), 1 => Just((1, 2)), 1 => Just((-2, -1))]
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..6_u64, 1 => Just(64)]
}

fn stock() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..60_i64, 1 => Just(i64::from(i32::MAX)), 1 => -5..0_i64]
}
