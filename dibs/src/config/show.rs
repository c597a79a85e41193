//! The effective settings as `dibs config` prints them.

use std::fmt::Write as _;

use store::gate::redis;
use url::Url;

use super::Config;
use super::fault::Source;
use super::layers::Layers;
use super::setting::{self, Default, Setting};

/// One line of the listing.
pub(super) struct Shown {
    setting: &'static Setting,
    /// Never a secret, nor a password.
    value: String,
    source: Source,
}

pub(super) fn rows(layers: &Layers) -> Vec<Shown> {
    setting::all()
        .map(|setting| {
            let given = layers.effective(setting);
            let value = match (given.text.as_str(), setting.default) {
                ("", _) => "(unset)".to_owned(),
                (text, Default::Plain(_)) => text.to_owned(),
                ("local", Default::Address(_)) => "local".to_owned(),
                (text, Default::Address(_)) => without_user(text).unwrap_or_else(not_shown),
                (_, Default::Secret(_)) => not_shown(),
            };
            Shown { setting, value, source: given.source }
        })
        .collect()
}

fn not_shown() -> String {
    "(set, not shown)".to_owned()
}

/// An address without user and password; `None` where it cannot be told what they are.
fn without_user(text: &str) -> Option<String> {
    // One of several hosts is no URL, and may have another password in its query.
    if let Ok(gate) = redis::Address::parse(text) {
        return Some(gate.to_string());
    }
    let mut url = Url::parse(text).ok()?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url.to_string())
}

impl Config {
    /// Every setting with its value and where that came from, concern by concern; of an
    /// address neither user nor password, of a secret only whether it is set.
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
