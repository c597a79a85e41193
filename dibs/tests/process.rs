//! The binary as a person or a supervisor meets it: its start, its refusals, its end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use harness::claimer::Claim;
use harness::{ADMIN_KEY, PATIENCE, Place, SHOP_SECRET, Server, dibs, eventually, run};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_first_start_prints_the_page_and_where_everything_lies() {
    let server = Server::start(&[("demo", "true"), ("admin_key", ""), ("secret", "")]).await;
    let page = server.http.get(format!("{}/", server.base)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("<html"));
    let demo = format!("{}/sales/demo", server.base);
    assert!(server.greeting.contains(&demo), "{}", server.greeting);
    assert_eq!(server.http.get(demo).send().await.unwrap().status(), StatusCode::OK);
    for file in ["admin-key", "secret"] {
        let path = server.place().data().join(file);
        assert!(server.greeting.contains(path.to_str().unwrap()), "{}", server.greeting);
        let secret = fs::read_to_string(&path).unwrap();
        assert!(!server.greeting.contains(secret.trim()) && !server.log().contains(secret.trim()));
    }
}

#[tokio::test]
async fn nothing_in_the_data_folder_is_for_others_also_where_the_folder_itself_is() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start_in(place, &[]).await;
    server.open_sale("cups", 1, 1).await;
    let kept: Vec<_> = fs::read_dir(server.place().data()).unwrap().map(|it| it.unwrap()).collect();
    assert!(kept.iter().any(|it| it.file_name() == "ledger.db-wal"), "{kept:?}");
    for entry in kept {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
    }
}

#[tokio::test]
async fn the_demo_sale_opens_within_half_a_minute_and_is_made_once() {
    let server = Server::start(&[("demo", "true")]).await;
    let address = format!("{}/v1/sales/demo", server.base);
    let sale: Value = server.http.get(&address).send().await.unwrap().json().await.unwrap();
    assert_eq!(sale["state"], "upcoming");
    let time = |value: &Value| sale::time::Timestamp::parse(value.as_str().unwrap()).unwrap();
    let now = sale["now"].as_i64().map_or_else(
        || time(&sale["now"]),
        |millis| sale::time::Timestamp::from_millis(millis).unwrap(),
    );
    assert!(time(&sale["opens_at"]).since(now).as_secs() <= 30, "{sale}");

    let server = server.crash_and_restart().await;
    let address = format!("{}/v1/sales/demo", server.base);
    let again: Value = server.http.get(&address).send().await.unwrap().json().await.unwrap();
    assert_eq!((&again["round"], &again["opens_at"]), (&sale["round"], &sale["opens_at"]));
}

#[tokio::test]
async fn a_claim_gets_its_final_result_and_the_books_are_right() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 2, 1).await;
    let mut owed = Vec::new();
    for buyer in ["ada", "bob"] {
        owed.push(Claim::of("cups", buyer).win(&server).await);
    }
    let late = Claim::of("cups", "eve").send(&server).await.unwrap();
    assert_eq!(
        (late.status, &late.body["type"]),
        (StatusCode::CONFLICT, &"/problems/sold-out".into())
    );
    for ticket in &owed {
        assert_eq!(server.result(ticket).await["status"], "confirmed");
    }
    let audit = server.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (2, 0));
}

#[tokio::test]
async fn after_a_crash_every_ticket_has_its_result_and_a_retry_finds_it() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 10, 2).await;
    let claims: Vec<_> =
        (0..5).map(|n| Claim::of("cups", &format!("buyer-{n}")).under("r1").units(2)).collect();
    let mut owed = Vec::new();
    for claim in &claims {
        owed.push(claim.win(&server).await);
    }
    let server = server.crash_and_restart().await;
    for (claim, ticket) in claims.iter().zip(&owed) {
        let again = claim.send(&server).await.unwrap();
        assert_eq!(again.status, StatusCode::OK, "{again:?}");
        assert_eq!(claim.owed(&again).unwrap(), *ticket);
    }
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 10);
}

#[tokio::test]
async fn a_second_process_on_a_data_folder_is_refused() {
    let server = Server::start(&[]).await;
    let data = server.place().data();
    let data = data.to_str().unwrap();
    for command in
        [vec!["--data", data, "--listen", "127.0.0.1:0"], vec!["migrate", "--data", data]]
    {
        let refused = run(server.place(), &command).await;
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        assert!(said.contains(data) && said.contains("in use by another process"), "{said}");
    }
    server.until_ready().await;
}

