//! The report as one page that needs nothing else.

use clap::ValueEnum as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{self, DESK, PHONE, Size};
use super::style::STYLE;
use super::{Grouped, Judged, PERCENTILES, Report, Short};
use crate::check::{Kind, Verdict};
use crate::load::tally::Tally;

const BRAND: PreEscaped<&str> = PreEscaped(
    r##"<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#d9431e"/><path fill="#fff" d="M6 10.5A1.5 1.5 0 0 1 7.5 9h17a1.5 1.5 0 0 1 1.5 1.5v2.6a3 3 0 0 0 0 5.8v2.6a1.5 1.5 0 0 1-1.5 1.5h-17A1.5 1.5 0 0 1 6 21.5v-2.6a3 3 0 0 0 0-5.8z"/><path fill="none" stroke="#d9431e" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round" d="m12 16.2 2.8 2.8 5.4-5.8"/></svg>"##,
);

/// The report as a page.
pub(in super::super) fn html(report: &Report<'_>) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Dibs load report: " (report.sales()) }
                style { (PreEscaped(STYLE)) (PreEscaped(chart::colours())) }
            }
            body {
                header {
                    span.brand { (BRAND) "Load report" }
                    time { (moment(report)) }
                }
                main {
                    (verdict(report))
                    (figures(report))
                    (over_time(report.tally))
                    (stages(report))
                    div.pair { (buyers(report)) (claims(report)) }
                    (invariants(&report.judged))
                    (plan(report))
                }
                footer {
                    "Latencies count from the moment that the schedule names for a buyer, whenever his \
                     request was sent: a slow server is charged for everybody whom it keeps waiting."
                }
            }
        }
    }
    .into_string()
}

/// When it began, such as `2026-11-25 20:00:05 UTC`.
fn moment(report: &Report<'_>) -> String {
    let text = report.tally.began.to_string().replace('T', " ");
    format!("{} UTC", text.split('.').next().unwrap_or_default())
}

fn verdict(report: &Report<'_>) -> Markup {
    let all = Kind::value_variants().len();
    let (class, words) = match &report.judged {
        Judged::Verdict(verdict) if verdict.holds() => {
            ("held", format!("All {all} invariants held"))
        }
        Judged::Verdict(verdict) => {
            let violated = verdict.found.len();
            ("violated", format!("{violated} of {all} invariants violated"))
        }
        Judged::Not(_) => ("unknown", "Not judged".to_owned()),
    };
    html! {
        section class={ "card verdict " (class) } {
            (sign(class))
            div {
                h1 { (words) }
                p {
                    @match &report.judged {
                        Judged::Verdict(verdict) => {
                            "Judged from " (Grouped(verdict.checked.events)) " events of "
                            (Grouped(verdict.checked.buyers)) " buyers and the ledger's "
                            (Grouped(verdict.checked.booked)) " tickets. "
                        }
                        Judged::Not(why) => { (why) ". " }
                    }
                    "The load was " (report.arrivals()) "."
                }
            }
        }
    }
}

fn sign(class: &str) -> Markup {
    let path = match class {
        "held" => "m15.5 24.5 6 6 11-12.5",
        "violated" => "M24 14v13m0 6.5v.01",
        _ => "M19 19a5 5 0 1 1 7 4.6c-1.4.7-2 1.7-2 3.4m0 6.5v.01",
    };
    html! {
        svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3.5"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {
            circle cx="24" cy="24" r="21" {}
            path d=(path) {}
        }
    }
}

fn figures(report: &Report<'_>) -> Markup {
    let Tally { answered, known, confirmed, claims, .. } = report.tally;
    let [due, ..] = report.rates();
    let figure = |name: &str, value: String, more: String| {
        html! { div { dt { (name) } dd { (value) } small { (more) } } }
    };
    let stage = |name, latencies: &crate::load::tally::Latencies| {
        if latencies.is_empty() {
            return figure(name, "–".to_owned(), "nobody".to_owned());
        }
        let at = |percent| Short(latencies.percentile(percent));
        let more = format!("P99; median {}, longest {}", at(50.0), Short(latencies.max()));
        figure(name, at(99.0).to_string(), more)
    };
    let errors: u64 = report.tally.errors.values().sum();
    html! {
        dl.card.figures {
            (figure("Claims", Grouped(*claims).to_string(), format!("from {} buyers", Grouped(report.tally.scheduled))))
            (stage("Claim answered", answered))
            (stage("Final result known", known))
            (figure("Busiest moment", format!("{}/s", Grouped(due.peak.round() as u64)), format!("claims due, in the busiest {}", Short(report.tally.timeline.width()))))
            (figure("Confirmed", Grouped(*confirmed).to_string(), "tickets that the ledger has committed".to_owned()))
            (figure("Errors", Grouped(errors).to_string(), "requests that failed, retried where that helps".to_owned()))
        }
    }
}

