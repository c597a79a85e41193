//! What a setting is, and the one table of all of them.

use super::layers::Layers;
use super::{claims, engines, keys, logs, rounds, serving, storage, watching};

/// One setting: the row that flag, environment variable, key of the file, help and listing are
/// made from.
#[derive(Debug)]
pub struct Setting {
    /// Its name, as in `dibs.toml`.
    pub key: &'static str,
    /// What it does, in one or two sentences.
    pub doc: &'static str,
    /// What a value is, for the help.
    pub placeholder: &'static str,
    /// What holds where nobody says anything.
    pub default: Default,
    /// The concern it belongs to.
    pub group: &'static str,
}

/// The text that holds where nobody says anything; empty means unset. The variant says whether
/// values may be shown.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// Shown in listings and faults.
    Plain(&'static str),
    /// An address that may hold user and password: listed without them, in faults not at all.
    Address(&'static str),
    /// Never shown.
    Secret(&'static str),
}

impl Default {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Plain(text) | Self::Address(text) | Self::Secret(text) => text,
        }
    }
}

impl Setting {
    /// Its environment variable, such as `DIBS_LISTEN`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// Its flag without the dashes in front, such as `ops-listen`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}

/// What every environment variable of Dibs begins with.
pub const PREFIX: &str = "DIBS_";

/// Every setting, concern by concern.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    [
        serving::Serving::SETTINGS,
        storage::Storage::SETTINGS,
        keys::Keys::SETTINGS,
        engines::Choices::SETTINGS,
        claims::Claims::SETTINGS,
        rounds::Rounds::SETTINGS,
        watching::Watching::SETTINGS,
        logs::Logs::SETTINGS,
    ]
    .into_iter()
    .flatten()
}

/// The setting of this name.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

/// The settings of one concern.
pub(super) trait Section: Sized {
    const SETTINGS: &'static [Setting];

    /// Reads every one of them, so that all faults are gathered; `None` if there was one.
    fn read(layers: &mut Layers) -> Option<Self>;
}

/// Declares the settings of one concern: the struct, its rows of the table, and how it is read.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident in $group:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:ident($text:literal), $placeholder:literal,
                $parse:expr;
            )+
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl crate::config::setting::Section for $name {
            const SETTINGS: &'static [crate::config::setting::Setting] = &[$(
                crate::config::setting::Setting {
                    key: stringify!($field),
                    doc: concat!($($doc),+),
                    placeholder: $placeholder,
                    default: crate::config::setting::Default::$default($text),
                    group: $group,
                },
            )+];

            fn read(layers: &mut crate::config::layers::Layers) -> Option<Self> {
                $(let $field = layers.read(stringify!($field), $parse);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}
pub(super) use section;
