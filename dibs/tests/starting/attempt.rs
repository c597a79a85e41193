//! A start, from its settings to the line that it ends with.

use std::net::TcpListener;
use std::process::Output;

use crate::harness::{ADMIN_KEY, PATIENCE, Place, dibs, variable};

/// Stands in every address; no line may repeat it.
pub(crate) const PASSWORD: &str = "hunter2";

/// The commands that serve.
pub(crate) const SERVING: [&[&str]; 4] = [&["api"], &["worker"], &["push"], &[]];

/// A setting by its key, and its value; the last of a key holds, and an empty one is unset.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// Engines where nobody answers, with all else that a role needs.
pub(crate) fn settings() -> Settings {
    let mut settings = engines();
    settings.extend([
        ("secret", "the secret of these tests is long enough".to_owned()),
        ("admin_key", ADMIN_KEY.to_owned()),
        ("start_within", "1s".to_owned()),
        ("listen", "127.0.0.1:0".to_owned()),
        ("ops_listen", "127.0.0.1:0".to_owned()),
    ]);
    settings
}

/// Engines where nobody answers.
pub(crate) fn engines() -> Settings {
    vec![
        ("gate", format!("redis://dibs:{PASSWORD}@{}", nobody())),
        ("log", format!("pulsar://:{PASSWORD}@{}/public/dibs", nobody())),
        ("log_admin", format!("http://{}", nobody())),
        ("ledger", format!("mysql://dibs:{PASSWORD}@{}/dibs", nobody())),
    ]
}

/// A host and a port where nobody answers.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Runs the binary with these settings until it ends. It keeps nothing on disk.
pub(crate) async fn run(command: &[&str], settings: &Settings) -> Output {
    let place = Place::new();
    let mut run = dibs(&place, command);
    for (key, value) in settings {
        run.env(variable(key), value);
    }
    let output = tokio::time::timeout(PATIENCE, run.output()).await;
    let output = output.expect("it should have ended").unwrap();
    let kept: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert!(kept.is_empty(), "{kept:?}");
    output
}

/// The line that a refused command ends with.
pub(crate) async fn refused(command: &[&str], settings: &Settings, code: i32) -> String {
    let output = run(command, settings).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("dibs: ")).collect();
    let [line] = lines[..] else { panic!("it should end with one line of its own: {said}") };
    assert!(said.ends_with(&format!("{line}\n")), "{said}");
    line.to_owned()
}

/// The only line of a refused command.
pub(crate) async fn refused_at_once(command: &[&str], settings: &Settings) -> String {
    let output = run(command, settings).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(said.starts_with("dibs: ") && said.lines().count() == 1, "{said}");
    said
}