fn chart(
    title: &str,
    says: &str,
    legend: &[(&str, &str)],
    draw: impl Fn(Size) -> String,
) -> Markup {
    html! {
        h2 { (title) }
        figure role="img" aria-label=(says) {
            ul.legend aria-hidden="true" {
                @for (colour, name) in legend {
                    li { i style={ "background: var(--" (colour) ")" } {} (name) }
                }
            }
            div.desk { (PreEscaped(draw(DESK))) }
            div.phone { (PreEscaped(draw(PHONE))) }
        }
    }
}

fn over_time(tally: &Tally) -> Markup {
    let width = Short(tally.timeline.width());
    let legend =
        [("due", "Claims due"), ("first", "Claims answered"), ("second", "Final results known")];
    let says =
        format!("Claims due, claims answered and final results a second, in slices of {width}");
    html! {
        section.card {
            (chart("Throughput, a second", &says, &legend, |size| chart::timeline(tally, size)))
        }
    }
}

fn stages(report: &Report<'_>) -> Markup {
    let tally = report.tally;
    let legend = [("first", "Claim answered"), ("second", "Final result known")];
    html! {
        section.card {
            (chart("How long buyers waited", "Percentiles of each stage; the table below has them",
                &legend, |size| chart::percentiles(tally, size)))
            div.scroll {
                table {
                    thead { tr {
                        th scope="col" { "Since the scheduled moment" }
                        th.number.count scope="col" { "Count" }
                        @for percent in PERCENTILES { th.number scope="col" { "P" (percent) } }
                        th.number scope="col" { "Longest" }
                    } }
                    tbody {
                        @for stage in report.stages() {
                            tr {
                                th scope="row" class=[stage.part.then_some("part")] { (stage.name) }
                                td.number.count { (Grouped(stage.latencies.len())) }
                                @for percent in PERCENTILES {
                                    td.number { (Short(stage.latencies.percentile(percent))) }
                                }
                                td.number { (Short(stage.latencies.max())) }
                            }
                        }
                    }
                }
            }
            p.note.bad[report.fell_behind()] { (report.generator()) }
        }
    }
}

fn counts<'a>(rows: impl IntoIterator<Item = (&'a str, u64)>) -> Markup {
    html! {
        table { tbody {
            @for (name, count) in rows {
                tr { th scope="row" { (name) } td.number { (Grouped(count)) } }
            }
        } }
    }
}

fn buyers(report: &Report<'_>) -> Markup {
    let errors = &report.tally.errors;
    html! {
        div.pair style="grid-template-columns: minmax(0, 1fr); align-content: start" {
            section.card { h2 { "Buyers" } (counts(report.buyers())) }
            section.card {
                h2 { "Errors" }
                @if errors.is_empty() {
                    p.muted { "Not one request failed." }
                } @else {
                    (counts(errors.iter().map(|(error, count)| (error.as_str(), *count))))
                }
            }
        }
    }
}

fn claims(report: &Report<'_>) -> Markup {
    let rows = report.claims();
    html! {
        section.card {
            h2 { "Claims" }
            (counts(rows.iter().map(|(name, count)| (name.as_str(), *count))))
        }
    }
}

fn invariants(judged: &Judged) -> Markup {
    let Judged::Verdict(verdict) = judged else { return html! {} };
    html! {
        section.card {
            h2 { "Invariants" }
            ul.invariants {
                @for kind in Kind::value_variants() { (invariant(*kind, verdict)) }
            }
        }
    }
}

fn invariant(kind: Kind, verdict: &Verdict) -> Markup {
    let Some(cases) = verdict.found.get(&kind) else {
        return html! { li { span { (kind.promise()) } span.mark.yes { "held" } } };
    };
    html! {
        li {
            span { (kind.promise()) }
            span.mark.no { (kind) ", " (Grouped(*cases)) }
            ul.examples {
                @for example in verdict.violations.iter().filter(|example| example.kind == kind) {
                    li { (example.says) }
                }
            }
        }
    }
}

fn plan(report: &Report<'_>) -> Markup {
    let plan = report.plan;
    let row = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.card {
            h2 { "Plan" }
            dl.plan {
                (row("Sale", report.sales()))
                (row("Server", report.servers()))
                (row("Arrivals", report.arrivals()))
                (row("Ways of following", plan.mix.to_string()))
                (row("Behaviour", plan.behaviour.to_string()))
                (row("Patience", humantime::format_duration(plan.patience).to_string()))
                (row("Open at a time, at most", Grouped(plan.most_open as u64).to_string()))
                (row("Took", Short(report.tally.took).to_string()))
                (row("Seed", plan.seed.to_string()))
            }
        }
    }
}
