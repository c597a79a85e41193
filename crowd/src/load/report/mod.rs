//! What a load came to, for people and for programs.

mod chart;
mod html;
mod json;
mod style;
mod text;

use std::fmt;
use std::time::Duration;

use super::arrivals::Arrivals;
use super::plan::Plan;
use super::tally::{LATE, Latencies, Tally, WAYS};
use crate::check::Verdict;
use crate::history::Way;

pub(super) use html::html;
pub(super) use json::json;
pub(super) use text::text;

/// The percentiles that are told.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// All that is reported.
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tally: &'a Tally,
    pub(super) judged: Judged,
}

/// Whether the invariants held.
pub(super) enum Judged {
    Verdict(Verdict),
    /// Nobody knows, and why.
    Not(String),
}

/// A part of a buyer's wait.
struct Stage<'a> {
    name: &'static str,
    /// Whether it is a part of the stage above.
    part: bool,
    latencies: &'a Latencies,
}

/// Something that happens again and again.
struct Rate {
    name: &'static str,
    count: u64,
    /// A second, over all of the load.
    mean: f64,
    /// A second, in the busiest slice.
    peak: f64,
}

impl Report<'_> {
    /// Whether an invariant was violated.
    pub(super) fn violated(&self) -> bool {
        match &self.judged {
            Judged::Verdict(verdict) => !verdict.holds(),
            Judged::Not(_) => false,
        }
    }

    /// The stages of which there is something to tell.
    fn stages(&self) -> Vec<Stage<'_>> {
        let Tally { answered, known, known_on, .. } = self.tally;
        let whole = |name, latencies| Stage { name, part: false, latencies };
        let mut stages =
            vec![whole("Claim answered", answered), whole("Final result known", known)];
        let parts = WAYS.iter().zip(known_on).filter(|(_, latencies)| !latencies.is_empty());
        stages.extend(parts.map(|(way, latencies)| Stage {
            name: over(*way),
            part: true,
            latencies,
        }));
        stages
    }

    fn rates(&self) -> [Rate; 3] {
        let (timeline, took) = (&self.tally.timeline, self.tally.took.as_secs_f64());
        let slices = timeline.slices();
        let rate = |name, counts: fn(&super::timeline::Slice) -> u64| {
            let count: u64 = slices.iter().map(counts).sum();
            let peak = slices.iter().map(counts).max().unwrap_or(0) as f64;
            let mean = if took > 0.0 { count as f64 / took } else { 0.0 };
            Rate { name, count, mean, peak: peak / timeline.width().as_secs_f64() }
        };
        [
            rate("Claims due", |slice| slice.due),
            rate("Claims answered", |slice| slice.answered),
            rate("Final results known", |slice| slice.finals),
        ]
    }

    /// What became of the buyers.
    fn buyers(&self) -> Vec<(&'static str, u64)> {
        let Tally { scheduled, shed, cut_off, nameless, .. } = *self.tally;
        let mut rows = vec![
            ("Scheduled", scheduled),
            ("Sent", scheduled - shed - cut_off - nameless),
            ("Shed: too many were open", shed),
        ];
        let others = [("Cut off", cut_off), ("Nobody vouched for them", nameless)];
        rows.extend(others.into_iter().filter(|(_, count)| *count > 0));
        rows
    }

    /// What became of the claims.
    fn claims(&self) -> Vec<(String, u64)> {
        let tally = self.tally;
        let mut rows = vec![
            ("In all".to_owned(), tally.claims),
            ("Attempts at them".to_owned(), tally.attempts),
            ("Granted".to_owned(), tally.granted),
            ("Confirmed".to_owned(), tally.confirmed),
            ("Rejected".to_owned(), tally.rejected),
            ("Without a final result".to_owned(), tally.undecided),
        ];
        let refused = tally.refused.iter();
        rows.extend(
            refused.map(|(problem, count)| (format!("Refused: {}", slug(problem)), *count)),
        );
        rows.push(("Never answered".to_owned(), tally.unanswered));
        rows
    }

    /// Whether the generator itself was too slow for its figures to be the server's.
    fn fell_behind(&self) -> bool {
        let Tally { late, shed, scheduled, .. } = *self.tally;
        shed > 0 || late * 100 > scheduled
    }

    /// How fast the generator itself was, in words.
    fn generator(&self) -> String {
        let Tally { late, shed, lateness, scheduled, .. } = self.tally;
        let worst = Short(lateness.max());
        let mut words = if *late == 0 {
            format!("The generator kept up: it sent every buyer within {worst} of his moment.")
        } else {
            let begin =
                if self.fell_behind() { "The generator fell behind: it" } else { "The generator" };
            format!(
                "{begin} sent {} of {} buyers more than {} after their moment, the last of them \
                 {worst}. Their wait for it is part of these figures.",
                Grouped(*late),
                Grouped(*scheduled),
                Short(LATE),
            )
        };
        if *shed > 0 {
            words.push_str(&format!(
                " {} buyers were not sent at all, because {} were open already: the load is less \
                 than its schedule.",
                Grouped(*shed),
                Grouped(self.plan.most_open as u64),
            ));
        }
        words
    }

    /// The schedule in words.
    fn arrivals(&self) -> String {
        let words = humantime::format_duration;
        match self.plan.arrivals {
            Arrivals::Constant { rate, lasting } => {
                format!("{rate} buyers a second for {}", words(lasting))
            }
            Arrivals::Ramp { from, to, lasting } => {
                format!("{from} to {to} buyers a second within {}", words(lasting))
            }
            Arrivals::Herd { buyers, within } => {
                let buyers = Grouped(buyers as u64);
                format!("a herd of {buyers} within {} of the opening", words(within))
            }
        }
    }

    fn sales(&self) -> String {
        let sales: Vec<_> = self.plan.sales.iter().map(|sale| sale.as_str()).collect();
        sales.join(", ")
    }

    fn servers(&self) -> String {
        let mut servers: Vec<_> = self
            .plan
            .doors
            .iter()
            .flat_map(|door| [door.api.as_str(), door.push.as_str()])
            .collect();
        servers.dedup();
        servers.join(", ")
    }
}

fn over(way: Way) -> &'static str {
    match way {
        Way::Socket => "over WebSocket",
        Way::Events => "over Server-Sent Events",
        Way::LongPoll => "by long-poll",
        Way::Poll => "by polling",
    }
}

/// The last part of a problem's type.
fn slug(problem: &str) -> &str {
    problem.rsplit('/').next().unwrap_or(problem)
}

/// A duration in three digits.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1000.0;
        let (value, unit) = if ms < 999.5 { (ms, "ms") } else { (ms / 1000.0, "s") };
        let digits = match value {
            value if value < 9.995 => 2,
            value if value < 99.95 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

/// A number with its thousands set apart.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests;
