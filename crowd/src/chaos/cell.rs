//! One cell: a load, a fault in the middle of it, and the verdict on what the buyers saw.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use client::{Admin, Client, NewSale, Options};
use sale::id::SaleId;
use sale::units::Units;
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deployment::{ADMIN_KEY, Deployment, SHOP_SECRET};
use super::fault::Cell;
use super::recovery::Recovery;
use super::schedule::Schedule;
use super::visitors::Visitors;
use crate::books::{self, Books};
use crate::check::{self, Verdict};
use crate::history::Recorder;
use crate::load::{self, Arrivals, Door, Plan, Progress};

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
    /// Whether every invariant held.
    pub verdict: Verdict,
    /// The time that all of it took.
    pub took: Duration,
}

/// Runs a cell. History, books and report lie in the folder afterwards.
///
/// # Errors
/// The deployment does not come up again, or the folder cannot be written.
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
    let sales = open_sales(deployment, &admin, cell, seed).await?;
    let history = folder.join("history.jsonl");
    let (recorder, writing) = Recorder::create(&history).await?;
    let crowd = Crowd { deployment, sales: &sales, admin: &admin, visitors, recorder };
    let healed = crowd.come(cell, &schedule).await?;
    writing.end().await.context("the history is not complete")?;
    let books = read_books(deployment, &admin, cell, &sales, visitors.patience).await?;
    write(&folder.join("books.json"), &books).await?;
    let verdict = check::judge(&history, &books).await?;
    let recovery = Recovery::read(&history, healed).await?;
    let took = begun.elapsed();
    let report = Report { cell, seed, schedule, recovery, verdict, took };
    write(&folder.join("verdict.json"), &report.verdict).await?;
    write(&folder.join("report.json"), &report).await?;
    deployment.clear().await?;
    for sale in &sales {
        admin.close(sale).await?;
    }
    Ok(Outcome::Judged(Box::new(report)))
}

async fn open_sales(
    deployment: &Deployment,
    admin: &Admin,
    cell: Cell,
    seed: u64,
) -> anyhow::Result<Vec<SaleId>> {
    let clock = Client::new(Options::new(deployment.operator()?))?.clock().await?;
    let opens_at = clock.now().plus(OPENS_AFTER);
    let mut sales = Vec::new();
    for (name, stock, limit) in STALLS {
        let id = SaleId::new(&format!("{cell} {name} {seed}").replace(' ', "-"))?;
        let limit = Units::new(limit)?;
        let closes_at = opens_at.plus(OPEN_FOR);
        let name = format!("{name}, {cell}");
        admin.create(&NewSale { id: id.clone(), name, stock, limit, opens_at, closes_at }).await?;
        sales.push(id);
    }
    Ok(sales)
}

/// Who comes to a cell's sales.
struct Crowd<'a> {
    deployment: &'a mut Deployment,
    sales: &'a [SaleId],
    admin: &'a Admin,
    visitors: &'a Visitors,
    recorder: Recorder,
}

impl Crowd<'_> {
    /// Comes, is there when the fault strikes, and comes again when it is undone. Answers when
    /// that began, by the history's clock.
    async fn come(self, cell: Cell, schedule: &Schedule) -> anyhow::Result<u64> {
        let lasting = schedule.begins + schedule.lasts + LATECOMERS;
        let during = self.plan(schedule.load, lasting)?;
        let after = self.plan(schedule.load.wrapping_add(1), AFTERWARDS)?;
        let Self { deployment, recorder, .. } = self;
        let breaking = async {
            sleep(if cell.steps_a_clock() {
                // Whose clock opens a sale shows when it opens.
                OPENS_AFTER / 2
            } else {
                OPENS_AFTER + schedule.begins
            })
            .await;
            let healed = break_and_heal(deployment, cell, schedule, &recorder).await?;
            send(&after, &recorder).await?;
            Ok(healed)
        };
        let (healed, ()) = tokio::try_join!(breaking, send(&during, &recorder))?;
        Ok(healed)
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

async fn break_and_heal(
    deployment: &mut Deployment,
    cell: Cell,
    schedule: &Schedule,
    recorder: &Recorder,
) -> anyhow::Result<u64> {
    let Some(fault) = cell.fault else { return Ok(recorder.now()) };
    let struck = deployment.strike(fault, schedule).await?;
    sleep(schedule.lasts).await;
    deployment.heal(fault, struck, schedule).await?;
    let healed = recorder.now();
    deployment.until_ready().await?;
    Ok(healed)
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
