//! Connecting to a Redis, and whose it is.

use std::path::Path;

use redis::cmd;
use sale::id::InstallId;
use sale::time::Timestamp;

use super::address::Address;
use super::fault::Fault;
use super::keys::Keys;
use super::link::Link;
use super::reply::Unreadable;
use crate::open::OpenError;

/// Connects, and refuses a Redis that would lose or refuse what Dibs writes.
pub(super) async fn connect(address: &Address, ca: Option<&Path>) -> Result<Link, OpenError> {
    let ca = match ca {
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            OpenError::Refused(format!("engines_ca: cannot read {}: {error}", path.display()))
        })?),
        None => None,
    };
    Link::open(address, ca).await.map_err(|fault| fault.at(address))
}

/// The clock of Redis.
pub(super) async fn time(link: &Link) -> Result<Timestamp, Fault> {
    let (seconds, micros) = link.query::<(i64, i64)>(&cmd("TIME")).await?;
    let at = Timestamp::from_millis(seconds * 1000 + micros / 1000);
    Ok(at.map_err(|_| Unreadable("time"))?)
}

/// Marks the Redis as this install's, or says that it is another one's.
pub(super) async fn mark(
    link: &Link,
    keys: &Keys,
    install: InstallId,
) -> Result<Result<(), String>, Fault> {
    let (marker, own) = (keys.install(), install.to_string());
    let mut command = cmd("SET");
    command.arg(&marker).arg(&own).arg("NX").arg("GET");
    let before = link.query::<Option<String>>(&command).await?;
    Ok(before.map_or(Ok(()), |before| is_own(&before, &marker, &own)))
}

/// Says why the Redis is not this install's, if so. One without a mark may be a wrong prefix,
/// and a second gate would grant the same units again.
pub(super) async fn is_marked(
    link: &Link,
    keys: &Keys,
    install: InstallId,
) -> Result<Result<(), String>, Fault> {
    let (marker, own) = (keys.install(), install.to_string());
    let mark = link.query::<Option<String>>(cmd("GET").arg(&marker)).await?;
    Ok(match mark {
        Some(mark) => is_own(&mark, &marker, &own),
        None => Err(format!(
            "nothing here is marked as this install's (the key {marker}): see that database and \
             prefix are right; if they are, run `dibs migrate`"
        )),
    })
}

fn is_own(mark: &str, marker: &str, own: &str) -> Result<(), String> {
    if mark == own {
        return Ok(());
    }
    Err(format!(
        "these keys belong to another install, {mark} (see the key {marker}): use another Redis, \
         database or prefix"
    ))
}
