//! One cell: a load, a fault in the middle of it, and the verdict on what the buyers saw.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use client::{Admin, Claim, Client, NewSale, Options};
use sale::id::SaleId;
use sale::units::Units;
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deployment::{ADMIN_KEY, Deployment, SHOP_SECRET};
use super::fault::{Cell, Fault};
use super::probe;
use super::recovery::Recovery;
use super::schedule::Schedule;
use super::strike::Struck;
use super::touched::Touched;
use super::visitors::Visitors;
use crate::books::{self, Books};
use crate::check::{self, Verdict};
use crate::history::Recorder;
use crate::load::{self, Arrivals, Door, Plan, Progress, Signer};

/// When the sales open after they were created.
const OPENS_AFTER: Duration = Duration::from_millis(1_500);
const OPEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long buyers go on to come after the fault has begun to be undone, and after all is up.
const LATECOMERS: Duration = Duration::from_secs(1);
const AFTERWARDS: Duration = Duration::from_secs(3);
/// The most buyers at a time.
const MOST_OPEN: usize = 2_000;

/// How long a process may still count watchers that have gone.
const FORGETS_WITHIN: Duration = Duration::from_secs(20);

/// Stock and limit: more than is wanted, and less.
const STALLS: [(&str, u32, u64); 3] =
    [("plenty", 5_000, 1), ("several", 5_000, 3), ("scarce", 60, 2)];
/// The probe's own.
const PROBED: (&str, u32, u64) = ("probe", 1, 1);

/// What came of a cell.
#[derive(Debug)]
pub enum Outcome {
    /// It was run and judged.
    Judged(Box<Report>),
    /// This machine lacks what it needs.
    NotRun(String),
}

/// A cell that was run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which.
    pub cell: Cell,
    /// What everything was drawn from.
    pub seed: u64,
    /// What was drawn.
    pub schedule: Schedule,
    /// How long it took until the deployment did its work again.
    pub recovery: Recovery,
    /// What the fault has touched, if it is one of connections.
    pub touched: Option<Touched>,
    /// Whether every invariant held.
    pub verdict: Verdict,
    /// What could not be put back in order after the verdict: the deployment is not to be used
    /// for another cell.
    pub left: Option<String>,
    /// The time that all of it took.
    pub took: Duration,
}

impl Report {
    /// Whether every promise was kept, and buyers were served before and after.
    pub fn holds(&self) -> bool {
        self.verdict.holds() && self.unserved().is_none()
    }

    /// Who was not served. A deployment that answers nobody violates no invariant.
    pub fn unserved(&self) -> Option<&'static str> {
        if self.verdict.checked.granted == 0 {
            Some("no claim was granted")
        } else if self.recovery.first_answer.is_none() {
            Some("not every door granted a claim after healing")
        } else if self.recovery.all_decided.is_none() {
            Some("somebody who waited at healing was never told his result")
        } else {
            None
        }
    }
}

/// Runs a cell. History, books and report lie in the folder afterwards.
///
/// # Errors
/// The fault touched nothing, the deployment does not come up again, or the folder cannot be
/// written.
pub async fn run(
    deployment: &mut Deployment,
    cell: Cell,
    seed: u64,
    visitors: &Visitors,
    folder: &Path,
) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    tokio::fs::create_dir_all(folder).await?;
    let schedule = Schedule::draw(seed, cell);
    if let Some(why) = deployment.prepare(cell, &schedule).await? {
        return Ok(Outcome::NotRun(why));
    }
    let admin = Admin::new(deployment.operator()?, ADMIN_KEY)?;
    let (sales, probe) = open_sales(deployment, &admin, cell, seed).await?;
    let history = folder.join("history.jsonl");
    let (recorder, writing) = Recorder::create(&history).await?;
    let crowd =
        Crowd { deployment, sales: &sales, probe: &probe, admin: &admin, visitors, recorder };
    let (healed, first_answer) = crowd.come(cell, &schedule).await?;
    writing.end().await.context("the history is not complete")?;
    let books = read_books(deployment, &admin, cell, &sales, visitors.patience).await?;
    write(&folder.join("books.json"), &books).await?;
    let verdict = check::judge(&history, &books).await?;
    write(&folder.join("verdict.json"), &verdict).await?;
    let recovery = Recovery::read(&history, healed, first_answer).await?;
    let took = begun.elapsed();
    let touched = matches!(cell.fault, Some(Fault::Line(..))).then(|| deployment.touched());
    ensure!(touched.is_none_or(Touched::is_something), "the fault touched nothing");
    let cleared = clear(deployment, &admin, sales.iter().chain([&probe.sale])).await;
    let left = cleared.err().map(|error| format!("{error:#}"));
    let report = Report { cell, seed, schedule, recovery, touched, verdict, left, took };
    write(&folder.join("report.json"), &report).await?;
    Ok(Outcome::Judged(Box::new(report)))
}

/// Leaves the deployment to the next cell.
async fn clear(
    deployment: &mut Deployment,
    admin: &Admin,
    sales: impl Iterator<Item = &SaleId>,
) -> anyhow::Result<()> {
    deployment.clear().await?;
    for sale in sales {
        admin.close(sale).await?;
    }
    Ok(())
}

