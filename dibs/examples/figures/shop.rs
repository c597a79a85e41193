//! A ledger in a database of its own, with one sale, and a connection beside it.

use std::time::Duration;

use anyhow::anyhow;
use sale::id::{RoundId, SaleId};
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use sqlx::{Connection as _, Executor as _, MySqlConnection};
use store::ledger::mysql::{Address, MySqlLedger, migrate};
use store::ledger::{Creation, Ledger};

/// Rows that one statement fills in.
const ROWS: usize = 100_000;

pub(crate) struct Shop {
    pub(crate) ledger: Ledger,
    pub(crate) round: RoundId,
    /// Set up as the ledger's own are.
    pub(crate) connection: MySqlConnection,
    url: String,
    database: String,
}

impl Shop {
    /// An empty ledger on this server, with one open sale.
    pub(crate) async fn open(server: &str) -> anyhow::Result<Self> {
        let database = format!("dibs_bench_{:016x}", rand::random::<u64>());
        // As the other engines of the figures: without TLS.
        let url = format!("{server}/{database}?ssl-mode=DISABLED");
        let address = Address::parse(&url).map_err(|why| anyhow!("the URL of MySQL {why}"))?;
        migrate(&address, None).await?;
        let ledger = Ledger::MySql(MySqlLedger::open(&address, None).await?);
        let round = create(&ledger).await?;
        let mut connection = MySqlConnection::connect(&url).await?;
        connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        Ok(Self { ledger, round, connection, url, database })
    }

    /// Fills in confirmed orders of the same round, as random as real ones, and waits until all
    /// of it is on disk.
    pub(crate) async fn fill(&self, orders: usize) -> anyhow::Result<()> {
        let mut connections = Vec::new();
        for _ in 0..2 {
            let mut connection = MySqlConnection::connect(&self.url).await?;
            connection.execute("SET SESSION cte_max_recursion_depth = 4294967295").await?;
            connection.execute("SET SESSION sql_log_bin = 0").await?;
            connections.push(connection);
        }
        let [holdings, rows] = &mut connections[..] else { unreachable!("there are two") };
        for from in (0..orders).step_by(ROWS) {
            let to = orders.min(from + ROWS);
            let numbers = format!(
                "WITH RECURSIVE numbers (n) AS \
                 (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {to}) "
            );
            let ticket = format!(
                "CONCAT(UNHEX('{:08x}00'), LEFT(UNHEX(SHA2(CONCAT('ticket', n), 256)), 11))",
                self.round.0
            );
            let buyer = "LEFT(SHA2(CONCAT('buyer', n), 256), 16)";
            let insert_orders = format!(
                "INSERT INTO orders \
                 (ticket, buyer, units, status, version, granted_at, decided_at) {numbers} \
                 SELECT {ticket}, {buyer}, 1, 'confirmed', 2, 1700000000000, 1700000000000 \
                 FROM numbers"
            );
            let insert_holdings = format!(
                "INSERT INTO holdings (round, buyer, n, ticket) {numbers} \
                 SELECT {}, {buyer}, 1, {ticket} FROM numbers",
                self.round.0
            );
            tokio::try_join!(rows.execute(&*insert_orders), holdings.execute(&*insert_holdings))?;
        }
        let sold = format!("UPDATE rounds SET available = available - {orders}");
        rows.execute(&*sold).await?;
        on_disk(rows).await
    }

    /// Drops the database.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.ledger.close().await;
        self.connection.execute(&*format!("DROP DATABASE {}", self.database)).await?;
        Ok(())
    }
}

async fn create(ledger: &Ledger) -> anyhow::Result<RoundId> {
    let (opens_at, closes_at) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let sale = NewSale {
        id: SaleId::new("bench")?,
        name: SaleName::new("Bench".to_owned())?,
        stock: Stock::new(2_000_000_000)?,
        limit: Units::ONE,
        window: Window::new(Timestamp::parse(opens_at)?, Timestamp::parse(closes_at)?)?,
        answer_within: Duration::from_secs(300),
    };
    match ledger.create(&sale).await? {
        Creation::Created(sale) => Ok(sale.round),
        Creation::Same(_) | Creation::Differs => anyhow::bail!("the database is not empty"),
    }
}

/// Waits until few changed pages are left in memory: writing them would slow what is measured.
async fn on_disk(connection: &mut MySqlConnection) -> anyhow::Result<()> {
    let before: f64 = sqlx::query_scalar("SELECT CAST(@@innodb_max_dirty_pages_pct AS DOUBLE)")
        .fetch_one(&mut *connection)
        .await?;
    connection.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0").await?;
    loop {
        let (_, dirty): (String, String) =
            sqlx::query_as("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
                .fetch_one(&mut *connection)
                .await?;
        if dirty.parse::<u64>()? < 1000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let restore = format!("SET GLOBAL innodb_max_dirty_pages_pct = {before}");
    connection.execute(&*restore).await?;
    Ok(())
}
