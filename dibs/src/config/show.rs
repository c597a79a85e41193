//! The effective settings as `dibs config` prints them.

use std::fmt::Write as _;

use super::Config;
use super::fault::Source;
use super::layers::Layers;
use super::setting::{self, Setting};

/// One line of the listing.
pub(super) struct Shown {
    setting: &'static Setting,
    /// Never the value of a secret.
    value: String,
    source: Source,
}

pub(super) fn rows(layers: &Layers) -> Vec<Shown> {
    setting::all()
        .map(|setting| {
            let given = layers.effective(setting);
            let value = match (given.text.as_str(), setting.is_secret()) {
                ("", _) => "(unset)".to_owned(),
                (_, true) => "(set, not shown)".to_owned(),
                (text, false) => text.to_owned(),
            };
            Shown { setting, value, source: given.source }
        })
        .collect()
}

impl Config {
    /// Every setting with its value and where that came from, concern by concern; of a secret
    /// only whether it is set.
    pub fn listing(&self) -> String {
        let widest = |of: fn(&Shown) -> usize| self.shown.iter().map(of).max().unwrap_or(0);
        let keys = widest(|row| row.setting.key.len());
        let values = widest(|row| row.value.chars().count()).min(40);
        let mut text = String::new();
        let mut group = "";
        for Shown { setting, value, source } in &self.shown {
            if setting.group != group {
                let gap = if group.is_empty() { "" } else { "\n" };
                group = setting.group;
                let _ = writeln!(text, "{gap}{group}");
            }
            let _ = writeln!(text, "  {:keys$}  {value:values$}  {source}", setting.key);
        }
        text
    }
}
