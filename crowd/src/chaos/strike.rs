//! A fault done to a deployment, and undone.

use anyhow::Context as _;
use rustix::process::Signal;

use super::clock::FakeClock;
use super::deployment::Deployment;
use super::fault::{Cell, Engine, Fault, Pair, Role, ToEngine, ToGate, ToProcess};
use super::process::Process;
use super::proxy::{Line, Proxy};
use super::redis::{Redis, Snapshot};
use super::schedule::Schedule;
use super::servers::Servers;
use super::touched::Touched;

/// What undoing needs to know; by default, that nothing was kept.
#[derive(Debug, Default)]
pub struct Struck {
    earlier: Option<Snapshot>,
}

impl Deployment {
    /// Brings the parts of a cell into a state in which they can be struck. Answers why they
    /// cannot, if so.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn prepare(
        &mut self,
        cell: Cell,
        schedule: &Schedule,
    ) -> anyhow::Result<Option<String>> {
        let Some(Fault::Process(role, ToProcess::ClockStep)) = cell.fault else { return Ok(None) };
        let folder = self.folder.clone();
        for process in self.hit(role, schedule) {
            let file = folder.join(format!("{}.clock", process.name));
            let Some(clock) = FakeClock::right(file).await? else {
                return Ok(Some(
                    "no libfaketime works here (Debian has it as faketime)".to_owned(),
                ));
            };
            process.set_clock(Some(clock));
            again(process).await?;
        }
        Ok(None)
    }

    /// Does it.
    ///
    /// # Errors
    /// The part is not in a state in which it can be done.
    pub async fn strike(&mut self, fault: Fault, schedule: &Schedule) -> anyhow::Result<Struck> {
        let mut struck = Struck::default();
        match fault {
            Fault::Process(role, fault) => {
                for process in self.hit(role, schedule) {
                    strike_process(process, fault, schedule).await?;
                }
            }
            Fault::Engine(Engine::Redis, ToEngine::Kill) => self.redis()?.kill().await?,
            Fault::Engine(Engine::Redis, ToEngine::Stop) => self.redis()?.signal(Signal::STOP)?,
            Fault::Engine(engine, ToEngine::Kill) => self.servers()?.kill(engine).await?,
            Fault::Engine(engine, ToEngine::Stop) => self.servers()?.hold(engine, true).await?,
            Fault::Gate(ToGate::Flush) => self.redis()?.flush().await?,
            Fault::Gate(ToGate::RollBack) => struck.earlier = Some(self.redis()?.snapshot().await?),
            Fault::Line(pair, fault) => self.set_lines(pair, schedule, schedule.line(fault)),
        }
        Ok(struck)
    }

    /// Undoes it. What was started again may still be on its way.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn heal(
        &mut self,
        fault: Fault,
        struck: Struck,
        schedule: &Schedule,
    ) -> anyhow::Result<()> {
        match fault {
            Fault::Process(role, fault) => {
                for process in self.hit(role, schedule) {
                    heal_process(process, fault).await?;
                }
            }
            Fault::Engine(Engine::Redis, ToEngine::Kill) => self.redis()?.start_again().await?,
            Fault::Engine(Engine::Redis, ToEngine::Stop) => self.redis()?.signal(Signal::CONT)?,
            Fault::Engine(engine, ToEngine::Kill) => self.servers()?.start_again(engine).await?,
            Fault::Engine(engine, ToEngine::Stop) => self.servers()?.hold(engine, false).await?,
            Fault::Gate(ToGate::Flush) => {}
            Fault::Gate(ToGate::RollBack) => {
                let earlier = struck.earlier.context("its files were kept")?;
                self.redis()?.set_back(earlier).await?;
            }
            Fault::Line(pair, _) => self.set_lines(pair, schedule, Line::Open),
        }
        Ok(())
    }

    /// What the faults of connections have touched, since this was asked last.
    pub fn touched(&self) -> Touched {
        let links = self.links.iter().flat_map(|link| &link.proxies);
        let doors = self.doors.iter().map(|(_, proxy)| proxy);
        links.chain(doors).map(Proxy::touched).sum()
    }

    /// Undoes what [`Deployment::prepare`] has done.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn clear(&mut self) -> anyhow::Result<()> {
        for process in self.processes.iter_mut().filter(|process| process.clock().is_some()) {
            process.set_clock(None);
            again(process).await?;
        }
        Ok(())
    }

    /// The processes of a role that are hit.
    fn hit(&mut self, role: Role, schedule: &Schedule) -> Vec<&mut Process> {
        let of_role = self.processes.iter_mut().filter(|process| process.role == role);
        schedule.hit(of_role.collect())
    }

    fn set_lines(&self, pair: Pair, schedule: &Schedule, line: Line) {
        let hit: Vec<Vec<&Proxy>> = match pair {
            Pair::Door(which) => {
                let doors = self.doors.iter().filter(|(door, _)| *door == which);
                schedule.hit(doors.map(|(_, proxy)| vec![proxy]).collect())
            }
            Pair::Link(role, engine) => {
                let links =
                    self.links.iter().filter(|link| (link.role, link.engine) == (role, engine));
                schedule.hit(links.map(|link| link.proxies.iter().collect()).collect())
            }
        };
        for proxy in hit.into_iter().flatten() {
            proxy.set(line);
        }
    }

    fn redis(&mut self) -> anyhow::Result<&mut Redis> {
        self.redis.as_mut().context("no Redis runs")
    }

    fn servers(&mut self) -> anyhow::Result<&mut Servers> {
        self.servers.as_mut().context("no Pulsar and no MySQL runs")
    }
}

async fn strike_process(
    process: &mut Process,
    fault: ToProcess,
    schedule: &Schedule,
) -> anyhow::Result<()> {
    match fault {
        ToProcess::Kill => process.kill().await,
        ToProcess::Stop => process.signal(Signal::STOP),
        ToProcess::Term => process.terminate().await,
        ToProcess::Restart => again(process).await,
        ToProcess::ClockStep => {
            process.clock().context("it has no clock of its own")?.set(schedule.step).await
        }
        ToProcess::FileLimit => process.limit_files(Some(schedule.file_limit)),
    }
}

async fn heal_process(process: &mut Process, fault: ToProcess) -> anyhow::Result<()> {
    match fault {
        ToProcess::Kill | ToProcess::Term => process.launch(),
        ToProcess::Stop => process.signal(Signal::CONT),
        ToProcess::Restart => Ok(()),
        ToProcess::ClockStep => process.clock().context("it has no clock of its own")?.set(0).await,
        ToProcess::FileLimit => process.limit_files(None),
    }
}

async fn again(process: &mut Process) -> anyhow::Result<()> {
    process.terminate().await?;
    process.launch()?;
    process.until_ready().await
}
