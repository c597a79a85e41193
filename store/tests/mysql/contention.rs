use std::collections::HashMap;
use std::time::Duration;

use sale::id::TicketId;
use sale::order::OrderV1;
use sale::status::Status;
use sqlx::mysql::MySqlConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use store::ledger::mysql::{Address, MySqlLedger};
use store::ledger::{Ledger, LedgerError, Reached};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::contract::{at, audit, create, crowd, deadline, state, statuses};
use crate::database::{Database, Fresh, Server};

/// A guard against a test that hangs.
const GUARD: Duration = Duration::from_secs(60);

pub(crate) async fn two_ledgers_that_decide_the_same_orders_agree(server: Server) {
    let fresh = Fresh::open(server).await;
    let other = fresh.database.open().await.unwrap();
    let sales = [create(&fresh.ledger, 300, 1).await, create(&fresh.ledger, 100, 1).await];
    let mut orders: Vec<OrderV1> = sales.iter().flat_map(|sale| crowd(sale, 500)).collect();
    let mut tasks = JoinSet::new();
    for ledger in [&fresh.ledger, &other] {
        for size in [70, 500] {
            let (ledger, orders) = (ledger.clone(), orders.clone());
            tasks.spawn(async move {
                let mut told = Vec::new();
                for batch in orders.chunks(size) {
                    let decided = ledger
                        .decide(batch, &Reached::default(), &deadline(), at(2_000))
                        .await
                        .unwrap();
                    assert_eq!(decided.len(), batch.len());
                    told.extend(batch.iter().map(|o| o.ticket).zip(statuses(&decided)));
                }
                told
            });
        }
        // The next ledger meets the same orders from the other end, and both rounds in each.
        orders.reverse();
        let half = orders.len() / 2;
        orders = (0..half).flat_map(|n| [orders[n].clone(), orders[half + n].clone()]).collect();
    }
    let mut verdicts = HashMap::<TicketId, Status>::new();
    for (ticket, status) in tasks.join_all().await.into_iter().flatten() {
        assert_eq!(*verdicts.entry(ticket).or_insert(status), status, "nobody is told two things");
    }
    assert_eq!(verdicts.len(), 1_000);
    for (sale, stock) in sales.iter().zip([300, 100]) {
        let counts = fresh.ledger.counts(sale.round).await.unwrap().unwrap();
        assert_eq!((counts.sold(), counts.available), (stock, 0));
        audit(&fresh.ledger, sale).await;
    }
    other.close().await;
    fresh.end().await;
}

/// The connections to the database that are at a statement, with its beginning.
async fn at_work(database: &Database, sql: &mut MySqlConnection) -> Vec<(u64, String)> {
    let rows = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(&mut *sql).await.unwrap();
    let mut found = Vec::new();
    for row in rows {
        let (id, name): (u64, Option<String>) = (row.get_unchecked("Id"), row.get_unchecked("db"));
        let statement: Option<Vec<u8>> = row.get_unchecked("Info");
        if name.as_deref() == Some(&*database.name) {
            let statement = String::from_utf8_lossy(&statement.unwrap_or_default()).into_owned();
            found.push((id, statement));
        }
    }
    found
}

