//! The commands that speak to a running server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::process::Output;

use harness::claimer::Claim;
use harness::{ADMIN_KEY, Server, dibs};
use serde_json::Value;

/// Runs a command against the server, with its address and key.
async fn ask(server: &Server, arguments: &[&str]) -> Output {
    let mut command = dibs(server.place(), arguments);
    command.args(["--url", &server.base]).env("DIBS_ADMIN_KEY", ADMIN_KEY);
    command.output().await.unwrap()
}

async fn told(server: &Server, arguments: &[&str]) -> String {
    let output = ask(server, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = ask(server, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

const CREATE: [&str; 13] = [
    "sale",
    "create",
    "cups",
    "--name",
    "Espresso cups",
    "--stock",
    "3",
    "--limit",
    "2",
    "--opens-at",
    "2020-01-01T00:00:00Z",
    "--closes-at",
    "2100-01-01T00:00:00Z",
];

#[tokio::test]
async fn a_merchant_creates_a_sale_watches_it_and_learns_who_won() {
    let server = Server::start(&[]).await;
    let created = told(&server, &CREATE).await;
    assert!(created.starts_with("ID") && created.contains("Espresso cups"), "{created}");

    let mut owed = vec![Claim::of("cups", "ada").under("1").units(2).win(&server).await];
    owed.push(Claim::of("cups", "=bob, \"the builder\"").under("1").win(&server).await);
    for ticket in &owed {
        server.result(ticket).await;
    }
    server.audit("cups", &owed).await;

    let shown: Value =
        serde_json::from_str(&told(&server, &["sale", "show", "cups", "--json"]).await).unwrap();
    assert_eq!((&shown["sold"], &shown["available"]), (&3.into(), &0.into()));
    assert!(told(&server, &["sale", "list"]).await.lines().any(|line| line.starts_with("cups ")));
    let listed: Vec<Value> =
        serde_json::from_str(&told(&server, &["sale", "list", "--json"]).await).unwrap();
    assert_eq!(listed, [shown], "a list of one is a list");

    let sheet = told(&server, &["sale", "tickets", "cups", "--status", "confirmed", "--csv"]).await;
    let mut rows = csv::Reader::from_reader(sheet.as_bytes());
    let heading = "ticket,buyer,units,status,reason,granted_at,decided_at";
    assert_eq!(rows.headers().unwrap().iter().collect::<Vec<_>>().join(","), heading);
    let mut winners: Vec<_> = rows
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[0].to_owned(), row[1].to_owned(), row[2].to_owned()))
        .collect();
    let mut expected: Vec<_> =
        owed.iter().map(|it| (it.id.clone(), it.buyer.clone(), it.units.to_string())).collect();
    winners.sort();
    expected.sort();
    assert_eq!(winners, expected);

    let closed = told(&server, &["sale", "close", "cups"]).await;
    assert!(closed.contains("closed"), "{closed}");
    let late = Claim::of("cups", "eve").under("1").send(&server).await.unwrap();
    assert_eq!(late.body["type"], "/problems/closed");
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_printed_whole() {
    let server = Server::start(&[]).await;
    server.open_sale("many", 1100, 1).await;
    let claims: Vec<_> = (0..1100).map(|n| Claim::of("many", &format!("buyer-{n:04}"))).collect();
    let sent = futures_util::future::join_all(claims.iter().map(|claim| claim.win(&server))).await;
    server.audit("many", &sent[..10]).await;
    let sheet = told(&server, &["sale", "tickets", "many", "--csv"]).await;
    let mut rows = csv::Reader::from_reader(sheet.as_bytes());
    let ids: std::collections::HashSet<_> =
        rows.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(ids, sent.into_iter().map(|owed| owed.id).collect());
    assert_eq!(told(&server, &["sale", "tickets", "many", "--json"]).await.lines().count(), 1100);
}

#[tokio::test]
async fn more_sales_than_the_server_lists_unasked_are_listed() {
    let server = Server::start(&[]).await;
    for n in 0..101 {
        server.open_sale(&format!("sale-{n}"), 1, 1).await;
    }
    let listed = told(&server, &["sale", "list"]).await;
    assert_eq!(listed.lines().filter(|line| line.starts_with("sale-")).count(), 101);
}

#[tokio::test]
async fn a_proxy_that_the_environment_names_is_not_shown_the_admin_key() {
    let server = Server::start(&[]).await;
    let nobody = "http://127.0.0.1:9";
    let mut command = dibs(server.place(), ["sale", "list", "--url", &server.base]);
    command.env("DIBS_ADMIN_KEY", ADMIN_KEY).env("HTTP_PROXY", nobody).env("ALL_PROXY", nobody);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_same_sale_again_is_no_error_and_another_one_under_its_id_is() {
    let server = Server::start(&[]).await;
    told(&server, &CREATE).await;
    told(&server, &CREATE).await;
    let mut other = CREATE;
    other[6] = "4";
    assert!(refused(&server, &other).await.starts_with("dibs: "));
    assert_eq!(server.sale("cups").await["stock"], 3);
}

#[tokio::test]
async fn a_merchant_changes_stock_name_and_window() {
    let server = Server::start(&[]).await;
    told(&server, &CREATE).await;
    let restock = |units: &'static str, key: &'static str| {
        ["sale", "restock", "cups", units, "--key", key, "--json"]
    };
    for _ in 0..2 {
        let more: Value =
            serde_json::from_str(&told(&server, &restock("5", "monday")).await).unwrap();
        assert_eq!((&more["applied"], &more["stock"]), (&5.into(), &8.into()));
    }
    let fewer: Value =
        serde_json::from_str(&told(&server, &restock("-100", "tuesday")).await).unwrap();
    assert_eq!((&fewer["applied"], &fewer["stock"]), (&(-8).into(), &0.into()));
    told(&server, &["sale", "restock", "cups", "1"]).await;
    told(&server, &["sale", "restock", "cups", "1"]).await;
    assert_eq!(server.sale("cups").await["stock"], 2, "without a key each is a change of its own");
    let unknown = refused(&server, &["sale", "restock", "mugs", "1", "--key", "again"]).await;
    assert!(unknown.contains("sale mugs; give --key again to try"), "{unknown}");

    let renamed = told(&server, &["sale", "amend", "cups", "--name", "Mocha cups"]).await;
    assert!(renamed.contains("Mocha cups"), "{renamed}");
    let opened = refused(&server, &["sale", "amend", "cups", "--opens-at", "+1h"]).await;
    assert!(opened.contains("sale cups: ") && opened.contains("upcoming"), "{opened}");
    let both = ["sale", "amend", "cups", "--name", "X", "--opens-at", "+1h"];
    for nonsense in [&["sale", "amend", "cups"][..], &both] {
        assert_eq!(ask(&server, nonsense).await.status.code(), Some(2), "{nonsense:?}");
    }
}

#[tokio::test]
async fn the_window_of_an_upcoming_sale_can_be_moved() {
    let server = Server::start(&[]).await;
    let mut create = CREATE;
    create[10] = "+1h";
    told(&server, &create).await;
    let moved = told(&server, &["sale", "amend", "cups", "--opens-at", "+2h", "--json"]).await;
    let moved: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!(moved["closes_at"], "2100-01-01T00:00:00.000Z", "what is not given stays");
    let now = sale::time::Timestamp::from_millis(
        server
            .http
            .get(format!("{}/v1/now", server.base))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()["now"]
            .as_i64()
            .unwrap(),
    )
    .unwrap();
    let opens_at = sale::time::Timestamp::parse(moved["opens_at"].as_str().unwrap()).unwrap();
    assert!(opens_at.since(now).as_secs() > 3600, "{moved}");
}

#[tokio::test]
async fn errors_say_what_the_server_said() {
    let server = Server::start(&[]).await;
    let unknown = refused(&server, &["sale", "show", "nothing"]).await;
    assert!(unknown.contains("sale nothing: "), "{unknown}");
    let parked = refused(&server, &["parked", "resend", "AAAABwCJM9Es0SrL0T-VMg"]).await;
    assert!(parked.contains("AAAABwCJM9Es0SrL0T-VMg: "), "{parked}");
    let long = "x".repeat(201);
    let named = refused(
        &server,
        &[
            "sale",
            "create",
            "cups",
            "--name",
            &long,
            "--stock",
            "1",
            "--opens-at",
            "+1s",
            "--closes-at",
            "+1h",
        ],
    )
    .await;
    assert!(named.contains("name"), "{named}");
}

#[tokio::test]
async fn a_relative_opening_counts_from_the_servers_now() {
    let server = Server::start(&[]).await;
    let sale = told(
        &server,
        &[
            "sale",
            "create",
            "soon",
            "--name",
            "Soon",
            "--stock",
            "1",
            "--opens-at",
            "+1h",
            "--closes-at",
            "+2h",
            "--json",
        ],
    )
    .await;
    let sale: Value = serde_json::from_str(&sale).unwrap();
    let time = |key: &str| sale::time::Timestamp::parse(sale[key].as_str().unwrap()).unwrap();
    assert_eq!(time("closes_at").since(time("opens_at")).as_secs(), 3600);
    assert_eq!(sale["state"], "upcoming");
}

#[tokio::test]
async fn without_a_key_or_a_server_the_command_says_what_to_do() {
    let server = Server::start(&[("admin_key", "")]).await;
    let by_folder = dibs(server.place(), ["sale", "list", "--url", &server.base]).output();
    assert!(by_folder.await.unwrap().status.success(), "the key in the data folder opens it");

    let elsewhere = harness::Place::new();
    let keyless = dibs(&elsewhere, ["sale", "list", "--url", &server.base]).output().await.unwrap();
    assert_eq!(keyless.status.code(), Some(1));
    let said = String::from_utf8(keyless.stderr).unwrap();
    assert!(said.contains("DIBS_ADMIN_KEY") && said.contains("--data"), "{said}");

    let base = server.base.clone();
    drop(server);
    let nobody = dibs(&elsewhere, ["sale", "list", "--url", &base])
        .env("DIBS_ADMIN_KEY", ADMIN_KEY)
        .output()
        .await
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(said.contains(&base) && said.contains("--url"), "{said}");
}