/// The sales of the crowd, and what the probe claims.
async fn open_sales(
    deployment: &Deployment,
    admin: &Admin,
    cell: Cell,
    seed: u64,
) -> anyhow::Result<(Vec<SaleId>, Claim)> {
    let clock = Client::new(Options::new(deployment.operator()?))?.clock().await?;
    let opens_at = clock.now().plus(OPENS_AFTER);
    let mut sales = Vec::new();
    for (name, stock, limit) in STALLS.into_iter().chain([PROBED]) {
        let id = SaleId::new(&format!("{cell} {name} {seed}").replace(' ', "-"))?;
        let limit = Units::new(limit)?;
        let closes_at = opens_at.plus(OPEN_FOR);
        let name = format!("{name}, {cell}");
        admin.create(&NewSale { id: id.clone(), name, stock, limit, opens_at, closes_at }).await?;
        sales.push(id);
    }
    let probed = sales.pop().context("the last one is the probe's")?;
    let buyer = Signer::new(SHOP_SECRET).vouch("probe".to_owned(), clock.now());
    Ok((sales, Claim::new(probed, buyer.jwt)))
}

/// Who comes to a cell's sales.
struct Crowd<'a> {
    deployment: &'a mut Deployment,
    sales: &'a [SaleId],
    probe: &'a Claim,
    admin: &'a Admin,
    visitors: &'a Visitors,
    recorder: Recorder,
}

impl Crowd<'_> {
    /// Comes, is there when the fault strikes, and comes again when it is undone. Answers when
    /// that began, by the history's clock, and how long it took until claims were granted again.
    async fn come(
        self,
        cell: Cell,
        schedule: &Schedule,
    ) -> anyhow::Result<(u64, Option<Duration>)> {
        let lasting = schedule.begins + schedule.lasts + LATECOMERS;
        let during = self.plan(schedule.load, lasting)?;
        let after = self.plan(schedule.load.wrapping_add(1), AFTERWARDS)?;
        let doors: Vec<_> = self.deployment.entrances().into_iter().map(|(api, _)| api).collect();
        let Self { deployment, probe, visitors, recorder, .. } = self;
        let breaking = async {
            sleep(if cell.steps_a_clock() {
                // Whose clock opens a sale shows when it opens.
                OPENS_AFTER / 2
            } else {
                OPENS_AFTER + schedule.begins
            })
            .await;
            if let Some(fault) = cell.fault {
                break_and_heal(deployment, fault, schedule).await?;
            }
            let healed = recorder.now();
            let (first_answer, ()) = tokio::try_join!(
                probe::until_granted(&doors, probe, visitors.patience),
                deployment.until_ready(),
            )?;
            send(&after, &recorder).await?;
            Ok((healed, first_answer))
        };
        // Both to their end: what is broken is healed even if no buyer can be sent.
        let (broken, sent) = tokio::join!(breaking, send(&during, &recorder));
        sent.and(broken)
    }

    fn plan(&self, seed: u64, lasting: Duration) -> anyhow::Result<Plan> {
        let doors = self.deployment.entrances().into_iter();
        Ok(Plan {
            doors: doors.map(|(api, push)| Door { api, push }).collect(),
            ca: None,
            sales: self.sales.to_vec(),
            arrivals: Arrivals::Constant { rate: self.visitors.rate, lasting },
            mix: self.visitors.mix,
            behaviour: self.visitors.behaviour(),
            most_units: Units::new(3)?,
            identity: format!("hs256:{SHOP_SECRET}").parse()?,
            patience: self.visitors.patience,
            most_open: MOST_OPEN,
            seed,
            ledger: Some(self.admin.clone()),
        })
    }
}

async fn send(plan: &Plan, recorder: &Recorder) -> anyhow::Result<()> {
    let never = CancellationToken::new();
    load::send(plan, recorder, &Progress::default(), &never).await?;
    Ok(())
}

/// Undoes it whatever comes of it: an engine may be somebody else's.
async fn break_and_heal(
    deployment: &mut Deployment,
    fault: Fault,
    schedule: &Schedule,
) -> anyhow::Result<()> {
    let struck = deployment.strike(fault, schedule).await;
    if struck.is_ok() && fault.lasts() {
        sleep(schedule.lasts).await;
    }
    let (struck, failed) = match struck {
        Ok(struck) => (struck, Ok(())),
        Err(error) => (Struck::default(), Err(error)),
    };
    let healed = deployment.heal(fault, struck, schedule).await;
    failed.and(healed)
}

async fn read_books(
    deployment: &Deployment,
    admin: &Admin,
    cell: Cell,
    sales: &[SaleId],
    patience: Duration,
) -> anyhow::Result<Books> {
    let mut books = books::read(admin, sales, patience).await?;
    books.gate_lost = Some(cell.loses_writes());
    books.answer_within_ms = deployment.answer_within_ms;
    books.left.extend(watchers_left(deployment).await?);
    Ok(books)
}

/// The processes that count watchers though every buyer has gone.
async fn watchers_left(deployment: &Deployment) -> anyhow::Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let mut left = Vec::new();
        for process in &deployment.processes {
            let watched = process.metric("dibs_push_watched").await?.unwrap_or_default();
            if watched > 0.0 {
                left.push(format!("{} counts {watched} watched tickets", process.name));
            }
        }
        if left.is_empty() || begun.elapsed() > FORGETS_WITHIN {
            return Ok(left);
        }
        sleep(Duration::from_millis(250)).await;
    }
}

async fn write(path: &Path, what: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(what)?;
    tokio::fs::write(path, text).await.with_context(|| format!("cannot write {}", path.display()))
}
