//! Who comes to the sales of a cell, and how they behave.

use std::time::Duration;

use clap::Args;

use crate::load::{Behaviour, Mix, Share};

/// How buyers come.
#[derive(Debug, Clone, Args)]
pub struct Visitors {
    /// Buyers a second.
    #[arg(long, value_name = "NUMBER", default_value_t = 40.0)]
    pub rate: f64,
    /// On which ways they follow their tickets, such as socket=1 for WebSocket alone.
    #[arg(
        long,
        value_name = "WAY=SHARE,…",
        default_value = "socket=60,events=10,long-poll=20,poll=10"
    )]
    pub mix: Mix,
    /// Half of them tap too early, half of them twice, and half of them have two devices.
    #[arg(long)]
    pub pushy: bool,
    /// How long a buyer waits for an answer, and again for his final result.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub patience: Duration,
}

impl Default for Visitors {
    fn default() -> Self {
        let patience = Duration::from_secs(60);
        Self { rate: 40.0, mix: Mix::default(), pushy: false, patience }
    }
}

impl Visitors {
    /// What they do besides claiming once.
    pub fn behaviour(&self) -> Behaviour {
        let usual = Behaviour::default();
        if !self.pushy {
            return usual;
        }
        let half = Share::percent(50.0).expect("a half is a share");
        Behaviour { early: half, double_tap: half, second_device: half, ..usual }
    }
}
