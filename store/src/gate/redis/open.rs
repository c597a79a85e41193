//! What a Redis must be before Dibs keeps its rounds in it.

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

/// The oldest Redis whose scripts can say what they may do when memory is full.
const OLDEST: u32 = 7;

/// Connects, and refuses a Redis that would lose or refuse what Dibs writes.
pub(super) async fn connect(address: &Address, ca: Option<&Path>) -> Result<Link, OpenError> {
    let ca = match ca {
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            OpenError::Refused(format!("engines_ca: cannot read {}: {error}", path.display()))
        })?),
        None => None,
    };
    let link = Link::open(address, ca.as_deref()).await.map_err(|fault| fault.at(address))?;
    let info = link.query::<String>(&cmd("INFO")).await.map_err(|fault| fault.at(address))?;
    check(&info).map_err(|refused| OpenError::Refused(format!("{address}: {refused}")))?;
    Ok(link)
}

/// Checks what Redis says of itself.
fn check(info: &str) -> Result<(), String> {
    let says = |name: &str| {
        let mut values = info.lines().filter_map(|line| line.split_once(':'));
        values.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim())
    };
    let version = says("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(format!("this is Redis {version}: Dibs needs {OLDEST}.0 or later"));
    }
    let mode = says("redis_mode");
    if mode != "standalone" {
        return Err(format!("this Redis runs as {mode}: name a Redis that stands alone"));
    }
    if says("role") != "master" {
        let (host, port) = (says("master_host"), says("master_port"));
        return Err(format!(
            "this Redis is a read-only replica: name its primary {host}:{port} as the gate"
        ));
    }
    let policy = says("maxmemory_policy");
    if policy != "noeviction" {
        return Err(format!(
            "this Redis evicts keys when memory is full (maxmemory-policy {policy}), which would \
             sell units twice: set it to noeviction, with CONFIG SET maxmemory-policy noeviction \
             and in its configuration file"
        ));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn info(changed: &str, value: &str) -> String {
        let lines = [
            ("redis_version", "7.0.15"),
            ("redis_mode", "standalone"),
            ("role", "master"),
            ("maxmemory_policy", "noeviction"),
        ];
        let line =
            |(name, usual)| format!("{name}:{}\r\n", if name == changed { value } else { usual });
        format!("# Server\r\n{}", lines.map(line).concat())
    }

    #[test]
    fn a_redis_that_keeps_what_it_took_is_accepted() {
        assert_eq!(check(&info("", "")), Ok(()));
        assert_eq!(check(&info("redis_version", "8.2.1")), Ok(()));
    }

    #[test]
    fn each_unfit_redis_is_refused_by_a_line_of_its_own() {
        for (name, value, hint) in [
            ("redis_version", "6.2.14", "7.0 or later"),
            ("redis_version", "", "7.0 or later"),
            ("redis_mode", "cluster", "stands alone"),
            ("role", "slave", "primary"),
            ("maxmemory_policy", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
            ("maxmemory_policy", "", "noeviction"),
        ] {
            let refused = check(&info(name, value)).unwrap_err();
            assert!(refused.contains(hint), "{refused}");
        }
    }
}
