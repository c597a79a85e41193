//! Whether this process does its work: each engine and each role tries its real path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use store::Seams;
use tokio::sync::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::crew::Crew;
use crate::engines::Seam;

/// Latches between the start, when nothing is ready, and the drain, when nothing is any more.
#[derive(Default)]
pub(crate) struct Readiness {
    /// The engine that the start waits for: one after the other.
    awaited: Mutex<Option<(Seam, Part)>>,
    serving: RwLock<Option<Serving>>,
    draining: CancellationToken,
    /// Every role has done its work once.
    proven: AtomicBool,
}

struct Serving {
    crew: Crew,
    seams: Seams,
    /// What the engines answered last.
    probed: tokio::sync::Mutex<Option<(Instant, BTreeMap<Seam, Part>)>>,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    phase: Phase,
    engines: BTreeMap<Seam, Part>,
    roles: BTreeMap<&'static str, Part>,
    /// Rounds that grant nothing until their gate is rebuilt, as far as api and worker know;
    /// of many, the first.
    recovering: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Starting,
    Serving,
    Draining,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Part {
    state: State,
    detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Something is missing that the process can answer buyers without.
    Degraded,
    Failed,
}

/// The most recovering rounds that are told.
const RECOVERING: usize = 100;

/// How long one part may take to tell.
const ANSWER: Duration = Duration::from_secs(2);

/// How long the answer of the engines holds.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl Readiness {
    /// The start waits for an engine.
    pub(crate) fn awaits(&self, seam: Seam, why: &str) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        *awaited = Some((seam, Part { state: State::Failed, detail: Some(why.to_owned()) }));
    }

    /// The roles have started on these engines.
    pub(crate) async fn serve(&self, crew: Crew, seams: Seams) {
        let probed = tokio::sync::Mutex::default();
        *self.serving.write().await = Some(Serving { crew, seams, probed });
    }

    /// Not ready from now on.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Has those who are connected told when to come back.
    pub(crate) async fn say_goodbye(&self) {
        if let Some(serving) = &*self.serving.read().await {
            serving.crew.say_goodbye().await;
        }
    }

    /// Takes the roles, to be ended.
    pub(crate) async fn take(&self) -> Option<Crew> {
        self.serving.write().await.take().map(|serving| serving.crew)
    }

    /// Asks every part.
    pub(crate) async fn report(&self) -> Report {
        let report = self.draining.run_until_cancelled(self.ask()).await;
        report.unwrap_or_else(|| Report::none(Phase::Draining, BTreeMap::new()))
    }

    async fn ask(&self) -> Report {
        match &*self.serving.read().await {
            Some(serving) => {
                let (engines, answers) =
                    tokio::join!(serving.engines(), Answers::of(&serving.crew));
                self.judge(engines, answers)
            }
            None => {
                let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
                Report::none(Phase::Starting, awaited.clone().into_iter().collect())
            }
        }
    }

    fn judge(&self, engines: BTreeMap<Seam, Part>, answers: Answers) -> Report {
        let Answers { api, push, worker, recovering } = answers;
        if [&api, &push, &worker].into_iter().flatten().all(Result::is_ok) {
            self.proven.store(true, Ordering::Relaxed);
        }
        let proven = self.proven.load(Ordering::Relaxed);
        // Beside others the worker may be away: claims are granted and tickets are read without
        // it, and the orders wait for it.
        let facing_buyers = [&api, &push].into_iter().flatten().all(Result::is_ok);
        let alone = api.is_none() && push.is_none();
        let at_work =
            if alone { worker.as_ref().is_some_and(Result::is_ok) } else { facing_buyers };
        let ready = at_work && proven;
        let without_worker = if ready { State::Degraded } else { State::Failed };
        let role = |answer: Result<(), String>, otherwise| match answer {
            Ok(()) => Part::amid(&engines),
            Err(detail) => Part { state: otherwise, detail: Some(detail) },
        };
        let parts = [
            ("api", api.map(|answer| role(answer, State::Failed))),
            ("push", push.map(|answer| role(answer, State::Failed))),
            ("worker", worker.map(|answer| role(answer, without_worker))),
        ];
        let roles = parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect();
        let phase = if proven { Phase::Serving } else { Phase::Starting };
        Report { ready, phase, engines, roles, recovering }
    }
}

impl Report {
    fn none(phase: Phase, engines: BTreeMap<Seam, Part>) -> Self {
        Self { ready: false, phase, engines, roles: BTreeMap::new(), recovering: Vec::new() }
    }
}

/// What the roles of this process say of themselves.
struct Answers {
    api: Option<Result<(), String>>,
    push: Option<Result<(), String>>,
    worker: Option<Result<(), String>>,
    recovering: Vec<u32>,
}

impl Answers {
    async fn of(crew: &Crew) -> Self {
        let api = crew.api.as_ref().map(api::Api::ready);
        let push = async {
            match &crew.push {
                Some(push) => Some(in_time(push.ready()).await),
                None => None,
            }
        };
        let worker = async {
            match &crew.worker {
                Some(worker) => Some(in_time(worker.ready()).await),
                None => None,
            }
        };
        let (push, worker) = tokio::join!(push, worker);
        let rounds = [
            crew.api.as_ref().map(api::Api::recovering),
            crew.worker.as_ref().map(worker::Worker::recovering),
        ];
        let rounds: BTreeSet<_> = rounds.into_iter().flatten().flatten().collect();
        let recovering = rounds.into_iter().map(|round| round.0).take(RECOVERING).collect();
        Self { api, push, worker, recovering }
    }
}

