//! The front door: a real nginx, with the configuration that compose.yaml mounts.

use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::dice;
use crate::file::{Compose, text};
use crate::harness::eventually;

/// A door that is open. Dropped, it is shut.
pub(crate) struct Door {
    nginx: Child,
    _folder: TempDir,
    /// Such as `http://127.0.0.1:40123`.
    pub(crate) base: String,
}

#[expect(clippy::disallowed_methods, reason = "tests are told where nginx is")]
fn nginx() -> String {
    std::env::var("TEST_NGINX").expect("TEST_NGINX must name a program: run ./test")
}

/// An address of this machine that nobody listens on.
pub(crate) fn nobody() -> SocketAddr {
    dice::address().parse().unwrap()
}

impl Door {
    /// Opens it before the processes that answer for `api` and `push`.
    pub(crate) async fn before(api: &[SocketAddr], push: &[SocketAddr]) -> Self {
        let service = &Compose::read().services["door"];
        assert_eq!(service.command[0], "nginx");
        let (file, _) = service.volumes[0].split_once(":/etc/nginx/nginx.conf").unwrap();
        let listen = nobody();

        let folder = tempfile::tempdir().unwrap();
        // Its workers give up the rights of root.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut config = text(file);
        config = replaced(&config, "listen 8080", &format!("listen {listen}"));
        config = replaced(&config, " /tmp/", &format!(" {}/", folder.path().display()));
        config = with_servers(&config, "api", api);
        config = with_servers(&config, "push", push);
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();

        let log = folder.path().join("log");
        let mut command = Command::new(nginx());
        command.args(&service.command[1..]).arg("-c").arg(&path);
        command.stderr(File::create(&log).unwrap());
        let mut nginx = command.spawn().unwrap();
        eventually("the door opens", async || {
            if nginx.try_wait().unwrap().is_some() {
                panic!("nginx has ended: {}", read(&log));
            }
            TcpStream::connect(listen).await.ok()
        })
        .await;
        Self { nginx, _folder: folder, base: format!("http://{listen}") }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn replaced(config: &str, what: &str, by: &str) -> String {
    assert!(config.contains(what), "{what} does not stand in {config}");
    config.replace(what, by)
}

/// Names the containers of a role as Docker's name server would: a line for each, in place of
/// each that has the role's name.
fn with_servers(config: &str, role: &str, addresses: &[SocketAddr]) -> String {
    let named = format!("server {role}:8080 resolve ");
    assert!(config.contains(&named), "{role} does not stand in {config}");
    let lines = config.lines().flat_map(|line| match line.trim().strip_prefix(&named) {
        Some(options) => {
            addresses.iter().map(|address| format!("server {address} {options}\n")).collect()
        }
        None => vec![format!("{line}\n")],
    });
    lines.collect()
}

impl Drop for Door {
    /// Killed, it would leave its workers behind.
    fn drop(&mut self) {
        let pid = self.nginx.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
