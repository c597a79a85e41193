//! What is wrong with a configuration, in sentences for the person who wrote it.

use std::fmt;
use std::path::PathBuf;

use super::setting::{Default, Setting};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A value that is not allowed.
    Value {
        /// The setting.
        key: &'static str,
        /// Where the value came from.
        source: Source,
        /// The value in quotes, or what stands for it: a secret is not repeated.
        shown: String,
        /// What would be allowed.
        allowed: String,
    },
    /// A name that no setting has.
    Unknown {
        /// The name as it was written.
        name: String,
        /// Where it was written.
        source: Source,
        /// The nearest name there is, written the same way.
        meant: Option<String>,
    },
    /// The configuration file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// Values that are fine alone and do not go together.
    Together(String),
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The faults, in the order they were met.
    pub fn list(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "the configuration has {count} {noun}; nothing was started")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { key, source, shown, allowed } => {
                write!(f, "{key} ({source}): {shown} is not allowed; {allowed}")
            }
            Self::Unknown { name, source, meant: Some(meant) } => {
                let name = name.escape_debug();
                write!(f, "{name} ({source}) is not a setting; did you mean {meant}?")
            }
            Self::Unknown { name, source, meant: None } => {
                let name = name.escape_debug();
                write!(f, "{name} ({source}) is not a setting; `dibs --help` lists them all")
            }
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Together(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

impl Fault {
    pub(super) fn value(setting: &Setting, source: Source, text: &str, allowed: String) -> Self {
        let shown = match setting.default {
            Default::Plain(_) => format!("{text:?}"),
            Default::Address(_) => "the value, not shown for what it may hold,".to_owned(),
            Default::Secret(_) => "the value, a secret,".to_owned(),
        };
        Self::Value { key: setting.key, source, shown, allowed }
    }
}