/// Waits until somebody else has been locking a row of rounds for a while: until he waits for
/// the one who holds it.
async fn somebody_waits(database: &Database, sql: &mut MySqlConnection) {
    let locks = |work: Vec<(u64, String)>| -> Vec<u64> {
        let locking =
            |(_, statement): &(u64, String)| statement.starts_with("SELECT round, sale, available");
        work.into_iter().filter(locking).map(|(id, _)| id).collect()
    };
    let waiting = async {
        let mut before: Vec<u64> = Vec::new();
        loop {
            let present = locks(at_work(database, sql).await);
            if present.iter().any(|id| before.contains(id)) {
                break;
            }
            before = present;
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(GUARD, waiting).await.expect("nobody waits for a lock");
}

async fn hold(sql: &mut MySqlConnection, round: impl std::fmt::Display) {
    sql.execute(&*format!("SELECT * FROM rounds WHERE round = {round} FOR UPDATE")).await.unwrap();
}

pub(crate) async fn a_deadlock_is_tried_again(server: Server) {
    let fresh = Fresh::open(server).await;
    let sales = [create(&fresh.ledger, 10, 1).await, create(&fresh.ledger, 10, 1).await];
    let orders: Vec<OrderV1> = sales.iter().flat_map(|sale| crowd(sale, 20)).collect();
    let (mut sql, mut observer) = (fresh.database.sql().await, fresh.database.sql().await);
    sql.execute("CREATE TABLE ballast (n INT PRIMARY KEY)").await.unwrap();
    sql.execute("START TRANSACTION").await.unwrap();
    // The server ends the transaction that has written less: not this one.
    let rows: Vec<String> = (0..1_000).map(|n| format!("({n})")).collect();
    sql.execute(&*format!("INSERT INTO ballast VALUES {}", rows.join(","))).await.unwrap();
    hold(&mut sql, sales[1].round).await;
    let interfering = async {
        somebody_waits(&fresh.database, &mut observer).await;
        hold(&mut sql, sales[0].round).await;
        sql.execute("COMMIT").await.unwrap();
    };
    let (reached, deadline) = (Reached::default(), deadline());
    let deciding = fresh.ledger.decide(&orders, &reached, &deadline, at(2_000));
    let (decided, ()) = tokio::join!(deciding, interfering);
    let decided = decided.unwrap();
    let confirmed = statuses(&decided).into_iter().filter(|status| *status == Status::Confirmed);
    assert_eq!(confirmed.count(), 20);
    for sale in &sales {
        audit(&fresh.ledger, sale).await;
    }
    fresh.end().await;
}

pub(crate) async fn while_a_round_is_held_nothing_of_it_is_decided_and_all_else_goes_on(
    server: Server,
) {
    let fresh = Fresh::open(server).await;
    let (held, free) = (create(&fresh.ledger, 10, 1).await, create(&fresh.ledger, 10, 1).await);
    let orders = crowd(&held, 3);
    fresh.ledger.set_aside(&[(orders[0].clone(), "no".to_owned())], at(2_000)).await.unwrap();
    let (mut sql, mut observer) = (fresh.database.sql().await, fresh.database.sql().await);
    sql.execute("START TRANSACTION").await.unwrap();
    hold(&mut sql, held.round).await;
    // More than the pool that writes has connections, less one for the other round.
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let (ledger, orders) = (fresh.ledger.clone(), orders.clone());
        waiting.spawn(async move {
            ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await
        });
    }
    somebody_waits(&fresh.database, &mut observer).await;
    assert_eq!(fresh.ledger.read(&[orders[0].ticket]).await.unwrap(), [None]);
    let others = crowd(&free, 3);
    let decided =
        fresh.ledger.decide(&others, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert!(decided.iter().all(|decision| state(decision).status == Status::Confirmed));
    let due = fresh.ledger.take_due(&deadline(), at(7_000), 9).await.unwrap();
    assert_eq!(due.len(), 1, "what is set aside needs no round");
    for ended in waiting.join_all().await {
        assert!(matches!(ended, Err(LedgerError::Unavailable(_))), "{ended:?}");
    }
    sql.execute("ROLLBACK").await.unwrap();
    let decided =
        fresh.ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    assert!(decided.iter().all(|decision| state(decision).status == Status::Confirmed));
    for sale in [&held, &free] {
        audit(&fresh.ledger, sale).await;
    }
    fresh.end().await;
}

pub(crate) async fn a_read_that_is_held_up_ends_in_time_and_the_next_one_is_right(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 10, 1).await;
    let orders = crowd(&sale, 20);
    fresh.ledger.decide(&orders, &Reached::default(), &deadline(), at(2_000)).await.unwrap();
    let ids: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    let expected = fresh.ledger.read(&ids).await.unwrap();
    let mut sql = fresh.database.sql().await;
    sql.execute("LOCK TABLES orders WRITE").await.unwrap();
    // More than the pool that reads has connections.
    let mut reads = JoinSet::new();
    for _ in 0..20 {
        let (ledger, ids) = (fresh.ledger.clone(), ids.clone());
        reads.spawn(async move { ledger.read(&ids).await });
    }
    for ended in timeout(GUARD, reads.join_all()).await.unwrap() {
        assert!(matches!(ended, Err(LedgerError::Unavailable(_))), "{ended:?}");
    }
    fresh.ledger.probe().await.unwrap();
    sql.execute("UNLOCK TABLES").await.unwrap();
    for _ in 0..20 {
        assert_eq!(fresh.ledger.read(&ids).await.unwrap(), expected);
    }
    fresh.end().await;
}

/// A way to the server that can be cut without a word to either end.
async fn way_to(server: Server, cut: CancellationToken) -> (u16, JoinSet<()>) {
    let url = server.url();
    let there = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(3306));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut way = JoinSet::new();
    way.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let (there, cut) = (there.clone(), cut.clone());
            connections.spawn(async move {
                let mut far = TcpStream::connect(there).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    // Both stay open, until the test ends.
                    () = cut.cancelled() => std::future::pending().await,
                }
            });
        }
    });
    (port, way)
}

