use sale::id::{RoundId, SaleId};
use sale::terms::{NewSale, Restock, SaleName, Stock, Window};
use store::ledger::{Amended, Amendment, Creation, Ledger, LedgerError, Sale};
use tokio::task::JoinSet;

use super::{at, audit, create, new_sale};

fn done(amended: Amended) -> Sale {
    match amended {
        Amended::Done(sale) => sale,
        other @ (Amended::Unknown | Amended::NotUpcoming | Amended::EmptyWindow) => {
            panic!("{other:?}")
        }
    }
}

fn words(text: &str) -> Amendment {
    Amendment::Name(SaleName::new(text.to_owned()).unwrap())
}

pub(crate) async fn the_same_request_finds_the_sale_and_another_one_differs(ledger: &Ledger) {
    let new = new_sale(10, 2);
    let Creation::Created(sale) = ledger.create(&new).await.unwrap() else { panic!() };
    assert_eq!((&sale.id, &sale.name, sale.limit), (&new.id, &new.name, new.limit));
    assert_eq!((sale.window, sale.closed, sale.retired), (new.window, false, false));
    assert_eq!((sale.terms_version, sale.incarnation), (1, 1));
    assert_eq!(ledger.create(&new).await.unwrap(), Creation::Same(sale.clone()));
    assert_eq!(ledger.sale(&new.id).await.unwrap(), Some(sale.clone()));
    assert_eq!(ledger.sale_of(sale.round).await.unwrap(), Some(sale.clone()));

    let up = Restock::new(5).unwrap();
    ledger.begin_restock(sale.round, "more", &up).await.unwrap();
    let amended = done(ledger.amend(&new.id, &words("Other words"), at(-1)).await.unwrap());
    assert_eq!(ledger.create(&new).await.unwrap(), Creation::Same(amended));

    for other in [
        NewSale { stock: Stock::new(15).unwrap(), ..new.clone() },
        NewSale { name: SaleName::new("Other words".into()).unwrap(), ..new.clone() },
        NewSale { window: Window::new(at(1), at(2)).unwrap(), ..new.clone() },
        NewSale { limit: sale::units::Units::ONE, ..new.clone() },
    ] {
        assert_eq!(ledger.create(&other).await.unwrap(), Creation::Differs);
    }
    audit(ledger, &sale).await;
}

pub(crate) async fn requests_at_the_same_time_create_one_sale(ledger: &Ledger) {
    let new = new_sale(10, 1);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (ledger, new) = (ledger.clone(), new.clone());
        tasks.spawn(async move { ledger.create(&new).await.unwrap() });
    }
    let created = tasks.join_all().await;
    let firsts = created.iter().filter(|one| matches!(one, Creation::Created(_))).count();
    assert_eq!(firsts, 1, "{created:?}");
    let sale = ledger.sale(&new.id).await.unwrap().unwrap();
    assert!(created.iter().all(|one| match one {
        Creation::Created(found) | Creation::Same(found) => *found == sale,
        Creation::Differs => false,
    }));
}

pub(crate) async fn words_touch_neither_terms_nor_stock(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let amended = done(ledger.amend(&sale.id, &words("é \"x\""), at(5_000)).await.unwrap());
    assert_eq!(amended.name.get(), "é \"x\"");
    assert_eq!(amended.terms(), sale.terms());
    assert_eq!(ledger.counts(sale.round).await.unwrap().unwrap().available, 10);
    let unknown = SaleId::new("nobody-made-this").unwrap();
    assert_eq!(ledger.amend(&unknown, &words("x"), at(0)).await.unwrap(), Amended::Unknown);
}

