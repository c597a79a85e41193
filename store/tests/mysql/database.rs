//! Databases of their own on the servers that the tests are given.

use sale::id::InstallId;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{Connection as _, Executor as _};
use store::ledger::Ledger;
use store::ledger::mysql::{Address, MySqlLedger, migrate};
use store::open::OpenError;
use url::Url;

/// A server that the tests are given.
#[derive(Clone, Copy)]
pub(crate) enum Server {
    MySql,
    MariaDb,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "the address of the server is given to the tests"
    )]
    pub(crate) fn url(self) -> Url {
        let variable = match self {
            Self::MySql => "TEST_MYSQL_URL",
            Self::MariaDb => "TEST_MARIADB_URL",
        };
        let url = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} must name a server, as mysql://root@host:port"));
        url.parse().unwrap()
    }

    /// A connection of another program, in no database.
    pub(crate) async fn sql(self) -> MySqlConnection {
        let options: MySqlConnectOptions = self.url().as_str().parse().unwrap();
        MySqlConnection::connect_with(&options).await.unwrap()
    }
}

/// A database; it goes with the value, also when a test fails, and a user of its name with it.
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) name: String,
}

impl Database {
    /// A name that no database has.
    pub(crate) fn named(server: Server) -> Self {
        Self { server, name: format!("dibs_test_{:016x}", rand::random::<u64>()) }
    }

    /// With all its tables.
    pub(crate) async fn migrated(server: Server) -> Self {
        let database = Self::named(server);
        migrate(&database.address(), None).await.unwrap();
        database
    }

    pub(crate) fn url(&self) -> Url {
        let mut url = self.server.url();
        url.set_path(&self.name);
        url
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(self.url().as_str()).unwrap()
    }

    pub(crate) async fn open(&self) -> Result<Ledger, OpenError> {
        Ok(Ledger::MySql(MySqlLedger::open(&self.address(), None).await?))
    }

    pub(crate) async fn install(&self) -> InstallId {
        self.open().await.unwrap().install()
    }

    /// A connection of another program.
    pub(crate) async fn sql(&self) -> MySqlConnection {
        let mut sql = self.server.sql().await;
        sql.execute(&*format!("USE {}", self.name)).await.unwrap();
        sql
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server, self.name.clone());
        let dropping = async move {
            let mut sql = server.sql().await;
            sql.execute(&*format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
            sql.execute(&*format!("DROP USER IF EXISTS {name}@'%'")).await.unwrap();
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(dropping));
        assert!(thread.join().is_ok() || std::thread::panicking(), "{} stays", self.name);
    }
}

/// A database with the ledger in it.
pub(crate) struct Fresh {
    pub(crate) database: Database,
    pub(crate) ledger: Ledger,
}

impl Fresh {
    pub(crate) async fn open(server: Server) -> Self {
        let database = Database::migrated(server).await;
        let ledger = database.open().await.unwrap();
        Self { database, ledger }
    }

    /// What the rows say, beside what the ledger says of them.
    pub(crate) async fn end(self) {
        let mut sql = self.database.sql().await;
        for (what, query) in [
            (
                "a confirmed order holds its units, a rejected one none",
                "SELECT COUNT(*) FROM orders o LEFT JOIN \
                 (SELECT ticket, buyer, COUNT(*) AS held FROM holdings GROUP BY ticket, buyer) h \
                 ON h.ticket = o.ticket AND h.buyer = o.buyer \
                 WHERE COALESCE(h.held, 0) <> IF(o.status = 'confirmed', o.units, 0)",
            ),
            (
                "what is held left the stock",
                "SELECT COUNT(*) FROM rounds r WHERE r.stock - r.available <> \
                 (SELECT COUNT(*) FROM holdings h WHERE h.round = r.round)",
            ),
            (
                "a unit's number is within the limit",
                "SELECT COUNT(*) FROM holdings h JOIN rounds r ON r.round = h.round \
                 WHERE h.n > r.per_buyer OR CONV(HEX(LEFT(h.ticket, 4)), 16, 10) <> r.round",
            ),
            (
                "no decided order is set aside",
                "SELECT COUNT(*) FROM aside JOIN orders ON orders.ticket = aside.ticket",
            ),
        ] {
            let faults: i64 = sqlx::query_scalar(query).fetch_one(&mut sql).await.unwrap();
            assert_eq!(faults, 0, "{what}");
        }
        sql.close().await.unwrap();
        self.ledger.close().await;
    }
}
