//! What keeps state: one engine a seam, in a mix that works.

use std::path::PathBuf;
use std::time::Duration;

use store::gate::redis;
use store::ledger::mysql;
use store::log::pulsar;
use url::Url;

use super::parse::{self, MINUTE};
use super::setting::section;

section! {
    /// The engines as they were written down, each for itself.
    Choices in "Engines" {
        /// Where claims are granted: local, or redis://[user:password@]host[:port][/database]
        /// with ?prefix=dibs for its keys; redis-cluster://host,host for a Redis Cluster,
        /// redis-sentinel://host,host/service for a Redis under Sentinels; rediss for TLS.
        gate: Choice<redis::Address> = Address("local"), "local|URL",
            choice(redis::Address::parse);
        /// What hands orders to the worker: local, or
        /// pulsar://[:token@]host[:port][/tenant/namespace]; pulsar+ssl:// for TLS. Local or
        /// not, as the gate is.
        log: Choice<pulsar::Address> = Address("local"), "local|URL",
            choice(pulsar::Address::parse);
        /// The admin API of that Pulsar: http://host:port or https://host:port.
        log_admin: Option<Url> = Address(""), "URL", parse::optional(admin);
        /// Where results are decided and kept: local (SQLite), or
        /// mysql://user[:password]@host[:port]/database for MySQL or MariaDB.
        ledger: Choice<mysql::Address> = Address("local"), "local|URL",
            choice(mysql::Address::parse);
        /// A PEM file of root certificates that engines are trusted by beside the usual ones.
        engines_ca: Option<PathBuf> = Plain(""), "FILE", parse::optional(parse::readable);
        /// How long a start waits for engines that nobody answers for.
        start_within: Duration = Plain("30s"), "DURATION", parse::duration(100..=10 * MINUTE);
    }
}

/// The engine of one seam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<Address> {
    /// In this process, on its data folder.
    Local,
    /// A server.
    At(Address),
}

/// The engines of the three seams and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engines {
    /// Which they are.
    pub mix: Mix,
    /// Further root certificates to trust.
    pub ca: Option<PathBuf>,
    /// How long a start waits for those that are away.
    pub start_within: Duration,
}

/// The mixes that work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mix {
    /// Gate and log live in this process: it has every role, and a data folder.
    Local {
        /// A file of the data folder, or a server.
        ledger: Choice<mysql::Address>,
    },
    /// Every process reaches them, and none keeps anything on disk.
    Remote(Box<Servers>),
}

/// A server for each seam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// The gate.
    pub gate: redis::Address,
    /// The log.
    pub log: pulsar::Address,
    /// The log's admin API.
    pub log_admin: Url,
    /// The ledger.
    pub ledger: mysql::Address,
}

impl Mix {
    /// Whether all of it lies in the data folder.
    pub fn is_all_local(&self) -> bool {
        matches!(self, Self::Local { ledger: Choice::Local })
    }
}

impl Choices {
    /// The mix that was chosen; the error is the sentence that refuses it.
    pub(super) fn together(self) -> Result<Engines, &'static str> {
        let mix = match (self.gate, self.log, self.ledger, self.log_admin) {
            (Choice::Local, Choice::Local, ledger, None) => Mix::Local { ledger },
            (Choice::Local, Choice::Local, _, Some(_)) => {
                return Err("log_admin belongs to a log in Pulsar, and gate and log are local; \
                            set gate and log to servers, or unset log_admin");
            }
            (Choice::At(gate), Choice::At(log), Choice::At(ledger), Some(log_admin)) => {
                Mix::Remote(Box::new(Servers { gate, log, log_admin, ledger }))
            }
            (Choice::Local, Choice::At(_), _, _) => {
                return Err("log is in Pulsar and gate is local, but both are local or neither \
                            is; set gate to a redis:// address, or log to local");
            }
            (Choice::At(_), Choice::Local, _, _) => {
                return Err(
                    "gate is in Redis and log is local, but both are local or neither is; \
                            set log to a pulsar:// address, or gate to local",
                );
            }
            (Choice::At(_), Choice::At(_), Choice::Local, _) => {
                return Err("ledger is local, which goes with a local gate and a local log only; \
                            set ledger to a mysql:// address");
            }
            (Choice::At(_), Choice::At(_), Choice::At(_), None) => {
                return Err("log is in Pulsar, and what only its admin API can do needs that \
                            address too; set log_admin to http://host:port");
            }
        };
        Ok(Engines { mix, ca: self.engines_ca, start_within: self.start_within })
    }
}

fn choice<A>(
    parse: impl FnOnce(&str) -> Result<A, String>,
) -> impl FnOnce(&str) -> Result<Choice<A>, String> {
    |text| match text {
        "local" => Ok(Choice::Local),
        "" => Err("is empty; it may be local or an address".to_owned()),
        _ => parse(text)
            .map(Choice::At)
            .map_err(|allowed| format!("may be local; otherwise it {allowed}")),
    }
}

fn admin(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none() =>
        {
            Ok(url)
        }
        Ok(_) | Err(_) => Err("must be http://host:port or https://host:port".to_owned()),
    }
}
