//! The first thing that whoever runs `docker compose up` does.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::container::{Container, Project};
use crate::door::Door;
use crate::harness::{PATIENCE, eventually};
use crate::install::{Install, Sql};

/// A guest's claim of one unit of the demo sale, asked for again until the sale has opened.
async fn claim(http: &Client, base: &str) -> Value {
    let guest: Value =
        http.post(format!("{base}/v1/guests")).send().await.unwrap().json().await.unwrap();
    eventually("the demo sale opens", async || {
        let claim = http.post(format!("{base}/v1/sales/demo/tickets"));
        let claim = claim.bearer_auth(guest["token"].as_str().unwrap()).json(&json!({"units": 1}));
        let answer = claim.header("idempotency-key", "mine").send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        match status {
            StatusCode::ACCEPTED => Some(answer),
            _ => {
                let waits = ["/problems/not-open", "/problems/recovering"];
                assert!(waits.iter().any(|problem| answer["type"] == *problem), "{answer}");
                None
            }
        }
    })
    .await
}

/// The final ticket, as the WebSocket at that address tells it.
async fn final_on_websocket(address: &str, token: &str) -> String {
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "dibs.v1".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let watch = json!({"type": "watch", "tokens": [token]}).to_string();
    socket.send(Message::text(watch)).await.unwrap();
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("the final should come");
        let Message::Text(text) = message.unwrap().unwrap() else { continue };
        let frame = text.strip_prefix(r#"{"type":"ticket","ticket":"#);
        let ticket = frame.and_then(|rest| rest.strip_suffix('}'));
        let ticket = ticket.unwrap_or_else(|| panic!("no ticket: {text}"));
        if ticket.contains(r#""final":true"#) {
            return ticket.to_owned();
        }
    }
}

/// The same as the last event of the stream.
async fn final_on_event_stream(http: &Client, address: &str, token: &str) -> String {
    let stream = http.get(format!("{address}/events")).bearer_auth(token).send().await.unwrap();
    let events = stream.text().await.unwrap();
    events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar, MySQL and nginx: ./test brings them"]
async fn the_demo_sale_its_page_and_the_pushed_result_work_through_the_door() {
    let project = Project::new(Install::new(Sql::MySql).await);
    project.make_keys().await;
    let keys = std::fs::read(project.place.path().join("dibs.toml")).unwrap();
    project.make_keys().await;
    assert_eq!(keys, std::fs::read(project.place.path().join("dibs.toml")).unwrap());
    let told = project.run("migrate").await;
    assert!(told.contains("the demo sale demo opens at"), "{told}");

    // As with --scale.
    let mut all: Vec<Container> = Vec::new();
    for name in ["api", "push", "worker"] {
        all.push(project.start(name).await);
        all.push(project.start(name).await);
    }
    let [api, push] = [&all[..2], &all[2..4]]
        .map(|role| role.iter().map(|container| container.listen.unwrap()).collect::<Vec<_>>());
    let door = Door::before(&api, &push).await;
    let (http, base) = (Client::builder().timeout(PATIENCE).build().unwrap(), &door.base);

    for page in ["/", "/sales/demo"] {
        let page = http.get(format!("{base}{page}")).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains("<!doctype html>"));
    }
    let claimed = claim(&http, base).await;
    let token = claimed["token"].as_str().unwrap();
    let stream = claimed["stream"].as_str().unwrap();
    assert_eq!(stream, format!("{}/v1/ws", base.replace("http://", "ws://")));

    let pushed = final_on_websocket(stream, token).await;
    assert!(pushed.contains(r#""status":"confirmed""#), "{pushed}");
    let ticket = format!("{base}/v1/tickets/{}", claimed["ticket"]["id"].as_str().unwrap());
    assert_eq!(pushed, final_on_event_stream(&http, &ticket, token).await);
    let read = http.get(ticket).bearer_auth(token).send().await.unwrap();
    assert_eq!(pushed, read.text().await.unwrap());
}
