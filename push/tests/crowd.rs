//! Many watchers at once cost few calls of the stores.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use push::Settings;
use support::ws::Client;
use support::{Granted, House, buyers, quiet};
use tokio::task::JoinSet;

const WATCHERS: usize = 10_000;

/// As many as one connection may watch.
const A_SOCKET: usize = 64;

/// Tokens that one frame has room for.
const A_FRAME: usize = 16;

/// The calls of a store, by the histogram of their sizes, and the tickets in them.
fn calls(counted: &PrometheusHandle, histogram: &str) -> (usize, usize) {
    let page = counted.render();
    let value = |of: &str| {
        let name = format!("{histogram}_{of} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |n| n.parse().unwrap())
    };
    (value("count"), value("sum"))
}

/// All of them connect, and all of them are told their results.
async fn come_back(house: &House, granted: &[Granted]) {
    let mut sockets = JoinSet::new();
    for watched in granted.chunks(A_SOCKET) {
        let mut client = Client::connect(house).await;
        let tokens: Vec<_> = watched.iter().map(|granted| granted.token.clone()).collect();
        sockets.spawn(async move {
            let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
            for tokens in tokens.chunks(A_FRAME) {
                client.watch(tokens).await;
            }
            for _ in &tokens {
                assert!(client.next_text().await.contains(r#""final":true"#));
            }
        });
    }
    sockets.join_all().await;
}

#[tokio::test]
async fn ten_thousand_who_come_back_at_once_are_some_hundred_calls_of_the_gate() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let house = House::open(quiet()).await;
    let granted = house.grant(&buyers("b", WATCHERS)).await;
    house.settle(&granted).await;

    come_back(&house, &granted).await;

    let (calls, tickets) = calls(&recorder.handle(), "dibs_push_gate_read_size");
    assert_eq!(tickets, WATCHERS);
    assert!(calls < 500, "{calls}");
}

#[tokio::test]
async fn without_the_gate_they_are_some_hundred_calls_of_the_ledger() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let settings =
        Settings { ledger_queue: WATCHERS, read_within: Duration::from_secs(60), ..quiet() };
    let house = House::open(settings).await;
    let granted = house.grant(&buyers("b", WATCHERS)).await;
    house.settle(&granted).await;
    house.lose_the_gate().await;

    come_back(&house, &granted).await;

    let (calls, tickets) = calls(&recorder.handle(), "dibs_push_ledger_read_size");
    assert_eq!(tickets, WATCHERS);
    assert!(calls < 500, "{calls}");
}
