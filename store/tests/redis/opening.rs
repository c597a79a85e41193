//! Which Redis is opened, and which is refused by what line.

use std::net::TcpListener;
use std::time::Duration;

use sale::grant::Answer;
use sale::id::InstallId;
use sale::terms::Restock;
use store::gate::redis::Address;
use store::gate::{Bounds, GateError};
use store::open::OpenError;
use tokio::net::TcpSocket;

use super::contract::{self, Round, fresh_batch};
use super::engine::{Place, connection, setting};
use super::refused::refusal;
use super::{place, used_round};

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn the_rounds_of_another_install_are_not_touched() {
    let mut place = place();
    let round = used_round(&place).await;
    let before = round.audit().await;
    let mark = place.keys().await.into_iter().find(|key| !key.contains('{')).unwrap();
    let mut redis = connection(&place.url).await;
    redis::cmd("DEL").arg(mark).exec_async(&mut redis).await.unwrap();
    place.install = InstallId(rand::random());
    let foreign = place.open(contract::always_due()).await;
    let (slot, claims) = (round.slot, [round.claim("ada", "", 1)]);
    let tickets = [(claims[0].ticket, claims[0].buyer.clone())];
    let mut snapshot = contract::snapshot(&foreign, 1, 1);
    snapshot.terms.round = slot.round;
    let mut terms = snapshot.terms.clone();
    terms.version = 100;
    let answers = [
        foreign.grant(slot, fresh_batch(), &claims).await.map(drop),
        foreign.settle(slot, &[], &[]).await,
        foreign.read(slot, &tickets).await.map(drop),
        foreign.resend(slot, 10).await.map(drop),
        foreign.restock(slot, "new", &Restock::new(1).unwrap()).await.map(drop),
        foreign.set_terms(terms).await,
        foreign.warm(snapshot, None).await.map(drop),
        foreign.retire(slot.round).await,
    ];
    for answer in answers {
        let Err(GateError::Unavailable(text)) = answer else { panic!("{answer:?}") };
        assert!(text.contains("install"), "{text}");
    }
    assert_eq!(round.audit().await, before);
    round.gate.close().await;
    foreign.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn another_installs_redis_is_refused_and_ones_own_opens_again() {
    let mut place = place();
    let round = used_round(&place).await;
    let again = place.open(Bounds::default()).await;
    let same = Round { gate: again.clone(), ..round.clone() };
    assert_eq!(same.audit().await, round.audit().await);
    place.install = InstallId(rand::random());
    let text = refusal(place.try_open(Bounds::default()).await);
    assert!(text.contains("install"), "{text}");
    assert_eq!(same.audit().await, round.audit().await);
    round.gate.close().await;
    again.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn the_database_of_the_address_is_the_one_that_is_used() {
    let in_first = place();
    let mut in_third = Place::new(&format!("{}/3", setting("TEST_REDIS_URL")));
    in_third.prefix.clone_from(&in_first.prefix);
    let gate = in_third.open(Bounds::default()).await;
    Round::warm(&gate, 1, 1).await;
    assert!(in_first.keys().await.is_empty());
    assert!(in_third.keys().await.len() > 1);
    gate.close().await;
    in_third.clear().await;
}

/// The TLS address of the tests, with another password if one is given.
fn tls_place(password: Option<&str>) -> Place {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut url = url::Url::parse(&setting("TEST_REDIS_TLS_URL")).unwrap();
    if password.is_some() {
        url.set_password(password).unwrap();
    }
    let mut place = Place::new(url.as_str());
    place.ca = Some(setting("TEST_CA_FILE").into());
    place
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_user_of_limited_rights_is_served_over_tls() {
    let place = tls_place(None);
    let round = used_round(&place).await;
    let standing = round.grant(&[round.claim("bob", "", 1)]).await.answers;
    assert!(matches!(standing[0], Answer::Standing(_)));
    round.gate.close().await;
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_certificate_that_nobody_vouches_for_is_not_spoken_to() {
    let mut place = tls_place(None);
    place.ca = None;
    assert!(place.try_open(Bounds::default()).await.is_err());
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let place = tls_place(Some("0ther-p4ssword"));
    let text = refusal(place.try_open(Bounds::default()).await);
    assert!(text.contains("password"), "{text}");
    assert!(!text.contains("0ther-p4ssword"), "{text}");
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_prefix_that_the_user_has_no_right_to_is_refused() {
    let mut place = tls_place(None);
    place.prefix = place.prefix.replace("dibs", "foreign");
    let text = refusal(place.try_open(Bounds::default()).await);
    let password = url::Url::parse(&place.url).unwrap().password().unwrap().to_owned();
    assert!(!text.contains(&password), "{text}");
}

#[tokio::test]
async fn where_nobody_listens_or_answers_it_is_unreachable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    // Bound and not listening, so that it refuses, and that no other test gets its port.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let [silent_port, closed_port] =
        [silent.local_addr(), closed.local_addr()].map(|address| address.unwrap().port());
    for port in [silent_port, closed_port] {
        for scheme in ["redis", "rediss"] {
            let place = Place::new(&format!("{scheme}://ada:s3cret@127.0.0.1:{port}"));
            let opening =
                tokio::time::timeout(Duration::from_secs(30), place.try_open(Bounds::default()));
            let Err(OpenError::Unreachable(text)) = opening.await.unwrap() else {
                panic!("nobody is there")
            };
            assert!(text.contains(&port.to_string()), "{text}");
            assert!(!text.contains("s3cret") && !text.contains("ada"), "{text}");
        }
    }
}

#[test]
fn an_address_never_shows_its_user_or_password() {
    let address = Address::parse("rediss://ada:s3cret@localhost:7000/2?prefix=shop").unwrap();
    for text in [address.to_string(), format!("{address:?}")] {
        assert!(text.contains("localhost:7000"), "{text}");
        assert!(!text.contains("ada") && !text.contains("s3cret"), "{text}");
    }
    for bad in [
        "",
        "localhost",
        "http://h",
        "redis://",
        "redis://s3cret@h/not-a-number",
        "redis://:s3cret@h?prefix=",
        "redis://:s3cret@h?prefix={x}",
        "redis://:s3cret@h?other=1",
        "redis://:s3cret@h:99999",
    ] {
        let refused = Address::parse(bad).expect_err(bad);
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}
