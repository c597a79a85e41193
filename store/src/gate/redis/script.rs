//! The scripts: one file for each atomic operation.

use std::sync::LazyLock;

/// What stands in every script after its first line.
const SLOT: &str = include_str!("scripts/slot.lua");

/// A script as Redis runs it.
pub(super) struct Script {
    pub(super) text: String,
    /// Its SHA-1, by which Redis knows it once it was loaded.
    pub(super) hash: String,
}

impl Script {
    fn new(file: &str) -> Self {
        let (flags, body) = file.split_once('\n').expect("a script begins with a line of flags");
        let text = format!("{flags}\n{SLOT}\n{body}");
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal),* $(,)?) => {$(
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file))));
    )*};
}

scripts!(
    GRANT = "grant.lua",
    SETTLE = "settle.lua",
    READ = "read.lua",
    RESEND = "resend.lua",
    WARM = "warm.lua",
    TERMS = "terms.lua",
    RESTOCK = "restock.lua",
    FIGURES = "figures.lua",
    FREEZE = "freeze.lua",
    RETIRE = "retire.lua",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_memory_may_not_run_when_there_is_none_left() {
        for script in [&GRANT, &WARM] {
            assert_eq!(script.text.lines().next(), Some("#!lua"));
        }
        for script in [&SETTLE, &RESEND, &TERMS, &RESTOCK, &FREEZE, &RETIRE] {
            assert_eq!(script.text.lines().next(), Some("#!lua flags=allow-oom"));
        }
        for script in [&READ, &FIGURES] {
            assert_eq!(script.text.lines().next(), Some("#!lua flags=no-writes"));
        }
    }
}
