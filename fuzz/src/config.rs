//! Configurations: all faults are told, each on one line, and no secret is shown.
//!
//! The input is a `dibs.toml`, a line `---`, and then variables of the environment, one a line.

use dibs::config::{Config, Inputs};

/// What a secret looks like in the inputs.
const SECRET: &str = "hunter2";

/// Settings that are never shown, and those that may hold a password.
const SECRETS: [&str; 3] = ["secret", "admin_key", "jwt_keys"];
const ADDRESSES: [&str; 4] = ["gate", "log", "log_admin", "ledger"];

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Settings that name a file have it read, and some files have no end.
    if ["/dev", "/proc", "/sys"].iter().any(|folder| text.contains(folder)) {
        return;
    }
    let (file, environment) = text.split_once("\n---\n").unwrap_or((text, ""));
    let environment: Vec<_> = environment.lines().filter_map(|line| line.split_once('=')).collect();
    let inputs = Inputs {
        file: Some(("dibs.toml".into(), file.to_owned())),
        unreadable: None,
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: Vec::new(),
    };
    match Config::read(inputs) {
        Ok(config) => {
            let _ = (config.guests(), config.demo(), config.warnings());
            let shown = config.listing();
            if only_in(&SECRETS, file, &environment) {
                assert!(!shown.contains(SECRET), "{shown}");
            }
        }
        Err(faults) => {
            assert!(!faults.list().is_empty());
            let hidden = only_in(&[&SECRETS[..], &ADDRESSES].concat(), file, &environment);
            for fault in faults.list() {
                let told = fault.to_string();
                assert!(!told.is_empty() && !told.contains(char::is_control), "{told:?}");
                assert!(!hidden || !told.contains(SECRET), "{told}");
            }
        }
    }
}

/// Whether a secret stands nowhere but where these settings have their values.
fn only_in(settings: &[&str], file: &str, environment: &[(&str, &str)]) -> bool {
    let several_lines = file.contains("\"\"\"") || file.contains("'''");
    let in_file = file.lines().all(|line| {
        let known = settings.iter().any(|setting| {
            line.strip_prefix(setting)
                .and_then(|rest| rest.trim_start().strip_prefix('='))
                .is_some()
        });
        known || !line.contains(SECRET)
    });
    let in_environment = environment.iter().all(|(name, value)| {
        let known = settings.iter().any(|s| *name == format!("DIBS_{}", s.to_ascii_uppercase()));
        !name.contains(SECRET) && (known || !value.contains(SECRET))
    });
    !several_lines && in_file && in_environment
}
