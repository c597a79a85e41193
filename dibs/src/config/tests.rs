use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::engines::{Choice, Mix};
use super::*;
use crate::roles::{Role, Roles};

fn inputs(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Inputs {
    Inputs {
        file: Some((PathBuf::from("dibs.toml"), file.to_owned())),
        unreadable: None,
        environment: environment.iter().map(|(n, v)| (n.into(), v.into())).collect(),
        flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
    }
}

fn read(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Config {
    Config::read(inputs(file, environment, flags)).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Vec<String> {
    match Config::read(inputs(file, environment, flags)) {
        Ok(_) => panic!("this configuration should be refused"),
        Err(faults) => faults.list().iter().map(Fault::to_string).collect(),
    }
}

#[test]
fn every_default_is_allowed() {
    let config = read("", &[], &[]);
    assert_eq!(config.serving.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.claims.answer_within, Duration::from_secs(300));
    assert!(config.guests() && config.demo());
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let file = "listen = \"127.0.0.1:1\"\nqueue_claims = 11\ndemo = false\nsweep_every = \"1s\"";
    let environment = [("DIBS_LISTEN", "127.0.0.1:2"), ("DIBS_QUEUE_CLAIMS", "12"), ("HOME", "/")];
    let config = read(file, &environment, &[("listen", "127.0.0.1:3")]);
    assert_eq!(config.serving.listen.port(), 3);
    assert_eq!(config.claims.queue_claims, 12);
    assert!(!config.demo());
    assert_eq!(config.claims.sweep_every, Duration::from_secs(1));
    assert_eq!(config.claims.resend_after, Duration::from_secs(5));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = "
        listn = \"127.0.0.1:80\"
        heartbeat_every = 300
        connections = 0
        demo = \"maybe\"
        origins = [\"https://shop.example\", \"https://*.example\"]
        [gate]
        url = \"redis://\"
    ";
    let environment = [
        ("DIBS_OPS_LISTEN", "localhost:9090"),
        ("DIBS_PING_EVRY", "25s"),
        ("DIBS_listen", "127.0.0.1:80"),
        ("DIBS_ADMIN_KEY", "correct horse"),
        ("DIBS_SECRET", "too short"),
        ("DIBS_JWT_KEYS", "hs256:short"),
        ("DIBS_LOG", "kafka://broker:9092"),
    ];
    let told = faults(file, &environment, &[("log_level", "loud"), ("resend_most", "1s")]);
    let expected = [
        "listn (dibs.toml, line 2) is not a setting; did you mean listen?",
        "gate (dibs.toml, line 7): a value of type table is not allowed; must be text",
        "DIBS_PING_EVRY (environment) is not a setting; did you mean DIBS_PING_EVERY?",
        "DIBS_listen (environment) is not a setting; did you mean DIBS_LISTEN?",
        "ops_listen (environment): \"localhost:9090\" is not allowed; must be an IP address",
        "origins (dibs.toml, line 6): ",
        "connections (dibs.toml, line 4): \"0\" is not allowed; must be a whole number from 1 to",
        "demo (dibs.toml, line 5): \"maybe\" is not allowed; must be true or false",
        "admin_key (environment): the value, a secret, is not allowed; must be 16 to",
        "secret (environment): the value, a secret, is not allowed; secret 1 has 9 bytes",
        "jwt_keys (environment): the value, a secret, is not allowed; must be the path",
        "log (environment): the value, not shown for what it may hold, is not allowed; may be \
         local; otherwise it must be pulsar://",
        "heartbeat_every (dibs.toml, line 3): \"300\" is not allowed; must be a duration with its \
         unit, such as 500ms, 30s or 5m, from 50ms to 1m",
        "resend_most is shorter than resend_after",
        "log_level (flag): \"loud\" is not allowed; must be error, warn",
    ];
    for sentence in expected {
        assert!(told.iter().any(|fault| fault.starts_with(sentence)), "{sentence}\n{told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn no_fault_repeats_a_secret() {
    let environment = [
        ("DIBS_ADMIN_KEY", "hunter2"),
        ("DIBS_SECRET", "hunter2"),
        ("DIBS_JWT_KEYS", "hs256:hunter2"),
        ("DIBS_GATE", "redis://dibs:hunter2@host:port"),
        ("DIBS_LOG", "pulsar:hunter2@host"),
        ("DIBS_LOG_ADMIN", "http://dibs:hunter2@host:8080"),
        ("DIBS_LEDGER", "dibs:hunter2@host/dibs"),
    ];
    let told = faults("secret = \"hunter2\nadmin_key = hunter2", &environment, &[]).join("\n");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("dibs.toml: line 1"), "{told}");
    for key in ["gate", "log", "log_admin", "ledger"] {
        assert!(told.contains(&format!("{key} (environment): the value, not shown")), "{told}");
    }
    let torn = "origins = [\"https://shop.example\nadmin_key = hunter2\n";
    let told = faults(torn, &[], &[]).join("\n");
    assert!(told.contains("dibs.toml: line 1") && !told.contains("hunter2"), "{told}");
}

#[test]
fn the_listing_shows_values_and_sources_and_no_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let environment = [("DIBS_SECRET", secret), ("DIBS_JWT_KEYS", &*format!("hs256:{secret}"))];
    let config = read("queue_claims = 7", &environment, &[("admin_key", "0123456789abcdef-key")]);
    let listing = config.listing();
    assert!(!listing.contains("0123456789abcdef"), "{listing}");
    let line = |key: &str| {
        let mut lines = listing.lines().map(str::trim);
        let found = lines.find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("queue_claims"), "queue_claims 7 dibs.toml, line 1");
    assert_eq!(line("secret"), "secret (set, not shown) environment");
    assert_eq!(line("admin_key"), "admin_key (set, not shown) flag");
    assert_eq!(line("jwt_issuer"), "jwt_issuer (unset) default");
    assert_eq!(line("listen"), "listen 127.0.0.1:8080 default");
    for setting in setting::all() {
        line(setting.key);
    }
}

const GATE: (&str, &str) = ("DIBS_GATE", "redis://dibs:hunter2@redis:6379/1?prefix=shop");
const LOG: (&str, &str) = ("DIBS_LOG", "pulsar://:hunter2@pulsar:6650/public/shop");
const LOG_ADMIN: (&str, &str) = ("DIBS_LOG_ADMIN", "http://pulsar:8080");
const LEDGER: (&str, &str) = ("DIBS_LEDGER", "mysql://dibs:hunter2@mysql:3306/shop");
const SECRET: (&str, &str) = ("DIBS_SECRET", "0123456789abcdef0123456789abcdef");
const ADMIN_KEY: (&str, &str) = ("DIBS_ADMIN_KEY", "0123456789abcdef-key");

#[test]
fn addresses_are_listed_without_user_and_password() {
    let listing = read("", &[GATE, LOG, LOG_ADMIN, LEDGER], &[]).listing();
    for shown in [
        "redis://redis:6379/1?prefix=shop",
        "pulsar://pulsar:6650/public/shop",
        "http://pulsar:8080/",
        "mysql://mysql:3306/shop",
    ] {
        assert!(listing.contains(shown), "{shown}\n{listing}");
    }
    assert!(!listing.contains("hunter2") && !listing.contains("dibs:"), "{listing}");
}

#[test]
fn a_gate_may_be_a_cluster_or_stand_under_sentinels() {
    for (address, shown) in [
        ("redis-cluster://dibs:hunter2@a:1,b:2", "redis-cluster://a:1,b:2?prefix=dibs"),
        ("rediss-cluster://a?prefix=shop", "rediss-cluster://a?prefix=shop"),
        (
            "redis-sentinel://:hunter2@a:1,b/main?prefix=shop&sentinel-password=hunter2",
            "redis-sentinel://a:1,b/main?prefix=shop",
        ),
        (
            "rediss-sentinel://a/main/2?sentinel-user=dibs&sentinel-password=hunter2",
            "rediss-sentinel://a/main/2?prefix=dibs",
        ),
    ] {
        let gate = ("DIBS_GATE", address);
        let listing = read("", &[gate, LOG, LOG_ADMIN, LEDGER], &[]).listing();
        assert!(listing.contains(shown), "{shown}\n{listing}");
        assert!(!listing.contains("hunter2"), "{listing}");
    }
}

#[test]
fn engines_that_do_not_go_together_are_refused_with_what_to_set() {
    for (mix, told) in [
        (&[GATE][..], "set log to a pulsar:// address, or gate to local"),
        (&[GATE, LEDGER], "set log to a pulsar:// address, or gate to local"),
        (&[LOG], "set gate to a redis:// address, or log to local"),
        (&[LOG, LOG_ADMIN, LEDGER], "set gate to a redis:// address, or log to local"),
        (&[GATE, LOG, LOG_ADMIN], "set ledger to a mysql:// address"),
        (&[GATE, LOG, LEDGER], "set log_admin to http://host:port"),
        (&[LOG_ADMIN, LEDGER], "set gate and log to servers, or unset log_admin"),
    ] {
        let faults = faults("", mix, &[]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(told), "{mix:?}: {faults:?}");
    }
}

#[test]
fn a_small_shop_may_keep_its_ledger_in_mysql() {
    let shop = read("", &[LEDGER], &[]);
    assert!(matches!(shop.engines.mix, Mix::Local { ledger: Choice::At(_) }));
    assert!(!shop.demo(), "a demo is for newcomers, unless somebody asks for it");
    assert!(read("demo = true", &[LEDGER], &[]).demo());
}

#[test]
fn certificates_that_cannot_be_read_are_refused() {
    let told = faults("engines_ca = \"/nowhere/ca.pem\"", &[], &[]);
    assert!(told[0].contains("must be the path of a file that can be read"), "{told:?}");
}

#[test]
fn what_a_role_needs_is_said_before_it_starts() {
    let servers = [GATE, LOG, LOG_ADMIN, LEDGER];
    let refusal = |roles: Roles, more: &[_]| {
        roles.refusal(&read("", &[&servers, more].concat(), &[])).unwrap_or_default()
    };
    let alone = [Role::Api, Role::Worker, Role::Push].map(Roles::Only);
    for roles in [alone.as_slice(), &[Roles::Every]].concat() {
        assert!(refusal(roles, &[ADMIN_KEY]).contains("set DIBS_SECRET"), "{roles:?}");
        assert_eq!(refusal(roles, &[ADMIN_KEY, SECRET]), "", "{roles:?}");
        let needs_key = roles.has(Role::Api);
        let told = refusal(roles, &[SECRET]);
        assert_eq!(told.contains("set DIBS_ADMIN_KEY"), needs_key, "{roles:?}: {told}");
    }
    for roles in alone {
        let here = roles.refusal(&read("", &[SECRET, LEDGER], &[])).unwrap();
        assert!(here.contains("Run `dibs`"), "{here}");
    }
    let shop = Roles::Every.refusal(&read("", &[LEDGER], &[])).unwrap();
    assert!(shop.contains("set DIBS_SECRET"), "{shop}");
    assert_eq!(Roles::Every.refusal(&read("", &[], &[])), None);
}

#[test]
fn guests_are_allowed_unless_the_shop_brings_its_own_buyers() {
    let shop = ("DIBS_JWT_KEYS", "hs256:0123456789abcdef0123456789abcdef");
    assert!(!read("", &[shop], &[]).guests());
    assert!(read("guests = true", &[shop], &[]).guests());
    assert!(!read("guests = false", &[], &[]).guests());
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let config = read("", &[("DIBS_ADMIN_KEY", ""), ("DIBS_GUESTS", "")], &[]);
    assert!(config.keys.admin_key.is_none() && config.guests());
}

#[test]
fn what_is_insecure_or_pointless_is_warned_of() {
    let open = read("", &[], &[("listen", "0.0.0.0:8080"), ("ops_listen", "0.0.0.0:9090")]);
    assert_eq!(open.warnings().len(), 2, "{:?}", open.warnings());
    let nobody = read("guests = false", &[], &[]);
    assert!(nobody.warnings()[0].contains("nobody can claim"), "{:?}", nobody.warnings());
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let same = faults("", &[], &[("listen", "127.0.0.1:80"), ("ops_listen", "127.0.0.1:80")]);
    assert!(same[0].contains("same address"), "{same:?}");
    let unused = faults("jwt_issuer = \"shop\"", &[], &[]);
    assert!(unused[0].contains("set jwt_keys too"), "{unused:?}");
    read("", &[], &[("listen", "127.0.0.1:0"), ("ops_listen", "127.0.0.1:0")]);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let named = Inputs::gather(Some(std::path::Path::new("/nowhere/dibs.toml")), Vec::new());
    let faults = Config::read(Inputs { environment: Vec::new(), ..named }).err().unwrap();
    assert!(faults.to_string().contains("/nowhere/dibs.toml: cannot be read"), "{faults}");
}

#[test]
fn a_fault_is_one_line_whatever_the_names_hold() {
    let told = faults("\"lis\\nten\" = 1\n\"\\u001b[31m\" = 1", &[("DIBS_X\nY", "1")], &[]);
    assert_eq!(told.len(), 3);
    for fault in &told {
        assert!(!fault.contains(char::is_control), "{fault:?}");
    }
    assert!(told[0].starts_with("lis\\nten (dibs.toml, line 1) is not a setting"), "{}", told[0]);
}

#[test]
fn a_variable_that_is_no_text_is_a_fault() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut inputs = inputs("", &[], &[]);
    inputs.environment.push(("DIBS_LISTEN".into(), OsString::from_vec(vec![0xff])));
    let faults = Config::read(inputs).err().unwrap();
    assert!(faults.to_string().contains("listen (environment)"), "{faults}");
}

#[test]
fn names_are_the_same_everywhere_and_used_once() {
    let mut keys: Vec<_> = setting::all().map(|setting| setting.key).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
    let setting = setting::find("ops_listen").unwrap();
    assert_eq!((setting.variable().as_str(), &*setting.flag()), ("DIBS_OPS_LISTEN", "ops-listen"));
}
