//! One purchase across two processes of each role.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::Claim;
use crate::install::Sql;
use crate::sse::{Stream, event_of};
use crate::ws::{Socket, frame_of};

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn pending_and_final_a_ticket_has_the_same_bytes_by_all_four_paths_of_every_push_process() {
    the_same_bytes_by_all_four_paths(Sql::MySql).await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MariaDB: ./test brings them"]
async fn on_mariadb_too_a_ticket_has_the_same_bytes_by_all_four_paths() {
    the_same_bytes_by_all_four_paths(Sql::MariaDb).await;
}

async fn the_same_bytes_by_all_four_paths(sql: Sql) {
    let deployment = Deployment::start(sql, Crew::TWO_EACH).await;
    let (apis, pushes) = (&deployment.apis, &deployment.pushes);
    apis[0].open_sale("cups", 5, 1).await;
    let lock = deployment.install.lock().await;
    // What one api has created the other sells at once, and each knows the other's tickets.
    let claim = Claim::of("cups", "ada");
    let owed = claim.win(&apis[1]).await;
    let again = claim.send(&apis[0]).await.unwrap();
    assert_eq!((again.status, claim.owed(&again).as_ref()), (StatusCode::OK, Some(&owed)));

    let pending = pushes[0].ticket_text(&owed).await;
    assert!(pending.contains(r#""status":"pending","reason":null,"version":1,"final":false"#));
    assert_eq!(again.body["ticket"], serde_json::from_str::<Value>(&pending).unwrap());
    let mut watchers: Vec<(Stream, Socket)> = Vec::new();
    let mut polls = Vec::new();
    for push in pushes {
        assert_eq!(push.ticket_text(&owed).await, pending);
        let mut stream = push.stream(&owed).await;
        assert_eq!(stream.event().await.unwrap(), event_of(1, &pending));
        let mut socket = Socket::watching(push, &owed.token).await;
        assert_eq!(socket.told().await, frame_of(&pending));
        watchers.push((stream, socket));
        let poll = push.ticket(&owed).header("if-none-match", "\"1\"").header("prefer", "wait=60");
        polls.push(poll.send());
    }

    let (polled, ()) = tokio::join!(join_all(polls), lock.release());
    let confirmed = apis[0].result(&owed).await;
    assert_eq!((&confirmed["status"], &confirmed["version"]), (&"confirmed".into(), &2.into()));
    let text = pushes[0].ticket_text(&owed).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), confirmed);
    for polled in polled {
        assert_eq!(polled.unwrap().text().await.unwrap(), text);
    }
    for (push, (mut stream, mut socket)) in pushes.iter().zip(watchers) {
        assert_eq!(stream.event().await.unwrap(), event_of(2, &text));
        assert_eq!(stream.event().await, None, "a result is the end of the stream");
        assert_eq!(socket.told().await, frame_of(&text));
        assert_eq!(push.ticket_text(&owed).await, text);
    }
    for api in apis {
        let listed = api.operator(Method::GET, "sales/cups/tickets").send().await.unwrap();
        let row = format!(r#"{{"tickets":[{{"ticket":{text},"buyer":"ada"}}],"next":null}}"#);
        assert_eq!(listed.text().await.unwrap(), row);
    }
    apis[1].audit("cups", &[owed]).await;
    deployment.check_figures("cups").await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_watcher_hears_at_any_push_process_what_was_claimed_at_any_api() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    deployment.api().open_sale("cups", 100, 1).await;
    let mut owed = Vec::new();
    let mut sockets = Vec::new();
    let lock = deployment.install.lock().await;
    for (n, api) in deployment.apis.iter().cycle().take(20).enumerate() {
        let ticket = Claim::of("cups", &format!("buyer-{n}")).win(api).await;
        for push in &deployment.pushes {
            sockets.push(Socket::watching(push, &ticket.token).await);
        }
        owed.push(ticket);
    }
    lock.release().await;
    for (n, socket) in sockets.iter_mut().enumerate() {
        let ticket = &owed[n / 2];
        loop {
            let told: Value = serde_json::from_str(&socket.told().await).unwrap();
            assert_eq!(told["ticket"]["id"], ticket.id, "{told}");
            if told["ticket"]["final"] == true {
                assert_eq!(told["ticket"]["status"], "confirmed", "{told}");
                break;
            }
        }
    }
    deployment.api().audit("cups", &owed).await;
    deployment.check_figures("cups").await;
}
