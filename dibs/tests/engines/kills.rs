//! Processes that are killed or asked to end while a crowd buys.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::RngExt as _;
use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::books::check_all;
use crate::deployment::{Crew, Deployment};
use crate::dice::dice;
use crate::harness::claimer::{Claim, Owed};
use crate::install::Sql;
use crate::market::{Crowd, Market, Stall};

const STALLS: [Stall; 3] = [Stall::Plenty, Stall::Several, Stall::Scarce];

/// Claims at one time.
const BURST: usize = 64;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn processes_of_every_role_that_are_killed_under_load_lose_no_answer() {
    let (seed, mut dice) = dice();
    let mut deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let (market, crowd) = open(&deployment, seed).await;
    for _ in 0..2 {
        let Deployment { apis, workers, pushes, .. } = &mut deployment;
        for role in [apis, workers, pushes] {
            market.further_answers(dice.random_range(50..300)).await;
            let killed = role.remove(0);
            role.push(killed.crash_and_restart().await);
        }
    }
    market.further_answers(100).await;
    check(&deployment, crowd).await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_crash_of_an_api_right_after_an_answer_leaves_no_grant_without_a_verdict() {
    let (_, mut dice) = dice();
    let mut deployment = Deployment::start(Sql::MySql, Crew { api: 2, worker: 1, push: 1 }).await;
    deployment.api().open_sale("cups", 100_000, 1).await;
    let (mut owed, mut unanswered) = (Vec::new(), Vec::new());
    for kth in [1, dice.random_range(2..BURST), BURST] {
        eprintln!("kill after answer {kth} of {BURST}");
        let claims = (0..BURST).map(|n| Claim::of("cups", &format!("{kth}-{n}"))).collect();
        burst(&mut deployment, kth, claims, &mut owed, &mut unanswered).await;
        // Nobody has asked again: whoever stands in the gate has an order all the same.
        deployment.api().audit("cups", &owed).await;
    }
    for claim in &unanswered {
        owed.push(claim.win(deployment.api()).await);
    }
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!(audit.tickets.len(), owed.len(), "one ticket a claim, and no other");
    assert_eq!(audit.rejected, 0);
    deployment.check_figures("cups").await;
}

/// Sends all claims at once to one api, kills it at the `kth` grant and starts it again.
async fn burst(
    deployment: &mut Deployment,
    kth: usize,
    claims: Vec<Claim>,
    owed: &mut Vec<Owed>,
    unanswered: &mut Vec<Claim>,
) {
    let api = deployment.apis.remove(0);
    let (http, base) = (api.http.clone(), api.base.clone());
    let mut dying = Some(api);
    let send = |claim: Claim| {
        let (http, base) = (&http, &base);
        async move { (claim.send_to(http, base).await, claim) }
    };
    let mut answers: FuturesUnordered<_> = claims.into_iter().map(send).collect();
    let mut granted = 0;
    while let Some((answer, claim)) = answers.next().await {
        let Ok(answer) = answer else {
            unanswered.push(claim);
            continue;
        };
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        owed.extend(claim.owed(&answer));
        granted += 1;
        if granted == kth
            && let Some(api) = dying.take()
        {
            deployment.apis.push(api.crash_and_restart().await);
        }
    }
    assert!(dying.is_none(), "so many were granted");
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn processes_of_every_role_that_are_asked_to_end_under_load_fail_no_claim_on_the_others() {
    let (seed, mut dice) = dice();
    let mut deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let (market, crowd) = open(&deployment, seed).await;
    deployment.api().open_sale("steady", 1_000_000, 1).await;
    let done = CancellationToken::new();
    let mut steady = JoinSet::new();
    steady.spawn(claim_steadily(deployment.apis[1].base.clone(), done.clone()));

    let Deployment { apis, workers, pushes, .. } = &mut deployment;
    for role in [apis, workers, pushes] {
        market.further_answers(dice.random_range(50..200)).await;
        let mut ended = role.remove(0);
        ended.signal(Signal::TERM);
        assert_eq!(ended.ended().await.code(), Some(0), "{}", ended.log());
        market.further_answers(50).await;
        role.push(ended.start_again().await);
    }
    market.further_answers(50).await;
    done.cancel();
    let owed = steady.join_next().await.unwrap().unwrap();
    check(&deployment, crowd).await;
    let audit = deployment.api().audit("steady", &owed).await;
    assert_eq!((audit.tickets.len(), audit.rejected), (owed.len(), 0));
}

/// A buyer after the other claims where nothing is restarted, and is granted every time.
async fn claim_steadily(base: String, done: CancellationToken) -> Vec<Owed> {
    let http = reqwest::Client::new();
    let mut owed = Vec::new();
    while !done.is_cancelled() {
        let claim = Claim::of("steady", &format!("buyer-{}", owed.len()));
        let answer = claim.send_to(&http, &base).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        owed.extend(claim.owed(&answer));
    }
    owed
}

/// A crowd that goes to whichever process answers.
async fn open(deployment: &Deployment, seed: u64) -> (std::sync::Arc<Market>, Crowd) {
    let claims: Vec<_> = deployment.apis.iter().collect();
    let reads: Vec<_> = deployment.pushes.iter().collect();
    let market = Market::open_at(&claims, &reads, &STALLS).await;
    let crowd = Crowd::gather(&market, 24, seed);
    (market, crowd)
}

/// Lets everybody finish, and checks all that they were told.
async fn check(deployment: &Deployment, crowd: Crowd) {
    let memory = crowd.leave().await;
    deployment.until_ready().await;
    for stall in STALLS {
        check_all(deployment.api(), stall, &memory).await;
        deployment.check_figures(stall.id()).await;
    }
    let scarce = deployment.api().sale(Stall::Scarce.id()).await;
    assert_eq!(scarce["sold"], Stall::Scarce.stock(), "no claim kept a unit back");
}