#[tokio::test]
async fn a_data_folder_of_a_newer_version_is_refused() {
    let place = Place::new();
    assert!(run(&place, &["migrate"]).await.status.success());
    fs::write(place.data().join("format"), "999\n").unwrap();
    let refused = run(&place, &["--listen", "127.0.0.1:0"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("has format 999") && said.contains("newer"), "{said}");
}

#[tokio::test]
async fn migrate_brings_the_ledger_up_to_date_and_ends() {
    let place = Place::new();
    for _ in 0..2 {
        let done = run(&place, &["migrate"]).await;
        assert!(done.status.success(), "{done:?}");
        assert!(text(&done.stdout).contains("is up to date"));
    }
    assert!(place.data().join("ledger.db").exists());
}

#[tokio::test]
async fn a_bad_value_is_refused_before_anything_is_opened_or_bound() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused =
        run(&place, &["--listen", &taken, "--ping-every", "25", "--queue-claims", "0"]).await;
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("ping_every (flag): \"25\" is not allowed"), "{said}");
    assert!(said.contains("queue_claims (flag): \"0\" is not allowed"), "{said}");
    assert!(!said.contains("cannot listen"), "{said}");
    assert!(!place.data().exists());
}

#[tokio::test]
async fn an_address_in_use_is_said_with_its_setting() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&place, &["--listen", "127.0.0.1:0", "--ops-listen", &address]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains(&address) && said.contains("ops_listen"), "{said}");
}

#[tokio::test]
async fn a_role_alone_on_local_engines_is_refused_with_a_way_out() {
    let place = Place::new();
    for role in ["api", "worker", "push"] {
        let refused = run(&place, &[role]).await;
        assert_eq!(refused.status.code(), Some(2));
        let said = text(&refused.stderr);
        assert!(said.contains(&format!("`dibs {role}` alone")), "{said}");
        assert!(said.contains("Run `dibs`") && said.contains("gate=local"), "{said}");
    }
    assert!(!place.data().exists());
}

#[tokio::test]
async fn config_prints_what_holds_without_secrets() {
    let place = Place::new();
    fs::write(place.path().join("dibs.toml"), "queue_claims = 77\n").unwrap();
    let printed = dibs(&place, ["config", "--listen", "127.0.0.1:1"])
        .env("DIBS_ADMIN_KEY", ADMIN_KEY)
        .env("DIBS_JWT_KEYS", format!("hs256:{SHOP_SECRET}"))
        .output()
        .await
        .unwrap();
    assert!(printed.status.success());
    let listing = text(&printed.stdout);
    assert!(!listing.contains(ADMIN_KEY) && !listing.contains(SHOP_SECRET), "{listing}");
    let line = |key: &str| listing.lines().find(|line| line.trim().starts_with(key)).unwrap();
    assert!(line("queue_claims").ends_with("dibs.toml, line 1"));
    assert!(line("listen").contains("127.0.0.1:1") && line("listen").ends_with("flag"));
    assert!(line("admin_key").ends_with("environment"));
}

#[tokio::test]
async fn config_check_lists_every_fault_or_says_that_all_is_right() {
    let place = Place::new();
    let right = run(&place, &["config", "check"]).await;
    assert_eq!(right.status.code(), Some(0));
    assert!(text(&right.stdout).contains("the configuration is right"));
    fs::write(place.path().join("dibs.toml"), "lisen = \"127.0.0.1:1\"\ndemo = 1\n").unwrap();
    let wrong =
        dibs(&place, ["config", "check"]).env("DIBS_SECRET", "short").output().await.unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let said = text(&wrong.stderr);
    for part in ["3 faults", "did you mean listen?", "demo (dibs.toml, line 2)", "secret (env"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("short\""), "{said}");
}

