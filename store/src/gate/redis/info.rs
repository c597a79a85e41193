//! What a Redis must be before Dibs keeps its rounds in it, by what it says of itself.

use super::fault::Fault;

/// The oldest Redis whose scripts can say what they may do when memory is full.
const OLDEST: u32 = 7;

/// What a server is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The one Redis.
    Alone,
    /// The master that Sentinels name.
    Master,
    /// A Sentinel, which keeps nothing.
    Sentinel,
    /// A node of a cluster. A replica among them sends calls on to its master.
    Node,
}

/// Refuses a Redis that would lose or refuse what Dibs writes.
pub(super) fn check(info: &str, part: Part) -> Result<(), Fault> {
    let says = |name: &str| {
        let mut values = info.lines().filter_map(|line| line.split_once(':'));
        values.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim())
    };
    let version = says("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        let why = format!("this is Redis {version}: Dibs needs {OLDEST}.0 or later");
        return Err(Fault::Unfit(why));
    }
    check_mode(says("redis_mode"), part)?;
    if part == Part::Sentinel {
        return Ok(());
    }
    if says("role") != "master" {
        let master = format!("{}:{}", says("master_host"), says("master_port"));
        check_replica(&master, part)?;
    }
    let policy = says("maxmemory_policy");
    if policy != "noeviction" {
        return Err(Fault::Unfit(format!(
            "this Redis evicts keys when memory is full (maxmemory-policy {policy}), which would \
             sell units twice: set it to noeviction, with CONFIG SET maxmemory-policy noeviction \
             and in its configuration file"
        )));
    }
    Ok(())
}

fn check_mode(mode: &str, part: Part) -> Result<(), Fault> {
    let remedy = match (mode, part) {
        ("standalone", Part::Alone | Part::Master)
        | ("cluster", Part::Node)
        | ("sentinel", Part::Sentinel) => return Ok(()),
        ("standalone", Part::Node | Part::Sentinel) => "name it as redis:// (rediss:// for TLS)",
        ("cluster", Part::Alone | Part::Master | Part::Sentinel) => {
            "name the cluster as redis-cluster:// (rediss-cluster:// for TLS)"
        }
        ("sentinel", _) => {
            "name what it watches as redis-sentinel://host:port/service (rediss-sentinel:// for \
             TLS)"
        }
        _ => "name another one",
    };
    Err(Fault::Unfit(format!("this Redis runs as {mode}: {remedy}")))
}

fn check_replica(master: &str, part: Part) -> Result<(), Fault> {
    match part {
        Part::Alone => Err(Fault::Unfit(format!(
            "this Redis is a read-only replica: name its primary {master} as the gate, or its \
             Sentinels as redis-sentinel://host:port/service"
        ))),
        Part::Master => Err(Fault::NotYet(
            "the Sentinels name a Redis that is a read-only replica: wait until they agree on a \
             master"
                .to_owned(),
        )),
        Part::Node | Part::Sentinel => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(changed: &[(&str, &str)]) -> String {
        let usual = [
            ("redis_version", "7.0.15"),
            ("redis_mode", "standalone"),
            ("role", "master"),
            ("maxmemory_policy", "noeviction"),
        ];
        let line = |(name, usual): (&str, &str)| {
            let changed = changed.iter().find(|(changed, _)| *changed == name);
            format!("{name}:{}\r\n", changed.map_or(usual, |(_, value)| *value))
        };
        format!("# Server\r\n{}", usual.map(line).concat())
    }

    fn refusal(changed: &[(&str, &str)], part: Part) -> String {
        match check(&info(changed), part) {
            Err(Fault::Unfit(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redis_that_keeps_what_it_took_is_accepted() {
        for part in [Part::Alone, Part::Master] {
            check(&info(&[]), part).unwrap();
            check(&info(&[("redis_version", "8.2.1")]), part).unwrap();
        }
        check("redis_version:7.0.15\r\nredis_mode:sentinel\r\n", Part::Sentinel).unwrap();
        check(&info(&[("redis_mode", "cluster")]), Part::Node).unwrap();
        check(&info(&[("redis_mode", "cluster"), ("role", "slave")]), Part::Node).unwrap();
    }

    #[test]
    fn each_unfit_redis_is_refused_by_a_line_of_its_own() {
        for (name, value, hint) in [
            ("redis_version", "6.2.14", "7.0 or later"),
            ("redis_version", "", "7.0 or later"),
            ("redis_mode", "cluster", "redis-cluster://"),
            ("redis_mode", "sentinel", "redis-sentinel://"),
            ("role", "slave", "primary"),
            ("maxmemory_policy", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
            ("maxmemory_policy", "", "noeviction"),
        ] {
            let refused = refusal(&[(name, value)], Part::Alone);
            assert!(refused.contains(hint), "{refused}");
        }
        assert!(refusal(&[], Part::Node).contains("redis:// "));
        assert!(refusal(&[], Part::Sentinel).contains("redis:// "));
        let evicts = [("redis_mode", "cluster"), ("maxmemory_policy", "volatile-lru")];
        assert!(refusal(&evicts, Part::Node).contains("noeviction"));
    }

    #[test]
    fn a_replica_that_sentinels_name_will_be_none_soon() {
        let found = check(&info(&[("role", "slave")]), Part::Master);
        assert!(matches!(found, Err(Fault::NotYet(_))), "{found:?}");
    }
}
