//! The processes of one test.

use crate::dice::address;
use crate::harness::{Server, Setting};
use crate::install::{Install, Sql};

/// Processes on the same engines, each with one role, at addresses that they keep.
pub(crate) struct Deployment {
    pub(crate) apis: Vec<Server>,
    pub(crate) workers: Vec<Server>,
    pub(crate) pushes: Vec<Server>,
    /// Deleted after the processes have ended.
    pub(crate) install: Install,
}

/// How many processes of each role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    pub(crate) api: usize,
    pub(crate) worker: usize,
    pub(crate) push: usize,
}

impl Crew {
    pub(crate) const ONE_EACH: Self = Self { api: 1, worker: 1, push: 1 };
    pub(crate) const TWO_EACH: Self = Self { api: 2, worker: 2, push: 2 };
}

impl Deployment {
    /// Starts them on migrated engines of their own.
    pub(crate) async fn start(sql: Sql, crew: Crew) -> Self {
        Self::on(Install::migrated(sql).await, crew, &[]).await
    }

    /// The same on an install, with further settings.
    pub(crate) async fn on(install: Install, crew: Crew, settings: &[Setting<'_>]) -> Self {
        let mut deployment =
            Self { apis: Vec::new(), workers: Vec::new(), pushes: Vec::new(), install };
        for _ in 0..crew.push {
            let push = deployment.process("push", settings).await;
            deployment.pushes.push(push);
        }
        for n in 0..crew.api {
            let api = deployment.process("api", settings).await;
            let reader = &deployment.pushes[n % crew.push];
            deployment.apis.push(api.read_by(reader));
        }
        for _ in 0..crew.worker {
            let worker = deployment.process("worker", settings).await;
            deployment.workers.push(worker);
        }
        deployment
    }

    /// Starts one more worker.
    pub(crate) async fn hire(&mut self) {
        let worker = self.process("worker", &[]).await;
        self.workers.push(worker);
    }

    async fn process(&self, role: &'static str, settings: &[Setting<'_>]) -> Server {
        let (listen, ops) = (address(), address());
        let mut all = self.install.settings();
        all.extend([("listen", &*listen), ("ops_listen", &*ops)]);
        all.extend(settings);
        Server::start_role(role, &all).await
    }

    pub(crate) fn api(&self) -> &Server {
        &self.apis[0]
    }

    pub(crate) fn push(&self) -> &Server {
        &self.pushes[0]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Server> {
        self.apis.iter().chain(&self.workers).chain(&self.pushes)
    }

    /// Waits until each process says that it does its work.
    pub(crate) async fn until_ready(&self) {
        for process in self.all() {
            process.until_ready().await;
        }
    }

    /// Checks, once the sale is quiet, that gate and ledger hold the same figures, and that the
    /// ledger's rows add up to them.
    pub(crate) async fn check_figures(&self, sale: &str) {
        let shown = self.api().sale(sale).await;
        let gate = ["stock", "available", "sold", "held"].map(|key| shown[key].as_i64().unwrap());
        let ledger = async |what: &str, of: &str| {
            let query = format!("SELECT COALESCE({what}, 0) FROM {of} WHERE sale = '{sale}'");
            self.install.number(&query).await
        };
        let orders = "orders JOIN rounds ON round = CONV(HEX(LEFT(ticket, 4)), 16, 10)";
        let confirmed = ledger("SUM(IF(status = 'confirmed', units, 0))", orders).await;
        let stock = ledger("stock", "rounds").await;
        let available = ledger("available", "rounds").await;
        assert_eq!(gate, [stock, available, confirmed, 0], "{shown}");
        assert_eq!(stock, available + confirmed);
        assert_eq!(ledger("COUNT(*)", "holdings JOIN rounds USING (round)").await, confirmed);
    }
}
