//! What every gate must do, whatever engine it runs on. Each case works on a round of its own,
//! so that all of them can share one engine.

pub(crate) mod grants;
pub(crate) mod outbox;
pub(crate) mod recovering;
pub(crate) mod rounds;
pub(crate) mod settling;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, RoundId, SaleId, Salt, Shard, TicketId};
use sale::status::Move;
use sale::terms::{Terms, Window};
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::{Bounds, Decided, Figures, Gate, GateError, Grants, Settlement, Slot, Snapshot};

/// Hands every case to the runner of an engine, each with the bounds that its gate is to have.
macro_rules! every_case {
    ($run:ident) => {
        $run! { store::gate::Bounds::default() =>
            grants:
                a_grant_is_stock_record_and_outbox_in_one,
                a_call_without_claims_changes_nothing,
                a_retry_finds_its_ticket,
                claims_of_one_call_see_each_other,
                the_same_buyer_twice_takes_one_unit_of_one,
                refusals_have_answers_of_their_own,
                the_limit_counts_units_over_several_requests,
                after_eight_tickets_a_buyer_gets_no_more,
                a_crowd_gets_exactly_the_stock,
                of_two_hundred_buyers_one_gets_the_last_unit,
                a_thousand_repeats_of_one_buyer_take_one_unit,
                any_text_names_a_buyer,
                the_clock_of_the_call_decides_the_window,
                a_read_by_another_buyer_finds_nothing,
                a_probe_changes_nothing;
            settling:
                a_second_rejection_returns_nothing,
                a_later_release_gives_the_units_back_once,
                states_of_one_ticket_in_one_call_are_taken_in_turn,
                a_forgotten_ticket_takes_its_units_as_a_debt,
                a_forgotten_ticket_that_was_rejected_stands_and_takes_nothing,
                a_full_record_still_takes_what_the_ledger_says,
                every_write_counts_up_and_a_repeat_does_not,
                work_of_all_kinds_at_once_conserves_units;
            outbox:
                the_outbox_keeps_what_is_undecided,
                a_batch_leaves_the_outbox_by_its_own_id_only;
            rounds:
                a_round_that_is_not_loaded_says_so,
                terms_move_forward_only_and_never_touch_stock,
                restock_applies_once_a_key,
                stock_near_its_highest_is_counted_exactly,
                warming_never_overwrites_a_live_round,
                of_several_warmers_at_once_one_wins,
                a_late_snapshot_changes_nothing_while_claims_go_on,
                a_large_round_is_loaded_whole,
                a_retired_round_is_gone,
                a_retired_round_can_be_loaded_again_and_remembers_nothing,
                what_happens_to_a_round_touches_no_other;
            recovering:
                a_gate_that_is_behind_what_was_seen_refuses_and_is_frozen,
                a_gate_of_an_older_incarnation_refuses_and_is_frozen,
                what_a_rebuild_needs_is_not_refused,
                a_frozen_gate_refuses_and_its_outbox_is_due_at_once,
                a_gate_of_a_later_incarnation_is_not_frozen,
                a_gate_gives_way_only_if_frozen_drained_older_and_unmoved,
                the_gate_that_takes_the_place_has_nothing_of_the_old_one,
                of_several_that_rebuild_at_once_one_wins,
                calls_on_their_way_at_once_accuse_nobody;
        }
        $run! { contract::always_due() =>
            outbox:
                no_more_overdue_batches_are_handed_out_than_asked_for,
                a_batch_sent_again_is_the_batch_that_was_granted;
        }
        $run! { contract::short_steps() =>
            outbox:
                a_batch_is_handed_to_one_caller_a_step;
        }
        $run! { contract::room_for_two_orders() =>
            outbox:
                at_the_outboxs_bound_nothing_more_is_granted_until_verdicts_come;
        }
    };
}

/// Every batch is overdue all the time.
pub(crate) fn always_due() -> Bounds {
    let resend_most = Duration::from_secs(3600);
    Bounds { resend_after: Duration::ZERO, resend_most, ..Bounds::default() }
}

/// The first step between two sends under [`short_steps`].
pub(crate) const SHORT_STEP: Duration = Duration::from_millis(50);

