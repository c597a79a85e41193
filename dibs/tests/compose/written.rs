//! What must stand in the files, where no Docker is at hand to object.

use std::collections::BTreeSet;

use crate::file::{Compose, Service, text};

#[test]
fn the_image_is_built_by_the_compiler_that_the_repository_names() {
    let toolchain: toml::Table = text("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(text("Dockerfile").contains(&format!("FROM rust:{channel}-")));
}

#[test]
fn what_a_service_waits_for_is_there_and_tells_when_it_is_so_far() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            let awaited = &compose.services[other];
            match dependency.condition.as_str() {
                "service_healthy" => assert!(!awaited.healthcheck.test.is_empty(), "{other}"),
                "service_completed_successfully" => {
                    assert_eq!(awaited.restart.as_deref(), Some("no"), "{other}");
                }
                other => panic!("{name}: {other}"),
            }
        }
    }
}

/// Whether it goes on until it is stopped.
fn serves(service: &Service) -> bool {
    service.restart.as_deref() != Some("no")
}

#[test]
fn every_service_is_pinned_bounded_watched_and_started_again() {
    for (name, service) in &Compose::read().services {
        let (_, tag) = service.image.split_once(':').unwrap_or_default();
        assert!(service.build.is_some() || tag.contains(|c: char| c.is_ascii_digit()), "{name}");
        assert!(service.mem_limit.is_some(), "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        if serves(service) {
            assert_eq!(service.restart.as_deref(), Some("unless-stopped"), "{name}");
            assert!(!service.healthcheck.test.is_empty() && !service.healthcheck.disable, "{name}");
        }
    }
}

#[test]
fn ours_and_the_door_can_write_nothing_and_do_nothing_that_root_could() {
    let compose = Compose::read();
    let ours: BTreeSet<_> = compose.ours().map(|(name, _)| name).collect();
    assert_eq!(ours, BTreeSet::from(["api", "migrate", "push", "worker"]));
    for name in ours.into_iter().chain(["door"]) {
        let service = &compose.services[name];
        assert!(service.read_only, "{name}");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
    }
    assert!(text("Dockerfile").contains("\nUSER 65532:65532\n"));
}

#[test]
fn only_the_door_is_reached_from_outside_and_it_reaches_no_engine() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        assert_eq!(!service.ports.is_empty(), name == "door", "{name}");
    }
    let beside = |name: &str| {
        let networks = &compose.services[name].networks;
        let other = compose
            .services
            .iter()
            .filter(|(_, other)| other.networks.iter().any(|network| networks.contains(network)));
        other.map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>()
    };
    assert_eq!(beside("door"), BTreeSet::from(["api", "door", "push"]));
    for engine in ["redis", "pulsar", "mysql"] {
        assert!(beside("worker").contains(engine), "{engine}");
    }
}

#[test]
fn the_pulsar_of_the_tests_has_the_settings_of_this_one() {
    let engines = text("tools/engines");
    let pulsar = &Compose::read().services["pulsar"];
    let mut compared = 0;
    for (name, value) in &pulsar.environment {
        if let Some(setting) = name.strip_prefix("PULSAR_PREFIX_") {
            let line = format!("\n  {setting}={}\n", value.as_deref().unwrap());
            assert!(engines.contains(&line), "{line}");
            compared += 1;
        }
    }
    assert!(compared > 0);
    let version = pulsar.image.strip_prefix("apachepulsar/pulsar:").unwrap();
    assert!(engines.contains(&format!("\npulsar_version={version}\n")));
}
