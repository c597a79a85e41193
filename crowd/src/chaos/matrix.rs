//! Every fault on every part.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::binary;
use super::cell::{self, Outcome, Report};
use super::deployment::Deployment;
use super::fault::{Cell, Engines};
use super::{On, Place, say, seconds};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What the deployments stand on.
    #[arg(long, value_enum, default_value = "all")]
    engines: Which,
    /// The seeds; every cell is run with each.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// Only cells with this in their name, such as `kill` or `worker-pulsar`.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    on: On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Embedded,
    Real,
    All,
}

/// All that was run, as `matrix.json` has it.
#[derive(Debug, Default, Serialize)]
struct Matrix {
    judged: Vec<Report>,
    /// Cells whose deployment did not come up again.
    broken: Vec<(Cell, u64, String)>,
    not_run: Vec<(Cell, u64, String)>,
    took: Duration,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let place = Place::new(arguments.on.keep.as_deref())?;
    let dibs = binary::dibs(arguments.on.dibs.as_deref()).await?;
    let engines: &[_] = match arguments.engines {
        Which::Embedded => &[Engines::Embedded],
        Which::Real => &[Engines::Real],
        Which::All => &[Engines::Embedded, Engines::Real],
    };
    let mut matrix = Matrix::default();
    say(&line("cell", "seed", "violations", "first answer", "all decided", "took"))?;
    for engines in engines {
        let mut cells = engines.matrix();
        cells.retain(|cell| {
            arguments.only.as_ref().is_none_or(|only| cell.to_string().contains(only))
        });
        let mut deployment = None;
        for seed in &arguments.seeds {
            for cell in &cells {
                matrix.run(&arguments.on, &dibs, &place, &mut deployment, *cell, *seed).await?;
            }
        }
    }
    matrix.took = begun.elapsed();
    tokio::fs::write(place.path().join("matrix.json"), serde_json::to_vec_pretty(&matrix)?).await?;
    matrix.sum_up()?;
    let code = matrix.exit_code();
    if code != 0 {
        say(&format!("kept in {}", place.keep().display()))?;
    }
    Ok(code.into())
}

impl Matrix {
    /// Runs one cell on the deployment that is there, or on a fresh one, and prints its line.
    async fn run(
        &mut self,
        on: &On,
        dibs: &Path,
        place: &Place,
        deployment: &mut Option<Deployment>,
        cell: Cell,
        seed: u64,
    ) -> anyhow::Result<()> {
        let mut running = match deployment.take() {
            Some(running) => running,
            None => match on.start(cell.engines, dibs, place).await {
                Ok(started) => started,
                Err(error) => return self.add_broken(cell, seed, &error),
            },
        };
        let folder = place.path().join(format!("{cell} {seed}").replace(' ', "-"));
        match cell::run(&mut running, cell, seed, &on.visitors, &folder).await {
            Ok(Outcome::Judged(report)) => {
                say(&row(&report))?;
                if let Some(why) = &report.left {
                    say(&format!("    the next cell gets a fresh deployment: {why}"))?;
                } else {
                    *deployment = Some(running);
                }
                if let Some(who) = report.unserved() {
                    say(&format!("    {who}"))?;
                }
                for violation in report.verdict.violations.iter().take(3) {
                    say(&format!("    {}: {}", violation.kind, violation.says))?;
                }
                self.judged.push(*report);
            }
            Ok(Outcome::NotRun(why)) => {
                *deployment = Some(running);
                say(&format!("{cell:<32} {seed:>6} NOT RUN: {why}"))?;
                self.not_run.push((cell, seed, why));
            }
            // What is left of the deployment ends here; the next cell gets a fresh one.
            Err(error) => self.add_broken(cell, seed, &error)?,
        }
        Ok(())
    }

    fn add_broken(&mut self, cell: Cell, seed: u64, error: &anyhow::Error) -> anyhow::Result<()> {
        say(&format!("{cell:<32} {seed:>6} BROKEN: {error:#}"))?;
        self.broken.push((cell, seed, format!("{error:#}")));
        Ok(())
    }

    /// 0 where every cell was run and holds, 1 where one does not, 2 where nothing speaks against
    /// a cell that was not run, or there is none.
    fn exit_code(&self) -> u8 {
        if !self.broken.is_empty() || !self.judged.iter().all(Report::holds) {
            1
        } else if self.judged.is_empty() || !self.not_run.is_empty() {
            2
        } else {
            0
        }
    }