pub(crate) async fn who_vanishes_in_a_transaction_does_not_hold_its_round_for_long(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 10, 1).await;
    let orders = crowd(&sale, 3);
    let cut = CancellationToken::new();
    let (port, _way) = way_to(server, cut.clone()).await;
    let mut url = fresh.database.url();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(port)).unwrap();
    let address = Address::parse(url.as_str()).unwrap();
    let vanishing = Ledger::MySql(MySqlLedger::open(&address, None).await.unwrap());
    let (mut sql, mut observer) = (fresh.database.sql().await, fresh.database.sql().await);
    sql.execute("START TRANSACTION").await.unwrap();
    hold(&mut sql, sale.round).await;
    let interfering = async {
        somebody_waits(&fresh.database, &mut observer).await;
        cut.cancel();
        // The lock goes to the one who cannot hear of it.
        sql.execute("ROLLBACK").await.unwrap();
        let again = async {
            while fresh
                .ledger
                .decide(&orders, &Reached::default(), &deadline(), at(2_000))
                .await
                .is_err()
            {}
        };
        timeout(GUARD, again).await.expect("the round is held by nobody who is there");
    };
    let (reached, deadline) = (Reached::default(), deadline());
    let deciding = vanishing.decide(&orders, &reached, &deadline, at(2_000));
    let (decided, ()) = tokio::join!(deciding, interfering);
    assert!(matches!(decided, Err(LedgerError::Unavailable(_))), "{decided:?}");
    audit(&fresh.ledger, &sale).await;
    fresh.end().await;
}

/// Either none of the orders stands or all of them do.
async fn all_or_nothing(ledger: &Ledger, orders: &[OrderV1]) -> bool {
    let ids: Vec<TicketId> = orders.iter().map(|order| order.ticket).collect();
    let stand = ledger.read(&ids).await.unwrap().iter().flatten().count();
    assert!(stand == 0 || stand == orders.len(), "{stand} of {}", orders.len());
    stand > 0
}

pub(crate) async fn connections_killed_in_the_middle_leave_all_or_nothing(server: Server) {
    let fresh = Fresh::open(server).await;
    let reader = fresh.database.open().await.unwrap();
    let sale = create(&fresh.ledger, 2_500, 1).await;
    let orders = crowd(&sale, 5_000);
    let mut cut = 0;
    for (n, batch) in orders.chunks(250).enumerate() {
        let killing = async {
            sleep(Duration::from_millis(2 * n as u64)).await;
            kill_everybody(&fresh.database).await;
        };
        let (reached, deadline) = (Reached::default(), deadline());
        let deciding = fresh.ledger.decide(batch, &reached, &deadline, at(2_000));
        let (decided, ()) = tokio::join!(deciding, killing);
        assert!(matches!(decided, Ok(_) | Err(LedgerError::Unavailable(_))), "{decided:?}");
        if decided.is_err() {
            cut += 1;
        }
        let retried = async { while reader.probe().await.is_err() {} };
        timeout(GUARD, retried).await.unwrap();
        let stands = all_or_nothing(&reader, batch).await;
        assert!(stands || decided.is_err(), "what was answered stands");
        let again = loop {
            if let Ok(again) = fresh.ledger.decide(batch, &reached, &deadline, at(3_000)).await {
                break again;
            }
        };
        if let Ok(decided) = decided {
            assert_eq!(again, decided);
        }
    }
    assert!(cut > 0, "no call was cut off");
    audit(&fresh.ledger, &sale).await;
    reader.close().await;
    fresh.end().await;
}

/// Ends every connection to the database.
async fn kill_everybody(database: &Database) {
    let mut sql = database.server.sql().await;
    let connections = at_work(database, &mut sql).await;
    for (id, _) in connections {
        // It may have ended by itself.
        let _ = sql.execute(&*format!("KILL {id}")).await;
    }
    sql.close().await.unwrap();
}

pub(crate) async fn calls_given_up_at_any_point_leave_all_or_nothing(server: Server) {
    let fresh = Fresh::open(server).await;
    let sale = create(&fresh.ledger, 1_000, 1).await;
    let orders = crowd(&sale, 2_000);
    let mut cut = 0;
    for (n, batch) in orders.chunks(20).enumerate() {
        let given = Duration::from_micros(300 * n as u64);
        let (reached, deadline) = (Reached::default(), deadline());
        let tickets = [batch[0].ticket];
        let call = fresh.ledger.decide(batch, &reached, &deadline, at(2_000));
        cut += u32::from(timeout(given, call).await.is_err());
        // Whatever comes of it, it must not disturb the calls after it.
        let _ = timeout(given / 4, fresh.ledger.read(&tickets)).await;
        // One that was given up at its commit may stand a moment later: the lock says when.
        let again = fresh.ledger.decide(batch, &reached, &deadline, at(3_000)).await.unwrap();
        assert!(all_or_nothing(&fresh.ledger, batch).await);
        assert_eq!(again.len(), batch.len());
        let at_once = state(&again[0]).decided_at;
        assert!(again.iter().all(|decision| state(decision).decided_at == at_once));
    }
    assert!(cut > 0, "no call was given up");
    audit(&fresh.ledger, &sale).await;
    fresh.end().await;
}
