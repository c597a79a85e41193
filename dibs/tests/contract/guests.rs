//! `POST /v1/guests`, and the secret behind guests and tokens.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::problem;
use crate::harness::{PATIENCE, Server, dibs};

#[tokio::test]
async fn a_guest_gets_a_buyer_and_a_jwt_that_claims_and_reads() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let answer = server.call(Method::POST, "/v1/guests").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let text = answer.text().await.unwrap();
    let guest: Value = serde_json::from_str(&text).unwrap();
    let (buyer, jwt) = (&guest["buyer"], &guest["token"]);
    assert_eq!(text, format!(r#"{{"buyer":{buyer},"token":{jwt}}}"#));
    let jwt = jwt.as_str().unwrap();

    let call = server.call(Method::POST, "/v1/sales/cups/tickets").bearer_auth(jwt);
    let answer = call.json(&json!({ "units": 1 })).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let ticket: Value = answer.json().await.unwrap();
    let path = format!("/v1/tickets/{}", ticket["ticket"]["id"].as_str().unwrap());
    let read = server.call(Method::GET, &path).bearer_auth(jwt).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    let audit = server.audit("cups", &[]).await;
    assert!(audit.tickets.values().all(|row| &row["buyer"] == buyer));

    let other = server.call(Method::POST, "/v1/guests").send().await.unwrap();
    let other: Value = other.json().await.unwrap();
    assert_ne!(&other["buyer"], buyer);
    let path = format!("/v1/tickets/{}", ticket["ticket"]["id"].as_str().unwrap());
    let foreign = server.call(Method::GET, &path).bearer_auth(other["token"].as_str().unwrap());
    problem(foreign.send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn where_guests_are_not_allowed_there_are_none() {
    let server = Server::start(&[("guests", "false")]).await;
    let answer = server.call(Method::POST, "/v1/guests").send().await.unwrap();
    problem(answer, 404, "not-found").await;
}

const OLD: &str = "the old secret with more than 32 bytes";
const NEW: &str = "the new secret with more than 32 bytes";

#[tokio::test]
async fn of_several_secrets_the_first_seals_and_all_verify() {
    let server = Server::start(&[("secret", OLD)]).await;
    server.open_sale("cups", 5, 1).await;
    let guest: Value =
        server.call(Method::POST, "/v1/guests").send().await.unwrap().json().await.unwrap();
    let jwt = guest["token"].as_str().unwrap().to_owned();
    let claim = async |server: &Server| {
        let call = server.call(Method::POST, "/v1/sales/cups/tickets").bearer_auth(&jwt);
        call.json(&json!({ "units": 1 })).send().await.unwrap()
    };
    let before: Value = claim(&server).await.json().await.unwrap();
    let path = format!("/v1/tickets/{}", before["ticket"]["id"].as_str().unwrap());
    let read = async |server: &Server, token: &Value| {
        let call = server.call(Method::GET, &path).bearer_auth(token.as_str().unwrap());
        call.send().await.unwrap().status()
    };

    let both = format!("{NEW},{OLD}");
    let server = Server::start_in(server.kill9().await, &[("secret", &both)]).await;
    assert_eq!(read(&server, &before["token"]).await, StatusCode::OK);
    let after: Value = claim(&server).await.json().await.unwrap();
    assert_eq!(after["ticket"]["id"], before["ticket"]["id"]);
    assert_ne!(after["token"], before["token"], "sealed with the new one");

    let server = Server::start_in(server.kill9().await, &[("secret", NEW)]).await;
    assert_eq!(read(&server, &after["token"]).await, StatusCode::OK);
    assert_eq!(read(&server, &before["token"]).await, StatusCode::NOT_FOUND);
    problem(claim(&server).await, 401, "unauthenticated").await;
}

#[tokio::test]
async fn a_secret_that_has_sealed_no_token_here_is_refused_unless_an_operator_accepts_it() {
    let server = Server::start(&[("secret", OLD)]).await;
    let place = server.kill9().await;
    let run = async |arguments: &[&str]| {
        let mut command = dibs(&place, arguments);
        command.env("DIBS_SECRET", NEW).env("DIBS_OPS_LISTEN", "127.0.0.1:0");
        let output = command.env("DIBS_LISTEN", "127.0.0.1:0").output();
        let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for command in [&[][..], &["migrate"]] {
        let (code, said) = run(command).await;
        assert_eq!(code, Some(1), "{said}");
        let line = said.lines().find(|line| line.starts_with("dibs: ")).unwrap();
        assert!(line.contains("DIBS_SECRET") && line.contains("--new-secret"), "{line}");
        assert!(!said.contains(NEW), "{said}");
    }
    let (code, said) = run(&["migrate", "--new-secret"]).await;
    assert_eq!(code, Some(0), "{said}");
    Server::start_in(place, &[("secret", NEW)]).await;
}
