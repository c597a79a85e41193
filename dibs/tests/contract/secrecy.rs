//! What must not be found in the log.

use reqwest::Method;

use crate::harness::claimer::{Claim, Owed, jwt};
use crate::harness::{ADMIN_KEY, SHOP_SECRET, Server};
use crate::ledger::{Lock, heal, poison};
use crate::ws::Socket;

const SECRET: &str = "a secret of tests with more than 32 bytes";

/// Everything that a buyer and an operator do, and much that they should not.
async fn whole_story(server: &Server, buyer: &str) -> (Owed, Vec<String>) {
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", buyer).under("key-of-the-test").win(server).await;
    server.result(&owed).await;
    let shop_jwt = jwt(buyer);
    let guest = server.call(Method::POST, "/v1/guests").send().await.unwrap();
    let guest: serde_json::Value = guest.json().await.unwrap();
    let guest = guest["token"].as_str().unwrap().to_owned();
    for credentials in [&owed.token, &shop_jwt, &guest, &format!("{}x", owed.token)] {
        for path in [format!("/v1/tickets/{}", owed.id), format!("/v1/tickets/{}/events", owed.id)]
        {
            let call = server.call(Method::GET, &path).bearer_auth(credentials);
            call.header("prefer", "wait=1").send().await.unwrap().bytes().await.unwrap();
        }
        for path in ["/v1/sales/cups/tickets", "/v1/sales/nothing/tickets"] {
            let call = server.call(Method::POST, path).bearer_auth(credentials);
            call.body("{\"units\":0}").send().await.unwrap();
        }
        server.call(Method::GET, "/v1/admin/sales").bearer_auth(credentials).send().await.unwrap();
        let mut socket = Socket::connect(server).await;
        socket.watch(&[credentials, "x"]).await;
        for _ in 0..2 {
            socket.told().await;
        }
        socket.text(&format!("{credentials} is no frame")).await;
        socket.error("bad-frame").await;
    }
    // An outage, and an order that fails and is rejected.
    let other = format!("{buyer}-of-the-poison");
    poison(server, &other).await;
    let lock = Lock::ledger(server).await;
    let bad = Claim::of("cups", &other).win(server).await;
    lock.release().await;
    crate::harness::eventually("it is set aside", async || {
        let path = format!("parked/{}/reject", bad.id);
        (server.admin(Method::POST, &path, None).await.0 == 202).then_some(())
    })
    .await;
    server.result(&bad).await;
    heal(server).await;
    (owed, vec![shop_jwt, guest, bad.token])
}

#[tokio::test]
async fn at_debug_level_no_token_no_jwt_and_no_key_stands_in_the_log() {
    let settings = [("log_level", "debug"), ("secret", SECRET), ("retry_every", "20ms")];
    let mut server = Server::start(&settings).await;
    let (owed, secrets) = whole_story(&server, "buyer-of-the-test").await;
    server.terminate().await;
    let log = server.log();
    assert!(log.contains("DEBUG"), "it was written at that level");
    let fixed = [&*owed.token, ADMIN_KEY, SHOP_SECRET, SECRET].map(str::to_owned);
    for secret in fixed.into_iter().chain(secrets) {
        for part in secret.split('.').filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{part} stands in the log:\n{log}");
        }
    }
}

#[tokio::test]
async fn at_info_level_no_buyer_stands_in_the_log() {
    let mut server = Server::start(&[("log_level", "info"), ("retry_every", "20ms")]).await;
    whole_story(&server, "buyer-of-the-test").await;
    server.terminate().await;
    let log = server.log();
    assert!(log.contains("INFO"), "it was written at that level");
    assert!(!log.contains("buyer-of-the-test"), "{log}");
}