#[tokio::test]
async fn sigterm_drains_and_ends_with_0() {
    let mut server = Server::start(&[]).await;
    server.open_sale("cups", 1, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    assert_eq!(server.terminate().await.code(), Some(0));
    let place = server.place().clone();
    drop(server);
    let server = Server::start_in(place, &[]).await;
    assert_eq!(server.audit("cups", &[owed]).await.confirmed_units, 1);
}

#[tokio::test]
async fn a_server_whose_greeting_nobody_reads_goes_on() {
    let place = Place::new();
    let ops = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = dibs(&place, ["--listen", "127.0.0.1:0", "--ops-listen", &ops.to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    eventually("it is ready", async || {
        let answer = reqwest::get(format!("http://{ops}/readyz")).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(text(&output.stderr).contains("SIGTERM"), "it had ended by itself");
    assert!(output.status.success());
}

#[tokio::test]
async fn servers_of_one_process_do_not_know_each_other() {
    let start = async |place: &Place| {
        let data = place.data().display().to_string();
        let flags = [("listen", "127.0.0.1:0"), ("ops_listen", "127.0.0.1:0"), ("data", &*data)];
        let flags = flags.map(|(key, value)| (key, value.to_owned())).to_vec();
        let inputs = ::dibs::config::Inputs { flags, ..Default::default() };
        let config = ::dibs::config::Config::read(inputs).unwrap();
        let front = tokio::runtime::Handle::current();
        ::dibs::assemble::start(&config, ::dibs::roles::Roles::Every, &front).await
    };
    let (here, there) = (Place::new(), Place::new());
    let first = start(&here).await.unwrap();
    let second = start(&there).await.unwrap();
    let refused = start(&here).await.err().unwrap().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(first.shut_down().await);
    let address = format!("http://{}/v1/sales", second.started().page.unwrap());
    assert_eq!(reqwest::get(address).await.unwrap().status(), StatusCode::OK);
    assert!(second.shut_down().await);
    assert!(start(&here).await.unwrap().shut_down().await, "the folder is free again");
}

#[tokio::test]
async fn readiness_tells_the_state_of_each_part_and_health_is_plain() {
    let server = Server::start(&[]).await;
    let health = server.http.get(format!("{}/healthz", server.ops)).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    let ready = server.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
    assert_eq!(ready.headers()["cache-control"], "no-store");
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["ready"], true);
    for part in ["api", "push", "worker"] {
        assert_eq!(ready["roles"][part]["state"], "ok", "{ready}");
    }
    let page = server.http.get(format!("{}/readyz", server.base)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn metrics_count_by_route_and_never_name_a_sale_ticket_or_buyer() {
    let server = Server::start(&[]).await;
    server.open_sale("cups-of-the-test", 5, 1).await;
    let owed = Claim::of("cups-of-the-test", "buyer-of-the-test").win(&server).await;
    server.result(&owed).await;
    let scrape = async || {
        let answer = server.http.get(format!("{}/metrics", server.ops)).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let odd = reqwest::Method::from_bytes(b"BREW").unwrap();
    for n in 0..3 {
        for path in
            [format!("/v1/tickets/x{n}"), format!("/nowhere/{n}"), format!("/v1/sales/s{n}")]
        {
            server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
            let odd = server.http.request(odd.clone(), format!("{}{path}", server.base));
            odd.send().await.unwrap();
        }
    }
    let before = scrape().await;
    for n in 3..50 {
        for path in
            [format!("/v1/tickets/x{n}"), format!("/nowhere/{n}"), format!("/v1/sales/s{n}")]
        {
            server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        }
    }
    let after = scrape().await;
    assert!(after.contains("route=\"/v1/sales/{sale}/tickets\""), "{after}");
    assert!(after.contains("route=\"unmatched\""), "{after}");
    for id in ["cups-of-the-test", "buyer-of-the-test", &owed.id, &owed.token, "BREW", "x49"] {
        assert!(!after.contains(id), "{id} stands in a label:\n{after}");
    }
    assert_eq!(series(&before), series(&after), "series grow with use");
}

#[tokio::test]
async fn health_asks_the_server_of_this_machine() {
    let mut server = Server::start(&[]).await;
    let ops = server.ops.trim_start_matches("http://").to_owned();
    let well = run(server.place(), &["health", "--ops-listen", &ops]).await;
    assert!(well.status.success() && text(&well.stdout).contains("ok"), "{well:?}");
    let ready = run(server.place(), &["health", "--ready", "--ops-listen", &ops]).await;
    assert!(ready.status.success() && text(&ready.stdout).contains("\"ready\":true"), "{ready:?}");
    assert_eq!(text(&ready.stdout).lines().count(), 1);
    server.terminate().await;
    let gone = run(server.place(), &["health", "--ops-listen", &ops]).await;
    assert_eq!(gone.status.code(), Some(1));
    let chosen = run(server.place(), &["health", "--ops-listen", "127.0.0.1:0"]).await;
    assert_eq!(chosen.status.code(), Some(1));
    assert!(text(&chosen.stderr).contains("ops_listen"), "{chosen:?}");
}
