//! The layers of a configuration: defaults, file, environment, flags; the later one wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Source};
use super::setting::{self, PREFIX, Setting};

/// What was written down, before anything is checked.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The configuration file's path and text, if there is one.
    pub file: Option<(PathBuf, String)>,
    /// A file that was named and cannot be read.
    pub unreadable: Option<(PathBuf, String)>,
    /// Environment variables; those that do not begin with `DIBS_` are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags, by the key of their setting.
    pub flags: Vec<(&'static str, String)>,
}

/// The file that is read where no other one is named.
pub const FILE: &str = "dibs.toml";

impl Inputs {
    /// Reads the file (`dibs.toml` in the working folder if none is named; that one may be
    /// missing) and the environment of this process.
    pub fn gather(named: Option<&Path>, flags: Vec<(&'static str, String)>) -> Self {
        let path = named.unwrap_or(Path::new(FILE)).to_owned();
        let (file, unreadable) = match std::fs::read_to_string(&path) {
            Ok(text) => (Some((path, text)), None),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                (None, None)
            }
            Err(error) => (None, Some((path, format!("cannot be read: {error}")))),
        };
        Self { file, unreadable, environment: environment(), flags }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// The text of a setting, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) source: Source,
}

/// The layers on top of each other.
pub(super) struct Layers {
    given: BTreeMap<&'static str, Given>,
    pub(super) faults: Vec<Fault>,
}

impl Layers {
    pub(super) fn new(inputs: Inputs) -> Self {
        let mut layers = Self { given: BTreeMap::new(), faults: Vec::new() };
        if let Some((path, error)) = inputs.unreadable {
            layers.faults.push(Fault::File { path, error });
        }
        if let Some((path, text)) = inputs.file {
            layers.take_file(&path, &text);
        }
        layers.take_environment(inputs.environment);
        for (key, text) in inputs.flags {
            layers.given.insert(key, Given { text, source: Source::Flag });
        }
        layers
    }

    /// What holds for a setting, checked; `None` after the fault was noted.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let setting = setting::find(key).expect("a section reads the settings it declares");
        let Given { text, source } = self.effective(setting);
        match parse(&text) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.faults.push(Fault::value(setting, source, &text, allowed));
                None
            }
        }
    }

    /// The text that holds for a setting.
    pub(super) fn effective(&self, setting: &Setting) -> Given {
        self.given.get(setting.key).cloned().unwrap_or_else(|| Given {
            text: setting.default.text().to_owned(),
            source: Source::Default,
        })
    }

    fn take_file(&mut self, path: &Path, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let torn = !errors.is_empty();
        for error in errors {
            // Only the message: the error's own text repeats the line, which may hold a secret.
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let error = format!("line {line}: {}", error.message());
            self.faults.push(Fault::File { path: path.to_owned(), error });
        }
        // What is read on behind an error may have another line's secret in its value.
        if torn {
            return;
        }
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = line_of(text, key.span().start);
            let source = Source::File { path: path.to_owned(), line };
            match setting::find(key.get_ref()) {
                None => {
                    let meant = nearest(key.get_ref()).map(|setting| setting.key.to_owned());
                    let name = key.get_ref().to_string();
                    self.faults.push(Fault::Unknown { name, source, meant });
                }
                Some(setting) => match text_of(value.get_ref()) {
                    Some(text) => {
                        self.given.insert(setting.key, Given { text, source });
                    }
                    None => self.faults.push(Fault::Value {
                        key: setting.key,
                        source,
                        shown: format!("a value of type {}", value.get_ref().type_str()),
                        allowed: "must be text, a whole number, true or false, or a list of texts"
                            .to_owned(),
                    }),
                },
            }
        }
    }

    fn take_environment(&mut self, variables: Vec<(OsString, OsString)>) {
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let source = Source::Environment;
            let known = setting::find(&rest.to_ascii_lowercase())
                .filter(|setting| setting.variable() == name);
            match (known, value.into_string()) {
                (Some(setting), Ok(text)) => {
                    self.given.insert(setting.key, Given { text, source });
                }
                (Some(setting), Err(_)) => self.faults.push(Fault::Value {
                    key: setting.key,
                    source,
                    shown: "a value that is no UTF-8".to_owned(),
                    allowed: "must be text".to_owned(),
                }),
                (None, _) => {
                    let meant = nearest(&rest.to_ascii_lowercase()).map(Setting::variable);
                    self.faults.push(Fault::Unknown { name, source, meant });
                }
            }
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// A value of the file in the form that the other layers have: lists are separated by commas.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> =
                items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The setting whose name is so near that a slip of the hand explains the difference.
fn nearest(name: &str) -> Option<&'static Setting> {
    setting::all()
        .map(|setting| (strsim::jaro_winkler(name, setting.key), setting))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, setting)| setting)
}
