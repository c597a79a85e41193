//! What `migrate` makes of a namespace, and what is refused at start.

use futures_util::future::join_all;
use sale::id::InstallId;
use store::log::pulsar::{Address, PulsarLog, migrate};
use store::open::OpenError;
use url::Url;

use crate::broker::Namespace;
use crate::contract::INSTALL;

async fn refusal(namespace: &Namespace, install: InstallId) -> String {
    let opened = PulsarLog::open(&namespace.address, &namespace.admin, None, install).await;
    match opened.err().unwrap() {
        OpenError::Refused(line) => line,
        OpenError::Unreachable(line) => panic!("{line}"),
    }
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_namespace_is_refused_until_it_was_migrated() {
    let namespace = Namespace::missing();
    let line = refusal(&namespace, INSTALL).await;
    assert!(line.contains("does not exist") && line.contains("dibs migrate"), "{line}");
    namespace.call("PUT", "namespaces", "").await;
    let line = refusal(&namespace, INSTALL).await;
    assert!(line.contains("no topic orders") && line.contains("dibs migrate"), "{line}");
    migrate(&namespace.address, &namespace.admin, None, INSTALL).await.unwrap();
    namespace.call("DELETE", "persistent", "/orders/subscription/workers").await;
    let line = refusal(&namespace, INSTALL).await;
    assert!(line.contains("subscription workers") && line.contains("dibs migrate"), "{line}");
    namespace.call("DELETE", "persistent", "/outcomes").await;
    let line = refusal(&namespace, INSTALL).await;
    assert!(line.contains("no topic outcomes") && line.contains("dibs migrate"), "{line}");
    migrate(&namespace.address, &namespace.admin, None, INSTALL).await.unwrap();
    namespace.open().await.probe().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn topics_that_somebody_else_made_are_refused() {
    let namespace = Namespace::missing();
    namespace.call("PUT", "namespaces", "").await;
    namespace.call("PUT", "persistent", "/orders").await;
    let line = refusal(&namespace, INSTALL).await;
    assert!(line.contains("not made by Dibs"), "{line}");
    let refused = migrate(&namespace.address, &namespace.admin, None, INSTALL).await;
    assert!(refused.unwrap_err().to_string().contains("not made by Dibs"));
    namespace.call("DELETE", "persistent", "/orders").await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn any_number_may_migrate_at_once() {
    let namespace = Namespace::missing();
    let Namespace { address, admin, .. } = &namespace;
    let migrated = join_all((0..8).map(|_| migrate(address, admin, None, INSTALL))).await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    namespace.open().await.probe().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn of_two_installs_at_once_one_gets_the_namespace() {
    let namespace = Namespace::missing();
    let Namespace { address, admin, .. } = &namespace;
    let other = InstallId([8; 16]);
    let (one, two) =
        tokio::join!(migrate(address, admin, None, INSTALL), migrate(address, admin, None, other));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let loser = if one.is_ok() { other } else { INSTALL };
    let line = refusal(&namespace, loser).await;
    assert!(line.contains("another install"), "{line}");
    let refused = one.and(two).unwrap_err();
    assert!(refused.to_string().contains("another install"), "{refused}");
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_missing_tenant_is_named() {
    let Namespace { admin, .. } = &Namespace::missing();
    let address = Address::parse("pulsar://127.0.0.1/no-such-tenant/dibs").unwrap();
    let refused = migrate(&address, admin, None, INSTALL).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Refused(line) if line.contains("no-such-tenant")));
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn nobody_there_is_said_in_one_line() {
    let namespace = Namespace::migrated().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = Url::parse(&format!("http://{nobody}")).unwrap();
    let opened = PulsarLog::open(&namespace.address, &admin, None, INSTALL).await;
    let Err(OpenError::Unreachable(line)) = opened else { panic!("it is not there") };
    assert!(line.contains("admin API") && line.contains(&nobody.to_string()), "{line}");
    assert!(!line.contains('\n'), "{line}");

    let address = Address::parse(&format!("pulsar://:secret@{nobody}/{}", namespace.name)).unwrap();
    let opened = PulsarLog::open(&address, &namespace.admin, None, INSTALL).await;
    let Err(OpenError::Unreachable(line)) = opened else { panic!("it is not there") };
    assert!(line.contains("cannot be used") && line.contains(&nobody.to_string()), "{line}");
    assert!(!line.contains('\n') && !line.contains("secret"), "{line}");
}
