//! What is logged, and how.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::setting::section;

section! {
    /// Logs go to standard error.
    Logs in "Logs" {
        /// What is logged: error, warn, info, debug, trace, also by part, such as
        /// info,worker=debug.
        log_level: LogLevel = Plain("info"), "LEVEL", level;
        /// The form of a log line.
        log_format: LogFormat = Plain("text"), "text|json", format;
    }
}

/// A filter that was found to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// The filter. Pulsar's client would log each of its attempts; what comes of them is logged
    /// by who asked for it.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(format!("pulsar=off,{}", self.0))
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn level(text: &str) -> Result<LogLevel, String> {
    // The library takes a word that is no level for the name of a part.
    let is_level = |part: &str| {
        part.rsplit('=').next().is_some_and(|level| level.trim().parse::<LevelFilter>().is_ok())
    };
    match EnvFilter::builder().parse(text) {
        Ok(_) if text.split(',').all(is_level) => Ok(LogLevel(text.to_owned())),
        Ok(_) | Err(_) => Err("must be error, warn, info, debug or trace, or a list by part such \
                               as info,worker=debug"
            .to_owned()),
    }
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}
