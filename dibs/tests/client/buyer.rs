//! What every test does with the client.

use client::{Admin, Answer, Claim, Client, Held, News, Options, RequestId, SaleId, Watch};
use tokio::time::timeout;

use crate::harness::claimer::jwt;
use crate::harness::{ADMIN_KEY, PATIENCE, Server};

/// A client of an address.
pub(crate) fn client(base: &str) -> Client {
    Client::new(Options::new(base.parse().unwrap())).unwrap()
}

/// The admin API of a server.
pub(crate) fn admin(server: &Server) -> Admin {
    Admin::new(server.base.parse().unwrap(), ADMIN_KEY).unwrap()
}

pub(crate) fn sale(id: &str) -> SaleId {
    SaleId::new(id).unwrap()
}

/// A buyer's claim of one unit.
pub(crate) fn claim(id: &str, buyer: &str, request: &str) -> Claim {
    let mut claim = Claim::new(sale(id), jwt(buyer));
    claim.request = RequestId::new(request).unwrap();
    claim
}

/// Claims one unit, and gets it.
pub(crate) async fn win(client: &Client, id: &str, buyer: &str) -> Held {
    match client.claim(&claim(id, buyer, "1")).await.unwrap() {
        Answer::Ticket(held) => held,
        Answer::Refused(refusal) => panic!("{refusal}"),
    }
}

/// The next that a watch tells.
pub(crate) async fn told(watch: &mut Watch) -> News {
    let next = timeout(PATIENCE, watch.next()).await.expect("it should be told something");
    next.expect("it has not ended").unwrap()
}

/// All that a watch tells, of which the last is final.
pub(crate) async fn all(mut watch: Watch) -> Vec<News> {
    let mut all = Vec::new();
    loop {
        match timeout(PATIENCE, watch.next()).await.expect("it should come to an end") {
            Some(news) => all.push(news.unwrap()),
            None => return all,
        }
    }
}
