//! A crowd that clicks twice and asks again, at two apis.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use rand::seq::SliceRandom as _;
use reqwest::StatusCode;

use crate::deployment::{Crew, Deployment};
use crate::dice::dice;
use crate::harness::Server;
use crate::harness::claimer::{Answer, Claim};
use crate::install::Sql;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn of_a_crowd_at_two_apis_exactly_as_many_win_as_there_are_units_and_nobody_is_told_twice() {
    exactly_as_many_win_as_there_are_units(Sql::MySql, 300, 1500).await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MariaDB: ./test brings them"]
async fn on_mariadb_too_exactly_as_many_win_as_there_are_units() {
    exactly_as_many_win_as_there_are_units(Sql::MariaDb, 60, 300).await;
}

async fn exactly_as_many_win_as_there_are_units(sql: Sql, stock: u32, buyers: u32) {
    let deployment = Deployment::start(sql, Crew::TWO_EACH).await;
    let [here, there] = &deployment.apis[..] else { panic!("two apis were started") };
    here.open_sale("cups", stock, 1).await;
    // Every third buyer clicks twice, at either api; the rest once.
    let mut clicks: Vec<(u32, &Server)> = (0..buyers)
        .flat_map(|n| match n % 3 {
            0 => vec![(n, here), (n, there)],
            1 => vec![(n, here)],
            _ => vec![(n, there)],
        })
        .collect();
    clicks.shuffle(&mut dice().1);

    let first = all(clicks).await;
    let again = all((0..buyers).flat_map(|n| [(n, there), (n, here)]).collect()).await;
    let granted = first.iter().filter(|(_, answer)| answer.status == StatusCode::ACCEPTED);
    assert_eq!(granted.count(), stock as usize, "each unit was granted once");
    assert!(again.iter().all(|(_, answer)| answer.status != StatusCode::ACCEPTED));
    let mut told: HashMap<u32, Answer> = HashMap::new();
    let mut owed = HashSet::new();
    for (n, answer) in first.into_iter().chain(again) {
        let ticket = claim(n).owed(&answer);
        let sold_out = answer.body["type"] == "/problems/sold-out";
        assert!(ticket.is_some() || sold_out, "{answer:?}");
        let before = told.entry(n).or_insert_with(|| answer.clone());
        assert_eq!(claim(n).owed(before), ticket, "buyer {n} was told two things");
        owed.extend(ticket);
    }

    let owed: Vec<_> = owed.into_iter().collect();
    let audit = there.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (stock.into(), 0));
    assert_eq!(audit.tickets.len(), owed.len());
    deployment.check_figures("cups").await;
}

fn claim(n: u32) -> Claim {
    Claim::of("cups", &format!("buyer-{n}"))
}

/// Sends the claims of these buyers, many at a time.
async fn all(clicks: Vec<(u32, &Server)>) -> Vec<(u32, Answer)> {
    let sent =
        clicks.into_iter().map(|(n, api)| async move { (n, claim(n).send(api).await.unwrap()) });
    stream::iter(sent).buffer_unordered(100).collect().await
}
