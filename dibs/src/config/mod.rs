//! The configuration: defaults, then `dibs.toml`, then the environment, then flags.
//!
//! All of it is checked before anything is opened or bound, and everything that is wrong is
//! said at once. This is the one place that reads the environment.

pub mod claims;
pub mod engines;
pub mod fault;
pub mod keys;
mod layers;
pub mod logs;
mod parse;
pub mod rounds;
pub mod serving;
pub mod setting;
mod show;
pub mod storage;
pub mod watching;

pub use fault::{Fault, Faults, Source};
pub use layers::{FILE, Inputs};

use edge::buyer::KeySource;
use layers::Layers;
use setting::Section as _;

/// Every setting of one process, checked.
pub struct Config {
    /// Addresses and connections.
    pub serving: serving::Serving,
    /// The data folder.
    pub storage: storage::Storage,
    /// Keys and secrets.
    pub keys: keys::Keys,
    /// The engines of the seams.
    pub engines: engines::Engines,
    /// Claims and the gate's outbox.
    pub claims: claims::Claims,
    /// Retries and the end of a round.
    pub rounds: rounds::Rounds,
    /// Those who watch.
    pub watching: watching::Watching,
    /// Logs.
    pub logs: logs::Logs,
    shown: Vec<show::Shown>,
}

impl Config {
    /// Puts the layers together and checks everything.
    pub fn read(inputs: Inputs) -> Result<Self, Faults> {
        let mut layers = Layers::new(inputs);
        let config = Self::assemble(&mut layers);
        match config {
            Some(config) if layers.faults.is_empty() => Ok(config),
            Some(_) | None => Err(Faults(layers.faults)),
        }
    }

    fn assemble(layers: &mut Layers) -> Option<Self> {
        let serving = serving::Serving::read(layers);
        let storage = storage::Storage::read(layers);
        let keys = keys::Keys::read(layers);
        let choices = engines::Choices::read(layers);
        let claims = claims::Claims::read(layers);
        let rounds = rounds::Rounds::read(layers);
        let watching = watching::Watching::read(layers);
        let logs = logs::Logs::read(layers);
        let (engines, mixed_up) = match choices.map(engines::Choices::together) {
            Some(Ok(engines)) => (Some(engines), None),
            Some(Err(sentence)) => (None, Some(sentence)),
            None => (None, None),
        };
        let contradictions = [
            mixed_up,
            serving.as_ref().and_then(serving::Serving::contradiction),
            keys.as_ref().and_then(keys::Keys::contradiction),
            claims.as_ref().and_then(claims::Claims::contradiction),
        ];
        let told = contradictions.into_iter().flatten();
        layers.faults.extend(told.map(|sentence| Fault::Together(sentence.to_owned())));
        Some(Self {
            serving: serving?,
            storage: storage?,
            keys: keys?,
            engines: engines?,
            claims: claims?,
            rounds: rounds?,
            watching: watching?,
            logs: logs?,
            shown: show::rows(layers),
        })
    }

    /// Whether anybody may claim as a guest.
    pub fn guests(&self) -> bool {
        self.keys.guests.unwrap_or(!self.has_jwt_keys())
    }

    /// Whether a ledger without any sale gets a demo sale.
    pub fn demo(&self) -> bool {
        self.storage.demo.unwrap_or(self.engines.mix.is_all_local())
    }

    /// What is allowed and yet insecure or pointless.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.guests() && !self.serving.listen.ip().is_loopback() {
            warnings.push(format!(
                "guests are allowed on {}: anybody who reaches it can claim as often as he likes; \
                 set jwt_keys, or guests=false",
                self.serving.listen
            ));
        }
        if !self.guests() && !self.has_jwt_keys() {
            warnings.push(
                "nobody can claim: guests are not allowed and jwt_keys is not set".to_owned(),
            );
        }
        if !self.serving.ops_listen.ip().is_loopback() {
            warnings.push(format!(
                "health and metrics are answered on {}; see that the public cannot reach it",
                self.serving.ops_listen
            ));
        }
        warnings
    }

    fn has_jwt_keys(&self) -> bool {
        !matches!(self.keys.jwt_keys, KeySource::None)
    }
}

#[cfg(test)]
mod tests;
