//! A place of one test's own in each engine.

use std::collections::HashMap;

use redis::TypedCommands as _;
use reqwest::Client;
use sqlx::{Connection as _, Executor as _, MySqlConnection};
use url::Url;

use crate::harness::{ADMIN_KEY, Place, dibs, variable};
use crate::proxy::Proxy;

pub(crate) const REDIS: &str = "TEST_REDIS_URL";
pub(crate) const PULSAR: &str = "TEST_PULSAR_URL";
const PULSAR_ADMIN: &str = "TEST_PULSAR_ADMIN_URL";

/// The server that is the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sql {
    MySql,
    MariaDb,
}

impl Sql {
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::MySql => "TEST_MYSQL_URL",
            Self::MariaDb => "TEST_MARIADB_URL",
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told where the engines are")]
pub(crate) fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} must name a server: run ./test"))
}

/// A name that nothing else has.
pub(crate) fn unique() -> String {
    format!("dibs_{:016x}", rand::random::<u64>())
}

/// A key prefix, a namespace and a database, and how the processes of one test reach them. In
/// the end all three are deleted.
pub(crate) struct Install {
    prefix: String,
    namespace: String,
    sql: String,
    database: String,
    settings: HashMap<&'static str, String>,
}

impl Install {
    /// The database is there and empty, nothing else is.
    pub(crate) async fn new(sql: Sql) -> Self {
        let (prefix, namespace, database) = (unique(), unique(), unique());
        let sql = address(sql.variable());
        let mut server = MySqlConnection::connect(&sql).await.unwrap();
        server.execute(&*format!("CREATE DATABASE {database}")).await.unwrap();
        let settings = HashMap::from([
            ("gate", format!("{}?prefix={prefix}", address(REDIS))),
            ("log", format!("{}/public/{namespace}", address(PULSAR))),
            ("log_admin", address(PULSAR_ADMIN)),
            ("ledger", format!("{sql}/{database}")),
            ("secret", "the secret that these roles share".to_owned()),
        ]);
        Self { prefix, namespace, sql, database, settings }
    }

    /// The same with its gate in another Redis.
    pub(crate) async fn at(redis: &str, sql: Sql) -> Self {
        let mut install = Self::new(sql).await;
        install.settings.insert("gate", redis.to_owned());
        install
    }

    /// With its engines brought up to date by `dibs migrate`.
    pub(crate) async fn migrated(sql: Sql) -> Self {
        let install = Self::new(sql).await;
        install.migrate().await;
        install
    }

    pub(crate) async fn migrate(&self) {
        let place = Place::new();
        let mut command = dibs(&place, ["migrate"]);
        for (key, value) in self.settings() {
            command.env(variable(key), value);
        }
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has the engine of this seam reached through a proxy from now on.
    pub(crate) async fn through_proxy(&mut self, seam: &'static str) -> Proxy {
        let mut url = Url::parse(&self.settings[seam]).unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let proxy = Proxy::before(&host).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.port())).unwrap();
        self.settings.insert(seam, url.into());
        proxy
    }

    /// The settings that name the engines and what the roles share.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &str)> {
        self.settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
    }

    /// What the engine of this seam is reached by.
    pub(crate) fn address(&self, seam: &str) -> &str {
        &self.settings[seam]
    }

    /// Runs a command of the operator, and answers what it prints.
    pub(crate) async fn operator(&self, api: &str, arguments: &[&str]) -> String {
        let place = Place::new();
        let mut command = dibs(&place, arguments);
        command.args(["--url", api]).env("DIBS_ADMIN_KEY", ADMIN_KEY);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A connection to the ledger that no proxy is in the way of.
    pub(crate) async fn sql(&self) -> MySqlConnection {
        MySqlConnection::connect(&format!("{}/{}", self.sql, self.database)).await.unwrap()
    }

    /// Runs one statement on the ledger.
    pub(crate) async fn on_ledger(&self, statement: &str) {
        self.sql().await.execute(statement).await.unwrap();
    }

    /// A number that the ledger holds.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let query = format!("SELECT CAST(({query}) AS SIGNED)");
        sqlx::query_scalar(&query).fetch_one(&mut self.sql().await).await.unwrap()
    }

    /// No verdict is reached, and none is lost, until this is released.
    pub(crate) async fn lock(&self) -> Lock {
        let mut connection = self.sql().await;
        connection.execute("START TRANSACTION").await.unwrap();
        connection.execute("SELECT round FROM rounds FOR UPDATE").await.unwrap();
        Lock(connection)
    }

    async fn delete(&self) {
        let mut server = MySqlConnection::connect(&self.sql).await.unwrap();
        server.execute(&*format!("DROP DATABASE {}", self.database)).await.unwrap();
        self.delete_namespace().await;
        let client = redis::Client::open(address(REDIS)).unwrap();
        let mut gate = client.get_connection().unwrap();
        let keys = gate.scan_match::<_, String>(format!("{}:*", self.prefix)).unwrap();
        let keys: Vec<_> = keys.map(Result::unwrap).collect();
        if !keys.is_empty() {
            gate.unlink(keys).unwrap();
        }
    }

    /// What cannot be deleted is left to the end of the server that ./test has brought.
    async fn delete_namespace(&self) {
        let (http, admin) = (Client::new(), address(PULSAR_ADMIN));
        let (admin, namespace) = (format!("{admin}/admin/v2"), &self.namespace);
        for kind in ["/partitioned", ""] {
            let listed = format!("{admin}/persistent/public/{namespace}{kind}");
            let topics = http.get(listed).send().await.unwrap();
            let topics: Vec<String> = topics.json().await.unwrap_or_default();
            for topic in topics {
                let path = topic.replace("persistent://", "persistent/");
                let kind = if kind.is_empty() { "" } else { "/partitions" };
                let topic = format!("{admin}/{path}{kind}?force=true");
                let _ = http.delete(topic).send().await;
            }
        }
        let _ = http.delete(format!("{admin}/namespaces/public/{namespace}")).send().await;
    }
}

impl Drop for Install {
    /// On a thread of its own, since a runtime cannot wait for another on one of its threads.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            let deleted = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(self.delete());
            });
            if deleted.join().is_err() {
                eprintln!("{} was not deleted everywhere", self.database);
            }
        });
    }
}

/// Holds the rows that every verdict locks first.
pub(crate) struct Lock(MySqlConnection);

impl Lock {
    pub(crate) async fn release(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
    }
}
