//! `/healthz`, `/readyz`, `/metrics`.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::claimer::{Claim, jwt};
use crate::harness::{ADMIN_KEY, Server, eventually};
use crate::ledger::Lock;
use crate::ws::Socket;

#[tokio::test]
async fn the_ops_endpoints_are_on_their_own_address_alone() {
    let server = Server::start(&[]).await;
    let ops =
        async |path: &str| server.http.get(format!("{}{path}", server.ops)).send().await.unwrap();
    let health = ops("/healthz").await;
    assert_eq!((health.status(), &*health.text().await.unwrap()), (StatusCode::OK, "ok\n"));
    let ready = ops("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(ready.headers()["cache-control"], "no-store");
    let part = json!({ "state": "ok", "detail": null });
    let expected = json!({
        "ready": true, "phase": "serving",
        "engines": { "gate": part, "log": part, "ledger": part },
        "roles": { "api": part, "push": part, "worker": part },
        "recovering": [],
    });
    assert_eq!(ready.json::<Value>().await.unwrap(), expected);
    let metrics = ops("/metrics").await;
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/v1/sales", "/v1/admin/sales", "/"] {
        assert_eq!(ops(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn readiness_tries_the_real_path_and_calls_what_buyers_can_do_without_degraded() {
    let server = Server::start(&[]).await;
    let report = async || {
        let answer = server.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let until = async |part: &str, state: &str| {
        eventually(part, async || {
            let (status, report) = report().await;
            (report["roles"][part]["state"] == state).then_some((status, report))
        })
        .await
    };
    let lock = Lock::ledger(&server).await;
    let (status, degraded) = until("worker", "degraded").await;
    assert_eq!((status, &degraded["ready"]), (StatusCode::OK, &json!(true)), "{degraded}");
    assert!(degraded["roles"]["worker"]["detail"].as_str().is_some_and(|why| !why.is_empty()));
    let (status, degraded) = until("api", "degraded").await;
    assert_eq!(
        (status, &degraded["engines"]["ledger"]["state"]),
        (StatusCode::OK, &json!("failed"))
    );
    assert_eq!(degraded["roles"]["api"]["detail"], "without the ledger");
    lock.release().await;
    until("worker", "ok").await;

    let lock = Lock::gate(&server).await;
    let (status, failed) = until("api", "failed").await;
    assert_eq!((status, &failed["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    lock.release().await;
    until("api", "ok").await;
    server.until_ready().await;
}

/// Every series, without its value.
async fn series(server: &Server) -> BTreeSet<String> {
    let metrics = server.metrics().await;
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Some hundred odd requests, each with names of its own.
async fn odd(server: &Server, round: usize) {
    for n in 0..4 {
        let tag = format!("odd{round}x{n}");
        let paths = [
            format!("/v1/tickets/{tag}"),
            format!("/v1/tickets/{tag}/events"),
            format!("/v1/sales/{tag}"),
            format!("/v1/sales/{tag}/tickets"),
            format!("/v1/admin/sales/{tag}"),
            format!("/v1/admin/parked/{tag}/resend"),
            format!("/v1/{tag}"),
            format!("/{tag}?token={tag}"),
            format!("/sales/{tag}"),
            format!("/assets/{tag}"),
        ];
        for path in &paths {
            let brew = Method::from_bytes(format!("ODD{round}X{n}").as_bytes()).unwrap();
            for method in [Method::GET, Method::POST, Method::DELETE, Method::HEAD, brew] {
                for credentials in [None, Some(jwt(&tag)), Some(ADMIN_KEY.to_owned())] {
                    let mut call = server.call(method.clone(), path);
                    if let Some(credentials) = credentials {
                        call = call.bearer_auth(credentials);
                    }
                    call.send().await.unwrap();
                }
            }
        }
    }
}

/// One sale from its creation to a read of what it granted.
async fn whole_story(server: &Server, tag: &str) {
    server.open_sale(tag, 2, 1).await;
    let owed =
        Claim::of(tag, &format!("{tag}-buyer")).under(&format!("{tag}-key")).win(server).await;
    server.result(&owed).await;
    server.stream(&owed).await.event().await.unwrap();
    Socket::watching(server, &owed.token).await.told().await;
    server.audit(tag, &[owed]).await;
}

#[tokio::test]
async fn series_stay_the_same_whatever_is_asked_and_name_nobody() {
    let server = Server::start(&[]).await;
    whole_story(&server, "oddfirst").await;
    odd(&server, 0).await;
    let before = series(&server).await;
    for round in 1..4 {
        odd(&server, round).await;
        whole_story(&server, &format!("odd-{round}")).await;
    }
    let after = series(&server).await;
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "series grow with use: {new:#?}");
    let named: Vec<_> = after.iter().filter(|line| line.to_lowercase().contains("odd")).collect();
    assert!(named.is_empty(), "{named:#?}");
    let whole = after.iter().find(|line| line.contains("route=\"/v1/sales/{sale}/tickets\""));
    assert!(whole.is_some(), "labels are route templates");
}
