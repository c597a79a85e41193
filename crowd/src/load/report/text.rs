//! The report on a terminal.

use std::fmt::{self, Write as _};

use clap::ValueEnum as _;

use super::{Grouped, Judged, PERCENTILES, Report, Short};
use crate::check::{Kind, Verdict};

/// The report as text.
pub(in super::super) fn text(report: &Report<'_>) -> String {
    let mut text = String::new();
    write(report, &mut text).expect("a string takes all that is written to it");
    text
}

fn write(report: &Report<'_>, out: &mut String) -> fmt::Result {
    writeln!(out, "Load: {}, seed {}", report.arrivals(), report.plan.seed)?;
    writeln!(out, "Sale: {} at {}", report.sales(), report.servers())?;
    writeln!(out, "Took: {}\n", Short(report.tally.took))?;
    writeln!(out, "{:<36}  {:>10}", "BUYERS", "COUNT")?;
    for (name, count) in report.buyers() {
        writeln!(out, "{name:<36}  {:>10}", Grouped(count))?;
    }
    writeln!(out, "\n{:<36}  {:>10}", "CLAIMS", "COUNT")?;
    for (name, count) in report.claims() {
        writeln!(out, "{name:<36}  {:>10}", Grouped(count))?;
    }
    stages(report, out)?;
    writeln!(out, "\n{:<26}  {:>10}  {:>12}  {:>12}", "RATES", "COUNT", "MEAN/S", "PEAK/S")?;
    for rate in report.rates() {
        let (name, count) = (rate.name, Grouped(rate.count));
        writeln!(out, "{name:<26}  {count:>10}  {:>12.1}  {:>12.1}", rate.mean, rate.peak)?;
    }
    if !report.tally.errors.is_empty() {
        writeln!(out, "\n{:<36}  {:>10}", "ERRORS, RETRIED WHERE THAT HELPS", "COUNT")?;
        for (error, count) in &report.tally.errors {
            writeln!(out, "{error:<36}  {:>10}", Grouped(*count))?;
        }
    }
    writeln!(out, "\n{}", report.generator())?;
    match &report.judged {
        Judged::Verdict(verdict) => verdict_of(verdict, out),
        Judged::Not(why) => writeln!(out, "Not judged: {why}."),
    }
}

fn stages(report: &Report<'_>, out: &mut String) -> fmt::Result {
    write!(out, "\n{:<26}  {:>10}", "SINCE THE SCHEDULED MOMENT", "COUNT")?;
    for percent in PERCENTILES {
        write!(out, "  {:>8}", format!("P{percent}"))?;
    }
    writeln!(out, "  {:>8}", "MAX")?;
    for stage in report.stages() {
        let name = if stage.part { format!("  {}", stage.name) } else { stage.name.to_owned() };
        write!(out, "{name:<26}  {:>10}", Grouped(stage.latencies.len()))?;
        for percent in PERCENTILES {
            write!(out, "  {:>8}", Short(stage.latencies.percentile(percent)))?;
        }
        writeln!(out, "  {:>8}", Short(stage.latencies.max()))?;
    }
    Ok(())
}

fn verdict_of(verdict: &Verdict, out: &mut String) -> fmt::Result {
    if verdict.holds() {
        let (all, events) = (Kind::value_variants().len(), Grouped(verdict.checked.events));
        return writeln!(out, "Verdict: all {all} invariants held, over {events} events.");
    }
    writeln!(out, "Verdict: VIOLATED")?;
    for (kind, cases) in &verdict.found {
        writeln!(out, "  {kind}: {cases} cases, though {}", kind.promise())?;
        for example in verdict.violations.iter().filter(|example| example.kind == *kind) {
            writeln!(out, "    {}", example.says)?;
        }
    }
    Ok(())
}
