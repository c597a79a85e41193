//! What an error of Redis means: for a call, and for a start.

use std::io;

use redis::{ErrorKind, RedisError};

use super::address::Address;
use super::reply::Unreadable;
use crate::gate::GateError;
use crate::open::OpenError;

/// Why something was not answered as it should be.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// There is no connection: nothing was sent.
    NotSent(RedisError),
    /// What answers is not what Dibs needs, until somebody changes it: nothing was sent.
    Unfit(String),
    /// What answers is not what Dibs needs, and may become so by itself: nothing was sent.
    NotYet(String),
    /// What was sent was answered by an error, or not at all.
    Sent(RedisError),
    /// What was only looked at is none that Dibs knows.
    Unreadable(Unreadable),
    /// The answer to a call that may have had its effect is none that Dibs knows.
    InDoubt(Unreadable),
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl Fault {
    /// Whether the script must be loaded first.
    pub(super) fn is_no_script(&self) -> bool {
        match self {
            Self::Sent(error) => error.code() == Some("NOSCRIPT"),
            Self::NotSent(_)
            | Self::Unfit(_)
            | Self::NotYet(_)
            | Self::Unreadable(_)
            | Self::InDoubt(_) => false,
        }
    }

    /// Why the Redis at `address` cannot be used.
    pub(super) fn at(&self, address: &Address) -> OpenError {
        let line = format!("{address}: {}", self.sentence());
        if self.may_pass() { OpenError::Unreachable(line) } else { OpenError::Refused(line) }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::NotSent(error) | Self::Sent(error) => match error.code() {
                Some("LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN") => true,
                Some(_) | None => error.is_io_error() && !is_certificate(error),
            },
            Self::NotYet(_) => true,
            Self::Unfit(_) | Self::Unreadable(_) | Self::InDoubt(_) => false,
        }
    }

    /// Tells what the error itself has no room for.
    fn not_known(&self) -> GateError {
        tracing::error!(error = self.sentence(), "a call of the gate may have had its effect");
        GateError::NotKnown
    }

    /// What happened, and what to do.
    fn sentence(&self) -> String {
        match self {
            Self::NotSent(error) | Self::Sent(error) => format!("{} ({error})", advice(error)),
            Self::Unfit(why) | Self::NotYet(why) => why.clone(),
            Self::Unreadable(unreadable) | Self::InDoubt(unreadable) => unreadable.to_string(),
        }
    }
}

impl From<Fault> for GateError {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Sent(error) if is_lost(error) => Self::NotKnown,
            Fault::Sent(error) if is_cut_short(error) => fault.not_known(),
            Fault::InDoubt(_) => fault.not_known(),
            Fault::NotSent(_)
            | Fault::Unfit(_)
            | Fault::NotYet(_)
            | Fault::Sent(_)
            | Fault::Unreadable(_) => Self::Unavailable(fault.sentence()),
        }
    }
}

/// Whether the connection is of no use any more. One on which an answer is overdue is not
/// either: the way to Redis may be gone without a word.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

/// Whether a script failed on its way. What it wrote before stays.
fn is_cut_short(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("user_script"))
}

/// Whether the other end's certificate was not accepted.
pub(super) fn is_certificate(error: &RedisError) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| {
        source.kind() == io::ErrorKind::InvalidData && source.to_string().contains("certificate")
    })
}

fn advice(error: &RedisError) -> &'static str {
    match error.code() {
        Some("OOM") => "Redis has no memory left: raise its maxmemory",
        Some("READONLY") => "this Redis is a read-only replica: name its primary as the gate",
        Some("LOADING") => "Redis is still loading its data: wait until it has",
        Some("BUSY") => "Redis is busy with a script of somebody else: wait, or SCRIPT KILL it",
        Some("MISCONF") => "Redis cannot write its data to disk and takes no writes: see its log",
        Some("NOREPLICAS") => "Redis has fewer replicas than it needs to take writes: see its log",
        Some("WRONGPASS") => "Redis refuses this user and password: correct the gate's address",
        Some("NOAUTH") => "Redis wants a password: give user:password@ in the gate's address",
        Some("NOPERM") => {
            "the user needs more rights in Redis: ACL SETUSER <user> ~<prefix>:* \
             +@all -@dangerous +info"
        }
        Some("CLUSTERDOWN") => "the cluster has slots that no master serves: see CLUSTER INFO",
        Some("MOVED" | "ASK" | "TRYAGAIN") => {
            "the cluster is moving the slot of this round to another node: wait until it has"
        }
        Some("MASTERDOWN") => "this Redis is a replica without its primary: name the primary",
        Some("ERR")
            if error.detail().is_some_and(|detail| detail.starts_with("unknown command")) =>
        {
            "this Redis lacks a command that Dibs needs: allow scripts, INFO and TIME in it"
        }
        Some(_) => "Redis refuses",
        None if is_certificate(error) => {
            "the certificate of Redis is not trusted: name the file of its root in engines_ca"
        }
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            "Redis refuses this user and password: correct the gate's address"
        }
        None if error.is_io_error() => "there is no connection to Redis",
        None if error.kind() == ErrorKind::RESP3NotSupported => {
            "this Redis is too old: Dibs needs 7.0 or later"
        }
        None => "this address cannot be used",
    }
}