    fn sum_up(&self) -> std::io::Result<()> {
        let Self { judged, broken, not_run, took } = self;
        let violated = judged.iter().filter(|report| !report.holds());
        say(&format!(
            "{} cells in {} min: {} violated, {} broken, {} NOT RUN",
            judged.len() + broken.len() + not_run.len(),
            took.as_secs().div_ceil(60),
            violated.clone().count(),
            broken.len(),
            not_run.len(),
        ))?;
        let slowest =
            |of: fn(&Report) -> Option<Duration>| seconds(judged.iter().filter_map(of).max());
        say(&format!(
            "slowest first answer after healing: {}; slowest to decide all who waited: {}",
            slowest(|report| report.recovery.first_answer),
            slowest(|report| report.recovery.all_decided),
        ))?;
        for report in violated {
            let (cell, seed) = (report.cell, report.seed);
            let who = report.unserved().unwrap_or_default();
            say(&format!("violated: {cell}, seed {seed}: {:?} {who}", report.verdict.found))?;
        }
        for (cell, seed, why) in broken {
            say(&format!("broken: {cell}, seed {seed}: {why}"))?;
        }
        for (cell, seed, why) in not_run {
            say(&format!("NOT RUN: {cell}, seed {seed}: {why}"))?;
        }
        Ok(())
    }
}

fn row(report: &Report) -> String {
    let violations: u64 = report.verdict.found.values().sum();
    line(
        &report.cell.to_string(),
        &report.seed.to_string(),
        &violations.to_string(),
        &seconds(report.recovery.first_answer),
        &seconds(report.recovery.all_decided),
        &seconds(Some(report.took)),
    )
}

fn line(
    cell: &str,
    seed: &str,
    violations: &str,
    answer: &str,
    decided: &str,
    took: &str,
) -> String {
    format!("{cell:<32} {seed:>6} {violations:>11} {answer:>13} {decided:>12} {took:>9}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::recovery::Recovery;
    use crate::chaos::schedule::Schedule;
    use crate::check::{Checked, Kind, Verdict};

    const ONCE: Option<Duration> = Some(Duration::ZERO);

    fn report() -> Report {
        let cell = Engines::Embedded.matrix()[0];
        Report {
            cell,
            seed: 1,
            schedule: Schedule::draw(1, cell),
            recovery: Recovery { first_answer: ONCE, all_decided: ONCE, waiting: 0 },
            touched: None,
            verdict: Verdict {
                checked: Checked { granted: 1, ..Checked::default() },
                ..Verdict::default()
            },
            left: None,
            took: Duration::ZERO,
        }
    }

    fn code_of(judged: impl IntoIterator<Item = Report>) -> u8 {
        Matrix { judged: judged.into_iter().collect(), ..Matrix::default() }.exit_code()
    }

    #[test]
    fn a_matrix_of_cells_that_hold_succeeds_and_one_without_a_cell_says_nothing() {
        assert_eq!(code_of([report(), report()]), 0);
        assert_eq!(code_of([]), 2);
    }

    #[test]
    fn a_cell_that_serves_nobody_fails_though_no_invariant_is_violated() {
        let mut nobody = report();
        nobody.verdict.checked.granted = 0;
        let mut silent = report();
        silent.recovery.first_answer = None;
        let mut undecided = report();
        undecided.recovery.all_decided = None;
        for unserved in [nobody, silent, undecided] {
            assert!(unserved.verdict.holds() && !unserved.holds(), "{:?}", unserved.unserved());
            assert_eq!(code_of([report(), unserved]), 1);
        }
    }

    #[test]
    fn a_violation_and_a_broken_cell_fail_the_matrix_and_one_that_was_not_run_leaves_it_open() {
        let mut violated = report();
        violated.verdict.found.insert(Kind::Lost, 1);
        assert_eq!(code_of([violated]), 1);
        let cell = report().cell;
        let listed = || vec![(cell, 1, "why".to_owned())];
        let mut matrix = Matrix { judged: vec![report()], ..Matrix::default() };
        matrix.not_run = listed();
        assert_eq!(matrix.exit_code(), 2);
        matrix.broken = listed();
        assert_eq!(matrix.exit_code(), 1);
    }
}
