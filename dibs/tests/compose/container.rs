//! A container of ours as a process of this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::file::{Compose, Service, image_environment};
use crate::harness::{PATIENCE, Place, dibs, eventually, variable};
use crate::install::Install;

/// The file's services on engines of one test's own, in a folder that stands for /etc/dibs.
pub(crate) struct Project {
    pub(crate) compose: Compose,
    pub(crate) place: Place,
    install: Install,
}

impl Project {
    /// On engines that nothing has been done to yet.
    pub(crate) fn new(install: Install) -> Self {
        Self { compose: Compose::read(), place: Place::new(), install }
    }

    /// Runs the service that makes the keys.
    pub(crate) async fn make_keys(&self) {
        let keys = &self.compose.services["keys"];
        let here = self.place.path().to_str().unwrap();
        let mut command = Command::new(&keys.entrypoint[0]);
        command.args(&keys.entrypoint[1..]);
        command.args(keys.command.iter().map(|script| script.replace("/etc/dibs", here)));
        assert!(command.status().await.unwrap().success());
    }

    /// Runs a service of ours to its end, and answers what it printed.
    pub(crate) async fn run(&self, name: &str) -> String {
        let service = &self.compose.services[name];
        let mut command = dibs(&self.place, &service.command);
        command.envs(self.environment(service));
        let output = timeout(PATIENCE, command.output()).await.expect("it should end").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a service of ours, and waits until its health check is content.
    pub(crate) async fn start(&self, name: &str) -> Container {
        let service = &self.compose.services[name];
        let log = self.place.path().join(format!("{name}-{}.log", rand::random::<u32>()));
        let mut command = dibs(&self.place, &service.command);
        command.envs(self.environment(service));
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        while !greeting.contains("/readyz") {
            let line = timeout(PATIENCE, lines.next_line()).await;
            match line.expect("it should have said that it runs").unwrap() {
                Some(line) => greeting.push_str(&line),
                None => panic!("{name} ended: {}", std::fs::read_to_string(&log).unwrap()),
            }
        }
        let address = |after: &str| {
            let (_, rest) = greeting.split_once(after)?;
            let (_, rest) = rest.split_once("http://")?;
            rest.split_once('/')?.0.parse().ok()
        };
        let container = Container {
            _child: child,
            _lines: lines,
            listen: address("is running: "),
            ops: address("health").unwrap(),
        };
        eventually(&format!("{name} is healthy"), async || {
            self.is_healthy(service, &container).await.then_some(())
        })
        .await;
        container
    }

    async fn is_healthy(&self, service: &Service, container: &Container) -> bool {
        let test = &service.healthcheck.test;
        assert_eq!(test[..2], ["CMD", "/usr/bin/dibs"]);
        let mut command = dibs(&self.place, &test[2..]);
        command.envs(self.environment(service));
        command.env("DIBS_OPS_LISTEN", container.ops.to_string());
        command.output().await.unwrap().status.success()
    }

    /// The environment of the image and that of the service, with the addresses of this test.
    fn environment(&self, service: &Service) -> BTreeMap<String, String> {
        let mut all: BTreeMap<_, _> = image_environment().into_iter().collect();
        for (name, value) in &service.environment {
            if let Some(value) = value {
                all.insert(name.clone(), value.clone());
            }
        }
        for name in ["DIBS_LISTEN", "DIBS_OPS_LISTEN"] {
            all.insert(name.to_owned(), "127.0.0.1:0".to_owned());
        }
        for (key, address) in self.install.settings() {
            let name = variable(key);
            if let Some(written) = all.get_mut(&name) {
                assert!(names_a_service(written, address, &self.compose), "{name}={written}");
                *written = address.to_owned();
            }
        }
        all
    }
}

/// Whether it is an address of the same kind, on a host that is a service.
fn names_a_service(written: &str, replacement: &str, compose: &Compose) -> bool {
    let (written, other) = (written.parse::<url::Url>().unwrap(), replacement.parse::<url::Url>());
    written.scheme() == other.unwrap().scheme()
        && compose.services.contains_key(written.host_str().unwrap())
}

/// A process that runs. Dropped, it is killed.
pub(crate) struct Container {
    _child: Child,
    _lines: Lines<BufReader<ChildStdout>>,
    /// Where buyers are answered.
    pub(crate) listen: Option<SocketAddr>,
    ops: SocketAddr,
}