impl Serving {
    async fn engines(&self) -> BTreeMap<Seam, Part> {
        let mut probed = self.probed.lock().await;
        if let Some((at, engines)) = &*probed
            && at.elapsed() < PROBE_EVERY
        {
            return engines.clone();
        }
        let Seams { gate, log, ledger } = &self.seams;
        let (gate, log, ledger) = tokio::join!(
            in_time(async { gate.probe().await.map_err(|error| error.to_string()) }),
            in_time(async { log.probe().await.map_err(|error| error.to_string()) }),
            in_time(async { ledger.probe().await.map_err(|error| error.to_string()) }),
        );
        let engines = BTreeMap::from([
            (Seam::Gate, Part::of(gate)),
            (Seam::Log, Part::of(log)),
            (Seam::Ledger, Part::of(ledger)),
        ]);
        *probed = Some((Instant::now(), engines.clone()));
        engines
    }
}

/// On the heap: what the clients of engines hold while they are asked is large, and all of it
/// would lie side by side in the future of a report.
fn in_time(
    answer: impl Future<Output = Result<(), String>>,
) -> impl Future<Output = Result<(), String>> {
    let answer = tokio::time::timeout(ANSWER, Box::pin(answer));
    async {
        let late = || Err(format!("no answer within {} s", ANSWER.as_secs()));
        answer.await.unwrap_or_else(|_| late())
    }
}

impl Part {
    fn of(answer: Result<(), String>) -> Self {
        match answer {
            Ok(()) => Self { state: State::Ok, detail: None },
            Err(detail) => Self { state: State::Failed, detail: Some(detail) },
        }
    }

    /// A role that does its work, among these engines.
    fn amid(engines: &BTreeMap<Seam, Self>) -> Self {
        let missing = engines.iter().filter(|(_, engine)| engine.state != State::Ok);
        let names: Vec<_> = missing.map(|(seam, _)| seam.name()).collect();
        if names.is_empty() {
            return Self { state: State::Ok, detail: None };
        }
        let detail = format!("without the {}", names.join(" and the "));
        Self { state: State::Degraded, detail: Some(detail) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(report: &Report) -> Value {
        serde_json::to_value(report).unwrap()
    }

    fn engines(missing: &[Seam]) -> BTreeMap<Seam, Part> {
        let away = |seam| match missing.contains(&seam) {
            true => Err("it is away".to_owned()),
            false => Ok(()),
        };
        [Seam::Gate, Seam::Log, Seam::Ledger].map(|seam| (seam, Part::of(away(seam)))).into()
    }

    fn away() -> Option<Result<(), String>> {
        Some(Err("the ledger is away".to_owned()))
    }

    #[tokio::test]
    async fn before_the_roles_have_started_and_once_it_drains_nothing_is_ready() {
        let readiness = Readiness::default();
        let nothing = |phase: &str| {
            json!({
                "ready": false, "phase": phase, "engines": {}, "roles": {}, "recovering": [],
            })
        };
        assert_eq!(told(&readiness.report().await), nothing("starting"));
        readiness.awaits(Seam::Ledger, "nobody answers");
        let awaited = json!({ "ledger": { "state": "failed", "detail": "nobody answers" } });
        assert_eq!(told(&readiness.report().await)["engines"], awaited);
        readiness.awaits(Seam::Gate, "nobody answers");
        let awaited = json!({ "gate": { "state": "failed", "detail": "nobody answers" } });
        assert_eq!(told(&readiness.report().await)["engines"], awaited, "the ledger is there");
        readiness.drain();
        assert_eq!(told(&readiness.report().await), nothing("draining"));
    }

    #[test]
    fn each_engine_that_is_missing_is_named_and_a_role_that_works_without_it_is_degraded() {
        let answers = Answers { api: Some(Ok(())), push: None, worker: None, recovering: vec![7] };
        let report = Readiness::default().judge(engines(&[Seam::Log, Seam::Ledger]), answers);
        let expected = json!({
            "ready": true,
            "phase": "serving",
            "engines": {
                "gate": { "state": "ok", "detail": null },
                "log": { "state": "failed", "detail": "it is away" },
                "ledger": { "state": "failed", "detail": "it is away" },
            },
            "roles": { "api": { "state": "degraded", "detail": "without the log and the ledger" } },
            "recovering": [7],
        });
        assert_eq!(told(&report), expected);
    }

    #[test]
    fn beside_others_the_worker_may_be_away_and_alone_it_may_not() {
        let beside = || Answers {
            api: Some(Ok(())),
            push: Some(Ok(())),
            worker: away(),
            recovering: vec![],
        };
        let alone = || Answers { api: None, push: None, worker: away(), recovering: vec![] };
        let well = |answers: Answers| Answers { worker: Some(Ok(())), ..answers };
        for (answers, ready, state) in
            [(beside as fn() -> Answers, true, "degraded"), (alone, false, "failed")]
        {
            let readiness = Readiness::default();
            let never = readiness.judge(engines(&[Seam::Ledger]), answers());
            assert!(!never.ready, "it has never worked: {never:?}");
            assert!(readiness.judge(engines(&[]), well(answers())).ready);
            let report = told(&readiness.judge(engines(&[Seam::Ledger]), answers()));
            assert_eq!(report["ready"], ready, "{report}");
            assert_eq!(report["roles"]["worker"]["state"], state, "{report}");
            assert_eq!(report["roles"]["worker"]["detail"], "the ledger is away", "{report}");
        }
    }
}
