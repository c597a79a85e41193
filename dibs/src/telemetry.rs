//! Logs and metrics of this process.

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::config::logs::{LogFormat, Logs};
use crate::roles::Roles;

/// Sends logs to standard error, and panics to the logs. Once a process.
pub(crate) fn log(logs: &Logs) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(logs.log_level.filter())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match logs.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%panic, %backtrace, "a task panicked");
    }));
}

/// How often what was measured is put together, so that it does not pile up where nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keeps what was measured small, until `stop`.
pub(crate) async fn upkeep(counted: &'static PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        counted.run_upkeep();
    }
}

/// Begins to count, and says what is counted: these roles of this version.
pub(crate) fn metrics(roles: Roles) -> &'static PrometheusHandle {
    let counted = recorded();
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("dibs_build_info", "version" => version, "roles" => roles.label()).set(1);
    counted
}

/// What this process has counted. The first call begins the counting; servers that share a
/// process share it.
pub(crate) fn recorded() -> &'static PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| {
        let suffix = |end: &str| Matcher::Suffix(end.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(suffix("_seconds"), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(suffix("_size"), &SIZES))
            .expect("the lists of buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics are recorded elsewhere in this process; /metrics stays empty");
        }
        edge::observe::describe();
        metrics::describe_gauge!("dibs_build_info", "1, with the version and the roles as labels.");
        handle
    })
}

/// From an answer of a store to an order that waits for one.
const SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Claims, orders or tickets that go together.
const SIZES: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];
