//! What goes on while something breaks.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use crate::books::{check_all, check_tickets};
use crate::deployment::Deployment;
use crate::dice::dice;
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::market::{Crowd, Market, Stall};
use crate::memory::Memory;
use crate::merchant::{Change, Merchant, check_changes};

const STALLS: [Stall; 4] = [Stall::Plenty, Stall::Several, Stall::Scarce, Stall::Moving];

/// Buyers who come again and again.
const BUYERS: u64 = 24;

/// Reads at one time.
const TOGETHER: usize = 16;

/// A crowd that buys at every api and watches at every push node, by all ways of watching, and
/// two operators who change the stock of one sale, each at both apis.
pub(crate) struct Load {
    market: Arc<Market>,
    crowd: Crowd,
    operators: JoinSet<Vec<Change>>,
    dice: StdRng,
}

impl Load {
    pub(crate) async fn begin(deployment: &Deployment) -> Self {
        Self::on(Self::market(deployment).await)
    }

    /// The same at a gate that is going to lose what it has acknowledged.
    pub(crate) async fn begin_at_forgetful_gate(deployment: &Deployment) -> Self {
        let market = Self::market(deployment).await;
        market.memory().forgetful = true;
        Self::on(market)
    }

    /// The same through a front door.
    pub(crate) async fn begin_behind(door: &str, deployment: &Deployment) -> Self {
        let doors = (vec![door.to_owned()], vec![door.to_owned()]);
        Self::on(Market::behind(doors, deployment.api(), &STALLS).await)
    }

    async fn market(deployment: &Deployment) -> Market {
        let bases = |servers: &[Server]| servers.iter().map(|server| server.base.clone()).collect();
        let doors = (bases(&deployment.apis), bases(&deployment.pushes));
        Market::behind(doors, deployment.api(), &STALLS).await
    }

    fn on(market: Market) -> Self {
        let (seed, dice) = dice();
        let market = Arc::new(market);
        let mut operators = JoinSet::new();
        operators.spawn(Merchant::new("more", 1, market.clone(), seed).trade());
        operators.spawn(Merchant::new("less", -1, market.clone(), seed + 1).trade());
        Self { crowd: Crowd::gather(&market, BUYERS, seed), market, operators, dice }
    }

    /// Waits until buyers and operators have got a drawn number of answers more.
    pub(crate) async fn goes_on(&mut self) {
        self.market.further_answers(self.dice.random_range(50..200)).await;
    }

    /// Lets everybody finish, and checks what they were told.
    pub(crate) async fn end(self, deployment: &Deployment) -> Told {
        let memory = self.crowd.leave().await;
        let changes = self.operators.join_all().await.into_iter().flatten().collect();
        let told = Told { memory, changes };
        told.check(deployment).await;
        told
    }
}

/// What buyers and operators were told under a load.
pub(crate) struct Told {
    pub(crate) memory: Memory,
    changes: Vec<Change>,
}

impl Told {
    /// Checks that all of it holds, and that gate and ledger agree.
    pub(crate) async fn check(&self, deployment: &Deployment) {
        deployment.until_ready().await;
        let api = deployment.api();
        for stall in STALLS {
            if self.memory.forgetful {
                until_final(api, &owed_of(stall, &self.memory)).await;
                check_tickets(api, stall, &self.memory).await;
            } else {
                check_all(api, stall, &self.memory).await;
            }
            deployment.check_figures(stall.id()).await;
        }
        until_reported_equal(api).await;
        let applied = check_changes(api, &self.changes).await;
        let moving = api.sale(Stall::Moving.id()).await;
        assert_eq!(moving["stock"].as_i64(), Some(i64::from(Stall::Moving.stock()) + applied));
    }
}

/// Waits until the server itself says of every round that gate and ledger agree.
async fn until_reported_equal(api: &Server) {
    eventually("gate and ledger are reported equal", async || {
        let (_, report) = api.admin(Method::GET, "rounds", None).await;
        let mut rounds = report["rounds"].as_array()?.iter();
        rounds.all(|round| round["state"] == "live" && round["agree"] == true).then_some(())
    })
    .await;
}

/// What the server owes the buyers of a stall.
fn owed_of(stall: Stall, memory: &Memory) -> Vec<Owed> {
    let told = memory.told.values().filter(|told| told.claim.sale == stall.id());
    told.map(|told| Owed {
        id: told.id.clone(),
        token: told.token.clone(),
        buyer: told.claim.buyer.clone(),
        request: told.claim.request.clone(),
        units: told.claim.units,
    })
    .collect()
}

/// Whoever holds a token asks with it until he hears his result.
pub(crate) async fn until_final(api: &Server, owed: &[Owed]) {
    stream::iter(owed)
        .for_each_concurrent(TOGETHER, |owed| async {
            api.result(owed).await;
        })
        .await;
}

/// So many buyers of this name claim a unit of the sale `cups` at once, at both apis, and again
/// until each has his ticket.
pub(crate) async fn win(deployment: &Deployment, name: &str, buyers: usize) -> Vec<Owed> {
    let wins = deployment.apis.iter().cycle().take(buyers).enumerate().map(async |(n, api)| {
        let claim = Claim::of("cups", &format!("{name}-{n}"));
        eventually("he has a ticket", async || claim.owed(&claim.send(api).await.ok()?)).await
    });
    join_all(wins).await
}

/// The same, until each has his ticket or is told that nothing is left.
pub(crate) async fn win_what_is_left(
    deployment: &Deployment,
    name: &str,
    buyers: usize,
) -> Vec<Owed> {
    let claims = deployment.apis.iter().cycle().take(buyers).enumerate().map(async |(n, api)| {
        let claim = Claim::of("cups", &format!("{name}-{n}"));
        eventually("he is answered", async || {
            let answer = claim.send(api).await.ok()?;
            let refused = answer.body["type"] == "/problems/sold-out";
            assert!(refused || answer.status != StatusCode::CONFLICT, "{answer:?}");
            (refused || answer.status.is_success()).then(|| claim.owed(&answer))
        })
        .await
    });
    join_all(claims).await.into_iter().flatten().collect()
}
