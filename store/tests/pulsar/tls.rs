//! A broker and an admin API that are reached by TLS, with a root certificate of one's own.

use std::path::PathBuf;

use store::log::Log;
use store::log::pulsar::{Address, PulsarLog, migrate};
use store::open::OpenError;
use url::Url;

use crate::broker::{Namespace, engine};
use crate::contract::{self, INSTALL};

fn address(namespace: &Namespace) -> (Address, Url) {
    let broker = format!("{}/{}", engine("TEST_PULSAR_TLS_URL"), namespace.name);
    let admin = engine("TEST_PULSAR_TLS_ADMIN_URL");
    (Address::parse(&broker).unwrap(), admin.parse().unwrap())
}

/// The binary does it once, at its start.
fn choose_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
#[ignore = "needs Pulsar with TLS: ./test brings it"]
async fn what_is_carried_by_tls_comes_as_it_was_published() {
    choose_provider();
    let namespace = Namespace::missing();
    let ca = PathBuf::from(engine("TEST_PULSAR_CA_FILE"));
    let (address, admin) = address(&namespace);
    migrate(&address, &admin, Some(&ca), INSTALL).await.unwrap();
    let log = PulsarLog::open(&address, &admin, Some(&ca), INSTALL).await.unwrap();
    contract::a_batch_comes_as_it_was_published(Log::Pulsar(log)).await;
}

#[tokio::test]
#[ignore = "needs Pulsar with TLS: ./test brings it"]
async fn a_certificate_that_nobody_vouches_for_is_refused_in_one_line() {
    choose_provider();
    let namespace = Namespace::migrated().await;
    let (address, admin) = address(&namespace);
    for (address, admin) in [(&address, &namespace.admin), (&namespace.address, &admin)] {
        let Err(OpenError::Unreachable(line) | OpenError::Refused(line)) =
            PulsarLog::open(address, admin, None, INSTALL).await
        else {
            panic!("nobody vouches for it")
        };
        assert!(line.contains("Pulsar") && !line.contains('\n'), "{line}");
    }
}
