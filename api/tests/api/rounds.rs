//! Gate beside ledger, and what is said of a round whose gate is not to be trusted.

use axum::http::Method;
use sale::id::RoundId;
use sale::terms::Restock;
use serde_json::{Value, json};
use store::clock;
use store::gate::{GateError, Slot};
use store::ledger::Sale;

use crate::shop::Shop;

impl Shop {
    /// All rounds, as the operator sees them.
    async fn rounds(&self) -> Vec<Value> {
        let answer = self.admin(Method::GET, "rounds", "", Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["rounds"].as_array().unwrap().clone()
    }

    /// The only round.
    async fn round(&self) -> Value {
        let mut rounds = self.rounds().await;
        assert_eq!(rounds.len(), 1);
        rounds.remove(0)
    }

    /// A sale of which the ledger knows that it is in the gate, as a worker notes it.
    async fn loaded_sale(&self) -> Sale {
        self.sale("s", 5, 1).await;
        let round = RoundId::parse(self.report("s").await["round"].as_str().unwrap()).unwrap();
        let snapshot = self.seams.ledger.snapshot(round).await.unwrap().unwrap();
        assert!(self.seams.ledger.set_loaded(&snapshot).await.unwrap());
        self.seams.ledger.sale_of(round).await.unwrap().unwrap()
    }

    async fn claim_one(&self) -> crate::shop::Answer {
        self.claim("s", &self.buyer(), "", json!({"units": 1})).await
    }

    /// Has this server read the sales.
    async fn refresh(&self) {
        assert_eq!(self.patch("s", "", json!({"name": "A sale"})).await.status, 200);
    }
}

#[tokio::test]
async fn gate_and_ledger_agree_once_every_order_has_its_verdict() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let new = shop.round().await;
    let expected = json!({
        "sale": "s", "round": new["round"], "incarnation": 1, "state": "live",
        "ledger": { "stock": 5, "available": 5, "sold": 0, "rejected": 0 },
        "gate": {
            "available": 5, "held": 0, "sold": 0, "undecided": 0,
            "sequence": new["gate"]["sequence"],
        },
        "set_aside": 0, "agree": true,
    });
    assert_eq!(new, expected);

    shop.claim_one().await;
    let on_its_way = shop.round().await;
    assert_eq!([&on_its_way["gate"]["held"], &on_its_way["gate"]["undecided"]], [1, 1]);
    assert_eq!(on_its_way["agree"], Value::Null);
    shop.decide().await;
    let sold = shop.round().await;
    assert_eq!([&sold["gate"]["sold"], &sold["ledger"]["sold"]], [1, 1]);
    assert_eq!(sold["agree"], true);
}

#[tokio::test]
async fn the_units_of_an_order_that_was_set_aside_are_held_and_accounted_for() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    shop.claim_one().await;
    let batches = shop.batches().await;
    let failed: Vec<_> =
        batches[0].orders().iter().map(|order| (order.clone(), "it broke".into())).collect();
    shop.seams.ledger.set_aside(&failed, clock::now()).await.unwrap();
    shop.remove(&batches).await;
    let round = shop.round().await;
    assert_eq!([&round["set_aside"], &round["gate"]["held"]], [1, 1]);
    assert_eq!(round["agree"], true, "{round}");
}

#[tokio::test]
async fn a_count_that_one_of_them_has_alone_is_told_unless_it_is_on_its_way() {
    let shop = Shop::open().await;
    let sale = shop.loaded_sale().await;
    let ledger = &shop.seams.ledger;
    let up = Restock::new(3).unwrap();
    ledger.begin_restock(sale.round, "k", &up).await.unwrap();
    assert_eq!(shop.round().await["agree"], Value::Null, "the gate will have it");
    ledger.finish_restock(sale.round, "k", 3).await.unwrap();
    let round = shop.round().await;
    assert_eq!([&round["gate"]["available"], &round["ledger"]["available"]], [5, 8]);
    assert_eq!((&round["agree"], &round["state"]), (&json!(false), &json!("live")));
}

#[tokio::test]
async fn a_gate_that_is_behind_the_ledger_grants_nothing_and_shows_no_count() {
    let shop = Shop::open().await;
    let sale = shop.loaded_sale().await;
    for _ in 0..5 {
        shop.claim_one().await;
        shop.decide().await;
    }
    shop.refresh().await;
    assert_eq!(shop.get("/v1/sales/s").await.body["state"], "sold_out");
    assert!(shop.seams.ledger.recover(sale.round, 1).await.unwrap());
    shop.refresh().await;

    let claim = shop.claim_one().await;
    assert!(claim.is(503, "recovering"), "{claim:?}");
    assert_eq!(claim.header("retry-after"), "1");
    assert_eq!(shop.get("/v1/sales/s").await.body["state"], "open", "nobody knows");
    let report = shop.report("s").await;
    assert_eq!([&report["available"], &report["held"]], [&Value::Null; 2]);
    assert_eq!(report["sold"], 5);
    let round = shop.round().await;
    assert_eq!((&round["state"], &round["agree"]), (&json!("recovering"), &Value::Null));
    assert_eq!((&round["incarnation"], &round["gate"]["sold"]), (&json!(2), &json!(5)));
    assert_eq!(shop.api.recovering(), [sale.round]);
}

#[tokio::test]
async fn a_round_that_the_gate_has_lost_is_loaded_by_nobody_who_creates_its_sale_again() {
    let shop = Shop::open().await;
    let sale = shop.loaded_sale().await;
    shop.seams.gate.retire(sale.round).await.unwrap();
    for recovers in [false, true] {
        if recovers {
            assert!(shop.seams.ledger.recover(sale.round, 1).await.unwrap());
        }
        assert_eq!(shop.sale("s", 5, 1).await.status, 200);
        let figures = shop.seams.gate.figures(Slot::first(sale.round)).await;
        assert!(matches!(figures, Err(GateError::NotWarm(_))), "{figures:?}");
        let round = shop.round().await;
        assert_eq!((&round["state"], &round["gate"]), (&json!("recovering"), &Value::Null));
        assert!(shop.claim_one().await.is(503, "recovering"));
    }
}

#[tokio::test]
async fn a_new_round_is_not_loaded_until_the_gate_has_it_and_a_retired_one_is_not_listed() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let round = RoundId::parse(shop.report("s").await["round"].as_str().unwrap()).unwrap();
    shop.seams.gate.retire(round).await.unwrap();
    assert_eq!(shop.round().await["state"], "not_loaded");
    assert!(shop.api.recovering().is_empty());
    assert!(shop.seams.ledger.retire(round).await.unwrap());
    assert_eq!(shop.rounds().await, [Value::Null; 0]);
}
