//! A gate whose answers do not come in time.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use store::gate::redis::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::shop::{Layout, SOON, Shop};

/// Stands before a server, and can hold its answers back.
struct Valve {
    address: SocketAddr,
    held: watch::Sender<bool>,
    _connections: JoinSet<()>,
}

impl Valve {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (held, hold) = watch::channel(false);
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut halves = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (asks, told) = client.into_split();
                let (answers, asked) = TcpStream::connect(&server).await.unwrap().into_split();
                halves.spawn(pass_on(asks, asked, None));
                halves.spawn(pass_on(answers, told, Some(hold.clone())));
            }
        });
        Self { address, held, _connections: connections }
    }
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    hold: Option<watch::Receiver<bool>>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if let Some(mut hold) = hold.clone() {
            let _ = hold.wait_for(|held| !held).await;
        }
        if to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

/// The Redis of the tests behind a valve, with keys of its own.
async fn redis() -> (Valve, Address) {
    #[expect(clippy::disallowed_methods, reason = "tests are told where the engines are")]
    let url = std::env::var("TEST_REDIS_URL").expect("TEST_REDIS_URL names a Redis for tests");
    let mut url = Url::parse(&url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6379));
    let valve = Valve::before(server).await;
    url.set_host(Some(&valve.address.ip().to_string())).unwrap();
    url.set_port(Some(valve.address.port())).unwrap();
    url.set_query(Some(&format!("prefix=dibs-slow-{:x}", rand::random::<u64>())));
    (valve, Address::parse(url.as_str()).unwrap())
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn claims_whose_call_is_not_answered_in_time_are_not_known_and_the_next_calls_go_on() {
    let (valve, address) = redis().await;
    let shop = Shop::laid_out(Layout { redis: Some(address), ..Layout::default() }).await;
    shop.sale("s", 5, 1).await;
    let buyers = [shop.buyer(), shop.buyer()];

    valve.held.send_replace(true);
    let claim = async |buyer: &str| shop.claim("s", buyer, "k", json!({"units": 1})).await;
    let claims = join_all(buyers.iter().map(|buyer| claim(buyer)));
    let answers = tokio::time::timeout(SOON, claims).await.unwrap();
    for answer in &answers {
        assert!(answer.is(503, "not-known"), "{answer:?}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    // A call that finds no connection any more was not made, and says so.
    let later = tokio::time::timeout(SOON, claim(&shop.buyer())).await.unwrap();
    assert!(later.is(503, "unavailable") || later.is(503, "not-known"), "{later:?}");

    valve.held.send_replace(false);
    let found = async {
        for buyer in &buyers {
            // The gate has their grants; they are found once it is reached again.
            while claim(buyer).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(SOON, found).await.unwrap();
    assert_eq!(claim(&shop.buyer()).await.status, 202);
}
