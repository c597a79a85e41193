//! What the processes say of purchases: measures, and a trace across all three roles.

use futures_util::future::join_all;
use serde_json::Value;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::install::{Install, Sql};
use crate::ws::Socket;

const BUYERS: usize = 20;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_purchase_is_followed_through_the_logs_of_three_processes_and_is_measured_in_each() {
    let install = Install::migrated(Sql::MySql).await;
    let settings = [("log_level", "info,stage=trace"), ("log_format", "json")];
    let deployment = Deployment::on(install, Crew::ONE_EACH, &settings).await;
    let (api, push) = (deployment.api(), deployment.push());
    api.open_sale("cups", 100, 1).await;
    let lock = deployment.install.lock().await;
    let claims: Vec<_> = (0..BUYERS).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let owed = join_all(claims.iter().map(|claim| claim.win(api))).await;
    let mut sockets = join_all(owed.iter().map(|owed| Socket::watching(push, &owed.token))).await;
    for socket in &mut sockets {
        assert!(socket.told().await.contains(r#""status":"pending""#));
    }
    lock.release().await;
    for socket in &mut sockets {
        assert!(socket.told().await.contains(r#""status":"confirmed""#));
    }
    for ticket in &owed {
        check_trace(&deployment, ticket).await;
    }
    check_measures(&deployment).await;
    api.audit("cups", &owed).await;
    deployment.check_figures("cups").await;
    for process in deployment.all() {
        let log = process.log();
        for secret in owed.iter().flat_map(|owed| [&owed.buyer, &owed.token]) {
            assert!(!log.contains(secret), "{secret} stands in a log:\n{log}");
        }
    }
}

/// The stages that a process has logged, with their fields.
fn stages(process: &Server) -> Vec<Value> {
    let log = process.log();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["target"] == "stage").map(|event| event["fields"].clone()).collect()
}

/// The ticket is named with its batch when it is granted; by that id it goes from process to
/// process, until its result is sent.
async fn check_trace(deployment: &Deployment, owed: &Owed) {
    let granted = stages(deployment.api());
    let named =
        granted.iter().find(|event| event["ticket"] == owed.id && event["batch"].is_string());
    let batch = named.unwrap_or_else(|| panic!("{owed:?} is not in {granted:?}"))["batch"].clone();
    let passed = async |process: &Server, key: &str, id: &Value, stage: &str| {
        eventually(&format!("{id} is {stage}"), async || {
            let event =
                stages(process).into_iter().find(|it| it[key] == *id && it["stage"] == stage)?;
            assert!(event["since_grant_ms"].is_u64(), "{event}");
            Some(())
        })
        .await;
    };
    passed(deployment.api(), "batch", &batch, "granted").await;
    passed(deployment.api(), "batch", &batch, "published").await;
    passed(&deployment.workers[0], "batch", &batch, "consumed").await;
    passed(&deployment.workers[0], "batch", &batch, "committed").await;
    passed(deployment.push(), "ticket", &owed.id.as_str().into(), "sent").await;
}

/// Every ticket stands in the measure of each stage, in the process that it passed it in.
async fn check_measures(deployment: &Deployment) {
    let (api, worker, push) = (deployment.api(), &deployment.workers[0], deployment.push());
    let tickets = BUYERS as f64;
    let at_least = async |process: &Server, series: &str, least: f64| {
        let value = process.gauge(series).await;
        assert!(value >= least, "{series} is {value}:\n{}", process.metrics().await);
    };
    assert_eq!(api.gauge("dibs_stage_seconds_count{stage=\"granted\"}").await, tickets);
    assert_eq!(api.gauge("dibs_api_grant_size_sum").await, tickets);
    at_least(api, "dibs_stage_seconds_count{stage=\"published\"}", tickets).await;
    at_least(worker, "dibs_stage_seconds_count{stage=\"consumed\"}", tickets).await;
    at_least(worker, "dibs_stage_seconds_count{stage=\"committed\"}", tickets).await;
    at_least(worker, "dibs_worker_decide_size_sum", tickets).await;
    at_least(worker, "dibs_worker_decide_seconds_count", 1.0).await;
    assert_eq!(push.gauge("dibs_stage_seconds_count{stage=\"sent\"}").await, tickets);
}