/// Batches are overdue soon, and each time later.
pub(crate) fn short_steps() -> Bounds {
    let resend_most = Duration::from_secs(3600);
    Bounds { resend_after: SHORT_STEP, resend_most, ..Bounds::default() }
}

/// The outbox is full soon.
pub(crate) fn room_for_two_orders() -> Bounds {
    Bounds { outbox_most: 2, ..Bounds::default() }
}

/// A round of its own for one test.
#[derive(Clone)]
pub(crate) struct Round {
    pub(crate) gate: Gate,
    pub(crate) slot: Slot,
    pub(crate) stock: i64,
}

fn fresh_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn fresh_batch() -> BatchId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&fresh_number().to_be_bytes());
    BatchId(id)
}

pub(crate) fn snapshot(gate: &Gate, stock: i64, limit: u64) -> Snapshot {
    let round = RoundId(fresh_number());
    let now = gate.now();
    let window = Window::new(now, now.plus(Duration::from_secs(3600))).unwrap();
    let terms = Terms {
        sale: SaleId::new(&format!("sale-{round}")).unwrap(),
        round,
        limit: Units::new(limit).unwrap(),
        window,
        closed: false,
        version: 1,
    };
    Snapshot { terms, incarnation: 1, available: stock, tickets: vec![], restocks: vec![] }
}

impl Round {
    pub(crate) async fn warm(gate: &Gate, stock: i64, limit: u64) -> Self {
        let snapshot = snapshot(gate, stock, limit);
        let slot = Slot::first(snapshot.terms.round);
        assert!(gate.warm(snapshot, None).await.unwrap());
        Self { gate: gate.clone(), slot, stock }
    }

    pub(crate) fn claim(&self, buyer: &str, request: &str, units: u64) -> Claim {
        let buyer = BuyerId::new(buyer).unwrap();
        let request = RequestId::new(request).unwrap();
        let salt = Salt([1; 32]);
        let ticket = TicketId::derive(self.slot.round, Shard::FIRST, &salt, &buyer, &request);
        Claim { ticket, buyer, units: Units::new(units).unwrap() }
    }

    pub(crate) async fn grant(&self, claims: &[Claim]) -> Grants {
        self.gate.grant(self.slot, fresh_batch(), claims).await.unwrap()
    }

    /// Grants one claim that must be granted; the batch is left in the outbox.
    pub(crate) async fn granted(&self, claim: &Claim) -> TicketState {
        granted(&self.grant(std::slice::from_ref(claim)).await.answers[0])
    }

    pub(crate) async fn settle(&self, settlements: &[Settlement], decided: &[Decided]) {
        self.gate.settle(self.slot, settlements, decided).await.unwrap();
    }

    pub(crate) async fn read(&self, claim: &Claim) -> Option<TicketState> {
        let tickets = [(claim.ticket, claim.buyer.clone())];
        self.gate.read(self.slot, &tickets).await.unwrap()[0]
    }

    pub(crate) async fn figures(&self) -> Figures {
        self.gate.figures(self.slot).await.unwrap()
    }

    /// Units are conserved, at this quiet moment.
    pub(crate) async fn audit(&self) -> Figures {
        let figures = self.figures().await;
        let held = i64::try_from(figures.held + figures.sold).unwrap();
        assert_eq!(figures.available + held, self.stock, "{figures:?}");
        figures
    }

    pub(crate) fn verdict(&self, claim: &Claim, state: &TicketState, by: Move) -> Settlement {
        let at = state.granted_at.plus(Duration::from_millis(5));
        let state = state.after(by, at).unwrap();
        Settlement { ticket: claim.ticket, buyer: claim.buyer.clone(), state }
    }
}

pub(crate) fn granted(answer: &Answer) -> TicketState {
    match answer {
        Answer::Granted(state) => *state,
        other @ (Answer::Standing(_)
        | Answer::UnitsDiffer(_)
        | Answer::NotOpen
        | Answer::Closed
        | Answer::LimitReached(_)
        | Answer::SoldOut
        | Answer::TooFewLeft(_)
        | Answer::OutboxFull) => panic!("{other:?} where a grant was due"),
    }
}

fn is_not_warm<T: std::fmt::Debug>(result: &Result<T, GateError>, slot: Slot) {
    assert!(matches!(result, Err(GateError::NotWarm(id)) if *id == slot.round), "{result:?}");
}
