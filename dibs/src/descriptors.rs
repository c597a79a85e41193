//! File descriptors: each connection needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs besides its connections: files, threads, the ops server.
const OTHERS: u64 = 512;

/// Asks the system for as many as `connections` need; warns if it does not give them.
pub(crate) fn raise(connections: usize) {
    let needed = connections as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let has = |current: Option<u64>| current.is_none_or(|current| current >= needed);
    if has(limit.current) {
        return;
    }
    let wanted = limit.maximum.map_or(needed, |most| most.min(needed));
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let given = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(wanted),
        Err(_) => limit.current,
    };
    if !has(given) {
        tracing::warn!(
            needed,
            given,
            "fewer file descriptors than `connections` needs: raise the limit (ulimit -n), or \
             lower the setting"
        );
    }
}