pub(crate) async fn words_of_any_characters_are_kept(ledger: &Ledger) {
    for text in ["🎉".repeat(200), "e\u{301} ß \\ ' \" `".to_owned(), "Lamp".to_owned()] {
        let name = SaleName::new(text).unwrap();
        let new = NewSale { name: name.clone(), ..new_sale(1, 1) };
        let Creation::Created(sale) = ledger.create(&new).await.unwrap() else { panic!() };
        assert_eq!(sale.name, name);
        assert_eq!(ledger.create(&new).await.unwrap(), Creation::Same(sale.clone()));
        let shouted = NewSale { name: SaleName::new("LAMP".to_owned()).unwrap(), ..new };
        assert_eq!(ledger.create(&shouted).await.unwrap(), Creation::Differs);
        let amended = done(ledger.amend(&sale.id, &Amendment::Name(name), at(0)).await.unwrap());
        assert_eq!(amended, sale);
    }
}

pub(crate) async fn the_window_moves_only_while_the_sale_is_upcoming(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let to = |opens_at, closes_at| Amendment::Window { opens_at, closes_at };
    let later = to(Some(at(500)), None);
    let moved = done(ledger.amend(&sale.id, &later, at(-1)).await.unwrap());
    assert_eq!(moved.window, Window::new(at(500), sale.window.closes_at()).unwrap());
    assert_eq!(moved.terms_version, 2);
    let shorter = to(None, Some(at(900)));
    let moved = done(ledger.amend(&sale.id, &shorter, at(499)).await.unwrap());
    assert_eq!((moved.window, moved.terms_version), (Window::new(at(500), at(900)).unwrap(), 3));
    let empty = to(Some(at(900)), None);
    assert_eq!(ledger.amend(&sale.id, &empty, at(0)).await.unwrap(), Amended::EmptyWindow);
    let late = to(None, Some(at(2_000)));
    assert_eq!(ledger.amend(&sale.id, &late, at(500)).await.unwrap(), Amended::NotUpcoming);
    let again = done(ledger.amend(&sale.id, &shorter, at(600)).await.unwrap());
    assert_eq!(again, moved, "what stands already may be asked for at any time");
}

pub(crate) async fn closing_counts_once_and_ends_the_window(ledger: &Ledger) {
    let sale = create(ledger, 10, 1).await;
    let closed = done(ledger.amend(&sale.id, &Amendment::Close, at(-9)).await.unwrap());
    assert_eq!((closed.closed, closed.terms_version), (true, 2));
    let again = done(ledger.amend(&sale.id, &Amendment::Close, at(-8)).await.unwrap());
    assert_eq!(again, closed);
    let window = Amendment::Window { opens_at: Some(at(100)), closes_at: None };
    assert_eq!(ledger.amend(&sale.id, &window, at(-7)).await.unwrap(), Amended::NotUpcoming);
}

pub(crate) async fn sales_are_listed_newest_first_and_retired_ones_last(ledger: &Ledger) {
    let mut sales = Vec::new();
    for _ in 0..4 {
        sales.push(create(ledger, 1, 1).await);
    }
    for _twice in 0..2 {
        assert!(ledger.retire(sales[3].round).await.unwrap());
    }
    let listed = ledger.sales(1_000).await.unwrap();
    let ours = |sale: &&Sale| sales.iter().any(|own| own.id == sale.id);
    let order: Vec<_> = listed.iter().filter(ours).map(|sale| (sale.round, sale.retired)).collect();
    let expected = [2, 1, 0, 3].map(|n: usize| (sales[n].round, n == 3));
    assert_eq!(order, expected);
    assert_eq!(ledger.sales(2).await.unwrap(), listed[..2]);
}

pub(crate) async fn what_names_no_sale_or_round_finds_none(ledger: &Ledger) {
    let round = RoundId(u32::MAX);
    assert_eq!(ledger.sale(&SaleId::new("nobody-made-this").unwrap()).await.unwrap(), None);
    assert_eq!(ledger.sale_of(round).await.unwrap(), None);
    assert_eq!(ledger.counts(round).await.unwrap(), None);
    assert_eq!(ledger.snapshot(round).await.unwrap(), None);
    assert_eq!(ledger.tickets(round, None, None, 10).await.unwrap(), []);
    assert!(matches!(ledger.retire(round).await, Err(LedgerError::Refused(_))));
}
