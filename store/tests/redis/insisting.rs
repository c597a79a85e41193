//! Buyers who ask again until they have an answer, whatever happens to the engine.

use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::ticket::TicketState;
use store::gate::GateError;
use tokio::task::JoinSet;

use super::contract::{Round, fresh_batch};

/// Between two tries: those who wait leave the engine time to come back.
const PACE: Duration = Duration::from_millis(5);

/// Asks until the server answers again; a failure guard ends it.
pub(crate) async fn until_answered<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, GateError>>,
{
    let asking = async {
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(GateError::Unavailable(_) | GateError::NotKnown) => {
                    tokio::time::sleep(PACE).await;
                }
                Err(error @ (GateError::NotWarm(_) | GateError::Recovering(_))) => {
                    panic!("{error}")
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it comes back")
}

/// Asks with the same claim until there is an answer, as a buyer would.
pub(crate) async fn insist(round: Round, buyer: String) -> TicketState {
    let claims = [round.claim(&buyer, "", 1)];
    let call = || round.gate.grant(round.slot, fresh_batch(), &claims);
    match &until_answered(call).await.answers[0] {
        Answer::Granted(state) | Answer::Standing(state) => *state,
        other @ (Answer::UnitsDiffer(_)
        | Answer::NotOpen
        | Answer::Closed
        | Answer::LimitReached(_)
        | Answer::SoldOut
        | Answer::TooFewLeft(_)
        | Answer::OutboxFull) => panic!("{other:?} where there is enough for all"),
    }
}

/// Four hundred buyers who insist, eight at a time.
pub(crate) fn insisting(round: &Round) -> JoinSet<Vec<(Claim, TicketState)>> {
    let mut buyers = JoinSet::new();
    for worker in 0..8 {
        let round = round.clone();
        buyers.spawn(async move {
            let mut tickets = Vec::new();
            for n in 0..50 {
                let buyer = format!("b{worker}-{n}");
                tickets.push((round.claim(&buyer, "", 1), insist(round.clone(), buyer).await));
            }
            tickets
        });
    }
    buyers
}

/// Each of them has one ticket, and it is the one that he was told of.
pub(crate) async fn each_has_his_own(round: &Round, buyers: JoinSet<Vec<(Claim, TicketState)>>) {
    let tickets = buyers.join_all().await.concat();
    let figures = round.audit().await;
    assert_eq!((tickets.len(), figures.held, figures.undecided), (400, 400, 400));
    for (claim, state) in tickets {
        assert_eq!(round.read(&claim).await, Some(state));
    }
}
