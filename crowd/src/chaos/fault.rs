//! What can break, how, and where that means something.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// What a deployment stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    /// One process with every role, on its data folder.
    Embedded,
    /// Two processes of each role, on Redis, Pulsar and MySQL.
    Real,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All of it.
    Embedded,
    /// Takes claims.
    Api,
    /// Decides orders.
    Worker,
    /// Lets tickets be read.
    Push,
}

/// A server that the roles share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The gate.
    Redis,
    /// The log.
    Pulsar,
    /// The ledger.
    Mysql,
}

/// What buyers connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Where they claim.
    Api,
    /// Where they read.
    Push,
}

/// What connects two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// The buyers and a role.
    Door(Door),
    /// A role and an engine.
    Link(Role, Engine),
}

/// What can be done to a process of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToProcess {
    /// It ends as in a power cut, and is started again later.
    Kill,
    /// It is held, and goes on later.
    Stop,
    /// It is asked to end, and started again later.
    Term,
    /// It is asked to end and started again at once, and the next of its role after it.
    Restart,
    /// Its wall clock steps, and back later.
    ClockStep,
    /// None of its files may grow beyond a few pages.
    FileLimit,
}

/// What can be done to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToEngine {
    /// It ends as in a crash, and is started again later.
    Kill,
    /// It is held, and goes on later.
    Stop,
}

/// What can be done to the gate's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToGate {
    /// It loses all it holds.
    Flush,
    /// It comes back with the files of a while ago.
    RollBack,
}

/// What can be done to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToLine {
    /// They are reset, and fresh ones at once.
    Cut,
    /// What is sent takes longer.
    Delay,
    /// Nothing gets through in one direction.
    OneWay,
    /// They are accepted and silent.
    HalfOpen,
    /// What is sent to the buyers is taken in sips.
    SlowReader,
}

/// A fault and the part that it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// To processes.
    Process(Role, ToProcess),
    /// To an engine.
    Engine(Engine, ToEngine),
    /// To the gate's data.
    Gate(ToGate),
    /// To what connects two parts.
    Line(Pair, ToLine),
}

/// A line of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// On which engines.
    pub engines: Engines,
    /// What is done; nothing, to see that a calm run is clean.
    pub fault: Option<Fault>,
}

const TO_ROLE: [ToProcess; 5] =
    [ToProcess::Kill, ToProcess::Stop, ToProcess::Term, ToProcess::Restart, ToProcess::ClockStep];
const TO_LINK: [ToLine; 4] = [ToLine::Cut, ToLine::Delay, ToLine::OneWay, ToLine::HalfOpen];

impl Engines {
    /// Every fault on every part where it means something.
    pub fn matrix(self) -> Vec<Cell> {
        let mut faults = Vec::new();
        match self {
            Self::Embedded => {
                let all = TO_ROLE.into_iter().chain([ToProcess::FileLimit]);
                faults.extend(all.map(|fault| Fault::Process(Role::Embedded, fault)));
            }
            Self::Real => {
                for role in [Role::Api, Role::Worker, Role::Push] {
                    faults.extend(TO_ROLE.map(|fault| Fault::Process(role, fault)));
                    for engine in [Engine::Redis, Engine::Pulsar, Engine::Mysql] {
                        let link = Pair::Link(role, engine);
                        faults.extend(TO_LINK.map(|fault| Fault::Line(link, fault)));
                    }
                }
                for engine in [Engine::Redis, Engine::Pulsar, Engine::Mysql] {
                    let all = [ToEngine::Kill, ToEngine::Stop];
                    faults.extend(all.map(|fault| Fault::Engine(engine, fault)));
                }
                faults.extend([ToGate::Flush, ToGate::RollBack].map(Fault::Gate));
            }
        }
        for door in [Door::Api, Door::Push].map(Pair::Door) {
            let all = TO_LINK.into_iter().chain([ToLine::SlowReader]);
            faults.extend(all.map(|fault| Fault::Line(door, fault)));
        }
        faults.into_iter().map(|fault| Cell { engines: self, fault: Some(fault) }).collect()
    }
}

