//! The report for programs.

use serde_json::{Map, Value, json};

use super::{Judged, PERCENTILES, Report};
use crate::load::tally::{LATE, Latencies};

/// The report as JSON. Durations are in microseconds.
pub(in super::super) fn json(report: &Report<'_>) -> Value {
    let tally = report.tally;
    let stages: Map<_, _> =
        report.stages().iter().map(|stage| (key(stage.name), latencies(stage.latencies))).collect();
    let rates: Map<_, _> = report
        .rates()
        .iter()
        .map(|rate| {
            let rates = json!({ "count": rate.count, "mean": rate.mean, "peak": rate.peak });
            (key(rate.name), rates)
        })
        .collect();
    let (verdict, not_judged) = match &report.judged {
        Judged::Verdict(verdict) => (json!(verdict), Value::Null),
        Judged::Not(why) => (Value::Null, json!(why)),
    };
    json!({
        "began": tally.began,
        "took": micros(tally.took),
        "plan": report.plan,
        "buyers": {
            "scheduled": tally.scheduled,
            "shed": tally.shed,
            "cut_off": tally.cut_off,
            "nameless": tally.nameless,
        },
        "generator": {
            "late": tally.late,
            "late_is_more_than": micros(LATE),
            "lateness": latencies(&tally.lateness),
        },
        "claims": {
            "claims": tally.claims,
            "attempts": tally.attempts,
            "granted": tally.granted,
            "confirmed": tally.confirmed,
            "rejected": tally.rejected,
            "undecided": tally.undecided,
            "refused": tally.refused,
            "unanswered": tally.unanswered,
        },
        "since_the_scheduled_moment": stages,
        "rates_per_second": rates,
        "errors": tally.errors,
        "timeline": {
            "width": micros(tally.timeline.width()),
            "slices": tally.timeline.slices(),
        },
        "verdict": verdict,
        "not_judged": not_judged,
    })
}

fn key(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}

fn latencies(latencies: &Latencies) -> Value {
    let mut values = Map::new();
    values.insert("count".to_owned(), json!(latencies.len()));
    for percent in PERCENTILES {
        values.insert(format!("p{percent}"), json!(micros(latencies.percentile(percent))));
    }
    values.insert("mean".to_owned(), json!(micros(latencies.mean())));
    values.insert("max".to_owned(), json!(micros(latencies.max())));
    Value::Object(values)
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
