//! Which cores the servers have and which the crowd, and how many connections the system admits.

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores of servers, and cores of the crowd.
pub(super) struct Cores {
    servers: CpuSet,
    crowd: CpuSet,
}

impl Cores {
    /// Halves what this process has, and takes the crowd's half for it. One core is shared.
    pub(super) fn split() -> anyhow::Result<Self> {
        let all = sched_getaffinity(None).context("cannot tell the cores of this process")?;
        let have: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let of = |cores: &[usize]| {
            let mut set = CpuSet::new();
            cores.iter().for_each(|core| set.set(*core));
            set
        };
        let (servers, crowd) = have.split_at(have.len() / 2);
        let cores = if servers.is_empty() {
            Self { servers: all, crowd: all }
        } else {
            Self { servers: of(servers), crowd: of(crowd) }
        };
        for thread in std::fs::read_dir("/proc/self/task")? {
            let id = thread?.file_name().to_string_lossy().parse()?;
            sched_setaffinity(Pid::from_raw(id), &cores.crowd).context("cannot choose a core")?;
        }
        Ok(cores)
    }

    /// Runs what starts a server: what a thread starts has its cores.
    pub(super) async fn of_servers<T>(&self, starting: impl Future<Output = T>) -> T {
        // Polled on one thread until it waits; a process is started without a wait in between.
        let mut starting = std::pin::pin!(starting);
        std::future::poll_fn(|context| {
            let chosen = sched_setaffinity(None, &self.servers).is_ok();
            let polled = starting.as_mut().poll(context);
            if chosen {
                // It was this thread's before.
                let _ = sched_setaffinity(None, &self.crowd);
            }
            polled
        })
        .await
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let (servers, crowd) = (self.servers.count(), self.crowd.count());
        if self.servers == self.crowd {
            "servers and crowd on the same core".to_owned()
        } else {
            format!("{servers} core(s) for the servers, {crowd} for the crowd")
        }
    }
}

/// Asks for as many file descriptors as this process may have: each connection needs one.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Who may not have more finds out when a connection fails.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
