//! The schedule waits for nobody, and nobody's wait is left out.

use std::collections::HashSet;
use std::time::Duration;

use crowd::history::{Did, Reader, Recorder};
use crowd::load::{Arrivals, Behaviour, Door, Mix, Plan, Progress, Tally, send};
use sale::id::SaleId;
use sale::units::Units;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;
use crate::held_back::HeldBack;

const BUYERS: usize = 200;
const WITHIN: Duration = Duration::from_millis(300);

fn plan(server: &HeldBack, most_open: usize) -> Plan {
    let address = server.address.clone();
    Plan {
        doors: vec![Door { api: address.clone(), push: address }],
        ca: None,
        sales: vec![SaleId::new("slow").unwrap()],
        arrivals: Arrivals::Herd { buyers: BUYERS, within: WITHIN },
        mix: Mix::default(),
        behaviour: Behaviour::PLAIN,
        most_units: Units::ONE,
        identity: "hs256:a secret of tests with 32 bytes or more".parse().unwrap(),
        patience: PATIENCE,
        most_open,
        seed: 7,
        ledger: None,
    }
}

/// Sends a plan, and also answers what buyers did.
async fn sent(plan: &Plan, cancel: &CancellationToken) -> (Tally, Vec<Did>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.jsonl");
    let (recorder, writing) = Recorder::create(&path).await.unwrap();
    let progress = Progress::default();
    let sending = send(plan, &recorder, &progress, cancel);
    let tally = timeout(PATIENCE, sending).await.expect("it should have ended").unwrap();
    drop(recorder);
    writing.end().await.unwrap();
    let mut reader = Reader::open(&path).await.unwrap();
    let mut did = Vec::new();
    while let Some(event) = reader.next().await.unwrap() {
        did.push(event.did);
    }
    (tally, did)
}

#[tokio::test]
async fn buyers_come_at_their_moments_though_nobody_before_them_has_an_answer() {
    let server = HeldBack::until(BUYERS).await;
    let (tally, did) = sent(&plan(&server, BUYERS), &CancellationToken::new()).await;
    assert_eq!(tally.refused, [("/problems/sold-out".to_owned(), BUYERS as u64)].into());
    assert_eq!((tally.claims, tally.shed), (BUYERS as u64, 0));
    let first_answer = did.iter().position(|did| matches!(did, Did::Refused { .. })).unwrap();
    let claims = did.iter().filter(|did| matches!(did, Did::Claim { .. })).count();
    assert_eq!((claims, first_answer), (BUYERS, BUYERS), "all claims, then all answers");
}

#[tokio::test]
async fn who_came_first_is_charged_for_the_whole_time_that_he_was_kept_waiting() {
    let server = HeldBack::until(BUYERS).await;
    let plan = plan(&server, BUYERS);
    let (tally, _) = sent(&plan, &CancellationToken::new()).await;
    // No answer comes before the last buyer has.
    let last = plan.arrivals.at(BUYERS - 1);
    assert!(tally.answered.max() >= last, "{:?}", tally.answered.max());
    let half = plan.arrivals.at(BUYERS - 1) - plan.arrivals.at(BUYERS / 2);
    let median = tally.answered.percentile(50.0);
    assert!(median >= half.mul_f64(0.99), "{median:?}");
}

#[tokio::test]
async fn who_comes_when_too_many_are_open_is_not_sent_and_counted() {
    const MOST: usize = 3;
    // Answered by the cut alone.
    let server = HeldBack::until(BUYERS).await;
    let plan = plan(&server, MOST);
    let progress = Progress::default();
    let cancel = CancellationToken::new();
    let folder = TempDir::new().unwrap();
    let recording = Recorder::create(&folder.path().join("history.jsonl")).await;
    let (recorder, _writing) = recording.unwrap();
    let cut = async {
        while progress.standing().shed < (BUYERS - MOST) as u64 || server.claims() < MOST {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(send(&plan, &recorder, &progress, &cancel), cut) };
    let (tally, ()) = timeout(PATIENCE, both).await.expect("it should have ended");
    let tally = tally.unwrap();
    assert_eq!((tally.scheduled, tally.shed), (BUYERS as u64, (BUYERS - MOST) as u64));
    assert_eq!((tally.cut_off, tally.claims), (MOST as u64, 0));
}

#[tokio::test]
async fn who_is_too_early_claims_again_when_it_opens_and_wants_something_new() {
    let server = HeldBack::not_open_for(BUYERS).await;
    let (tally, did) = sent(&plan(&server, BUYERS), &CancellationToken::new()).await;
    let refused = ["/problems/not-open", "/problems/sold-out"];
    assert_eq!(tally.refused, refused.map(|problem| (problem.to_owned(), BUYERS as u64)).into());
    let requests = did
        .iter()
        .filter_map(|did| if let Did::Claim { request, .. } = did { Some(request) } else { None });
    assert_eq!(requests.collect::<HashSet<_>>().len(), 2 * BUYERS, "each claim has its own");
}

#[tokio::test]
async fn who_has_no_answer_within_his_patience_is_recorded_and_who_is_cut_off_is_not() {
    // Answers nobody.
    let server = HeldBack::until(usize::MAX).await;
    let patient = plan(&server, BUYERS);
    let impatient = Plan { patience: Duration::from_secs(2), ..patient.clone() };
    let unanswered =
        |did: &[Did]| did.iter().filter(|did| matches!(did, Did::Unanswered { .. })).count();
    let (tally, did) = sent(&impatient, &CancellationToken::new()).await;
    assert_eq!((tally.unanswered, unanswered(&did)), (BUYERS as u64, BUYERS));
    let cancel = CancellationToken::new();
    let before = server.claims();
    let cut = async {
        while server.claims() < before + BUYERS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let ((tally, did), ()) = tokio::join!(sent(&patient, &cancel), cut);
    assert_eq!((tally.cut_off, unanswered(&did)), (BUYERS as u64, 0));
}

#[tokio::test]
async fn one_seed_sends_one_crowd() {
    let claims = async |seed| {
        let server = HeldBack::until(BUYERS).await;
        let plan = Plan { seed, most_units: Units::new(2).unwrap(), ..plan(&server, BUYERS) };
        let (_, did) = sent(&plan, &CancellationToken::new()).await;
        let mut claims: Vec<_> = did
            .into_iter()
            .filter_map(|did| match did {
                Did::Claim { request, units, .. } => Some((request, units)),
                Did::Granted { .. }
                | Did::Refused { .. }
                | Did::Unsure { .. }
                | Did::Unanswered { .. }
                | Did::Saw { .. }
                | Did::NotFound { .. }
                | Did::Foreign { .. }
                | Did::Looked { .. }
                | Did::GaveUp { .. } => None,
            })
            .collect();
        claims.sort();
        claims
    };
    let first = claims(1).await;
    assert_eq!(first, claims(1).await);
    assert_ne!(first, claims(2).await);
}
