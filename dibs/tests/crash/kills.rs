//! The long run: a crowd at five sales, and a server that is killed again and again.

use rand::RngExt as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::JoinSet;

use crate::books::check_all;
use crate::dice::{address, dice, kills};
use crate::harness::{Place, Server, eventually};
use crate::market::{Crowd, Market, Stall};
use crate::merchant::{Merchant, check_changes};

#[tokio::test]
async fn killed_at_any_moment_it_loses_no_answer_and_sells_no_unit_twice() {
    let (seed, mut dice) = dice();
    let (listen, ops) = (address(), address());
    let settings = [
        ("listen", listen.as_str()),
        ("ops_listen", ops.as_str()),
        ("checkpoint_after", "20000"),
        ("retire_after", "0s"),
        ("tend_every", "100ms"),
    ];
    let mut server = Server::start_in(Place::new(), &settings).await;
    let market = Market::open(&server, &Stall::ALL).await;
    let crowd = Crowd::gather(&market, 64, seed);
    let mut merchants = JoinSet::new();
    merchants.spawn(Merchant::new("more", 1, market.clone(), seed).trade());
    merchants.spawn(Merchant::new("less", -1, market.clone(), seed + 1).trade());

    for kill in 1..=kills() {
        if kill == kills().div_ceil(2) {
            close(&server, Stall::Closing).await;
        }
        let answers = dice.random_range(20..400);
        market.further_answers(answers).await;
        let twice = dice.random_bool(0.3);
        eprintln!("kill {kill} after {answers} answers{}", if twice { ", twice" } else { "" });
        server = match twice {
            true => server.crash_twice_and_restart().await,
            false => server.crash_and_restart().await,
        };
    }
    market.further_answers(100).await;
    let memory = crowd.leave().await;
    let changes: Vec<_> = merchants.join_all().await.into_iter().flatten().collect();

    for stall in Stall::ALL {
        check_all(&server, stall, &memory).await;
    }
    eventually("the closed sale is retired", async || {
        is_retired(&server, Stall::Closing).await.then_some(())
    })
    .await;
    let scarce = server.sale(Stall::Scarce.id()).await;
    assert_eq!(scarce["sold"], Stall::Scarce.stock(), "it sold out, and no claim kept a unit back");
    let applied = check_changes(&server, &changes).await;
    let moving = server.sale(Stall::Moving.id()).await;
    assert_eq!(moving["stock"].as_i64(), Some(i64::from(Stall::Moving.stock()) + applied));
}

/// Whether the ledger alone answers for a sale. The HTTP answers are the same either way.
async fn is_retired(server: &Server, stall: Stall) -> bool {
    let file = server.place().data().join("ledger.db");
    let mut ledger =
        SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let retired = sqlx::query_scalar("SELECT retired FROM rounds WHERE sale = ?");
    retired.bind(stall.id()).fetch_one(&mut ledger).await.unwrap()
}

/// Closes a sale. It is retired as soon as nothing of it is pending.
async fn close(server: &Server, stall: Stall) {
    let path = format!("sales/{}", stall.id());
    let (status, sale) = server.admin(Method::PATCH, &path, Some(json!({ "closed": true }))).await;
    assert_eq!((status, &sale["state"]), (StatusCode::OK, &json!("closed")), "{sale}");
}
