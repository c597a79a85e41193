//! A small shop: one process with a local gate and log, and a ledger in MySQL.

use futures_util::future::join_all;

use crate::harness::claimer::Claim;
use crate::harness::{Place, Server, Setting};
use crate::install::{Install, Sql};
use crate::ws::{Socket, frame_of};

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn one_process_with_a_ledger_in_mysql_sells_and_survives_a_crash() {
    let install = Install::migrated(Sql::MySql).await;
    let settings: [Setting<'_>; 2] = ["ledger", "secret"].map(|key| (key, install.address(key)));
    let server = Server::start_in(Place::new(), &settings).await;
    server.open_sale("cups", 50, 1).await;
    let lock = install.lock().await;
    let first = Claim::of("cups", "ada").win(&server).await;
    let mut socket = Socket::watching(&server, &first.token).await;
    assert!(socket.told().await.contains(r#""status":"pending""#));
    lock.release().await;
    assert_eq!(server.result(&first).await["status"], "confirmed");
    assert_eq!(socket.told().await, frame_of(&server.ticket_text(&first).await));

    let lock = install.lock().await;
    let claims: Vec<_> = (0..40).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let mut owed = join_all(claims.iter().map(|claim| claim.win(&server))).await;
    owed.push(first);
    let place = server.kill9().await;
    lock.release().await;
    let server = Server::start_in(place, &settings).await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (41, 41));
    assert_eq!(install.number("SELECT available FROM rounds").await, 9);
}
