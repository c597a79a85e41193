//! Stock that is moved up and down by two merchants, across crashes.

use rand::RngExt as _;
use tokio::task::JoinSet;

use crate::books::check_all;
use crate::dice::{address, dice};
use crate::harness::{Place, Server};
use crate::market::{Crowd, Market, Stall};
use crate::merchant::{Merchant, check_changes};

#[tokio::test]
async fn a_change_of_stock_that_a_crash_cuts_short_is_applied_once_when_it_is_asked_for_again() {
    let (seed, mut dice) = dice();
    let (listen, ops) = (address(), address());
    let settings = [("listen", listen.as_str()), ("ops_listen", ops.as_str())];
    let mut server = Server::start_in(Place::new(), &settings).await;
    let market = Market::open(&server, &[Stall::Moving]).await;
    let mut merchants = JoinSet::new();
    for (name, direction) in [("more", 1), ("less", -1), ("lesser", -1)] {
        let seed = seed.wrapping_add(merchants.len() as u64);
        merchants.spawn(Merchant::new(name, direction, market.clone(), seed).trade());
    }
    let crowd = Crowd::gather(&market, 4, seed);

    for _ in 0..4 {
        market.further_answers(dice.random_range(10..60)).await;
        server = server.crash_and_restart().await;
    }
    market.further_answers(10).await;
    let memory = crowd.leave().await;
    let changes: Vec<_> = merchants.join_all().await.into_iter().flatten().collect();

    check_all(&server, Stall::Moving, &memory).await;
    let applied = check_changes(&server, &changes).await;
    let moving = server.sale(Stall::Moving.id()).await;
    assert_eq!(moving["stock"].as_i64(), Some(i64::from(Stall::Moving.stock()) + applied));
    server.audit(Stall::Moving.id(), &[]).await;
}
