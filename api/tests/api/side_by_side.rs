//! Two servers of one shop.

use std::time::Duration;

use api::Settings;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::task::JoinSet;

use crate::shop::{Layout, SOON, Shop};

/// A server that reads the sales when it is asked for one, and otherwise never.
fn lazy() -> Settings {
    let never = Duration::from_secs(100_000);
    let refresh_gap = Duration::from_millis(1);
    Settings { refresh_every: never, refresh_gap, ..Settings::default() }
}

fn readings(counted: &PrometheusHandle) -> u32 {
    let name = "dibs_api_directory_reads_total{result=\"read\"} ";
    let page = counted.render();
    page.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |n| n.parse().unwrap())
}

#[tokio::test]
async fn a_sale_made_on_one_is_known_to_the_other_with_the_next_claim() {
    let one = Shop::open().await;
    let other = one.beside(lazy()).await;
    for id in ["a", "b", "c"] {
        // The other has just read the sales.
        assert!(other.claim(id, &one.buyer(), "", json!({"units": 1})).await.is(404, "not-found"));
        one.sale(id, 5, 1).await;
        let claim = other.claim(id, &one.buyer(), "", json!({"units": 1})).await;
        assert_eq!(claim.status, 202, "{claim:?}");
    }
}

#[tokio::test]
async fn a_crowd_that_asks_for_a_sale_nobody_knows_costs_two_readings_at_most() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let counted = recorder.handle();
    let shop = Shop::laid_out(Layout { settings: lazy(), ..Layout::default() }).await;
    // One at the start, and the first of those that come by themselves.
    let begun = async {
        while readings(&counted) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, begun).await.unwrap();
    let before = readings(&counted);
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        crowd.spawn(shop.claiming("none", &shop.buyer(), "", json!({"units": 1})));
    }
    assert!(crowd.join_all().await.iter().all(|answer| answer.is(404, "not-found")));
    // One for the first, and one for all who came while it was under way.
    let made = readings(&counted) - before;
    assert!((1..=2).contains(&made), "{made}");
}

#[tokio::test]
async fn what_is_changed_on_one_is_shown_by_the_other_within_its_refresh() {
    let one = Shop::open().await;
    one.sale("s", 5, 1).await;
    let refresh_every = Duration::from_millis(5);
    let other = one.beside(Settings { refresh_every, ..Settings::default() }).await;
    assert_eq!(one.patch("s", "", json!({"closed": true})).await.status, 200);
    let closed = async {
        while other.get("/v1/sales/s").await.body["state"] != "closed" {
            tokio::time::sleep(refresh_every).await;
        }
    };
    tokio::time::timeout(SOON, closed).await.unwrap();
    let late = other.claim("s", &one.buyer(), "", json!({"units": 1})).await;
    assert!(late.is(409, "closed"), "{late:?}");
}