impl Cell {
    /// The cell of these words; without any, the one in which nothing breaks.
    ///
    /// # Errors
    /// The fault means nothing there; the sentence says what would.
    pub fn find(engines: Engines, fault: &str, part: Option<&str>) -> Result<Self, String> {
        if fault == "none" && part.is_none() {
            return Ok(Self { engines, fault: None });
        }
        let all = engines.matrix();
        let is_meant = |cell: &&Self| {
            cell.fault.is_some_and(|meant| {
                meant.name() == fault && part.is_none_or(|part| meant.part() == part)
            })
        };
        let mut meant = all.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(cell), None) => Ok(*cell),
            (Some(_), Some(_)) | (None, _) => {
                let all: Vec<_> = all.iter().map(ToString::to_string).collect();
                Err(format!("give a fault and a part of: none, {}", all.join(", ")))
            }
        }
    }

    /// Whether the wall clock of a process is set.
    pub fn steps_a_clock(self) -> bool {
        matches!(self.fault, Some(Fault::Process(_, ToProcess::ClockStep)))
    }

    /// Whether the gate comes out of it without writes that it has acknowledged.
    pub fn loses_writes(self) -> bool {
        matches!(self.fault, Some(Fault::Gate(ToGate::Flush | ToGate::RollBack)))
    }
}

impl Fault {
    /// Whether it goes on until it is undone; else it is over when it is done.
    pub fn lasts(self) -> bool {
        !matches!(self, Self::Gate(ToGate::Flush) | Self::Process(_, ToProcess::Restart))
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process(_, ToProcess::Kill) | Self::Engine(_, ToEngine::Kill) => "kill",
            Self::Process(_, ToProcess::Stop) | Self::Engine(_, ToEngine::Stop) => "stop",
            Self::Process(_, ToProcess::Term) => "term",
            Self::Process(_, ToProcess::Restart) => "restart",
            Self::Process(_, ToProcess::ClockStep) => "clock-step",
            Self::Process(_, ToProcess::FileLimit) => "file-limit",
            Self::Gate(ToGate::Flush) => "flush",
            Self::Gate(ToGate::RollBack) => "roll-back",
            Self::Line(_, ToLine::Cut) => "cut",
            Self::Line(_, ToLine::Delay) => "delay",
            Self::Line(_, ToLine::OneWay) => "one-way",
            Self::Line(_, ToLine::HalfOpen) => "half-open",
            Self::Line(_, ToLine::SlowReader) => "slow-reader",
        }
    }

    /// What its part is called.
    pub fn part(self) -> String {
        match self {
            Self::Process(role, _) => role.name().to_owned(),
            Self::Engine(engine, _) => engine.name().to_owned(),
            Self::Gate(_) => Engine::Redis.name().to_owned(),
            Self::Line(Pair::Door(Door::Api), _) => "buyers-api".to_owned(),
            Self::Line(Pair::Door(Door::Push), _) => "buyers-push".to_owned(),
            Self::Line(Pair::Link(role, engine), _) => {
                format!("{}-{}", role.name(), engine.name())
            }
        }
    }
}

impl Role {
    /// Its name, which is the command's too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Push => "push",
        }
    }
}

impl Engine {
    /// Its name, which is that of `tools/engines` too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Pulsar => "pulsar",
            Self::Mysql => "mysql",
        }
    }
}

impl fmt::Display for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Real => "real",
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Some(fault) => write!(f, "{} {} {}", self.engines, fault.name(), fault.part()),
            None => write!(f, "{} none", self.engines),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_of_the_matrix_is_found_by_its_fault_and_its_part() {
        for engines in [Engines::Embedded, Engines::Real] {
            for cell in engines.matrix() {
                let fault = cell.fault.unwrap();
                assert_eq!(Cell::find(engines, fault.name(), Some(&fault.part())), Ok(cell));
            }
        }
    }

    #[test]
    fn a_fault_that_means_nothing_at_a_part_is_refused_and_so_is_one_that_has_several() {
        for (fault, part) in [("flush", Some("mysql")), ("kill", None), ("none", Some("api"))] {
            assert!(Cell::find(Engines::Real, fault, part).is_err(), "{fault}");
        }
        assert!(Cell::find(Engines::Embedded, "kill", None).is_ok());
    }
}
