//! Claims, sales and administration over HTTP: the batcher, the publisher and the sweeper.
//!
//! This crate never writes an order's state: it asks the gate, and hands over what was granted.

mod admin;
pub mod batcher;
mod claim;
mod directory;
mod error;
mod guests;
mod metric;
pub mod publisher;
mod request;
mod sales;
mod settings;
mod sweeper;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use edge::buyer::BuyerKeys;
use edge::guest::GuestKeys;
use edge::origins::Origins;
use edge::secrets::AdminKey;
use edge::vital::vital;
use sale::id::RoundId;
use sale::token::TokenKeys;
pub use store::Seams;
use store::gate::Gate;
use store::ledger::{Ledger, LedgerError};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use batcher::Batcher;
use directory::Directory;
use publisher::{Outlet, Publisher};
pub use settings::Settings;
use sweeper::Sweeper;

/// Who is believed, and what is signed.
#[derive(Clone)]
pub struct Keys {
    /// Seal the tokens of tickets.
    pub tokens: Arc<TokenKeys>,
    /// Verify buyers' JWTs.
    pub buyers: Arc<BuyerKeys>,
    /// Sign guests' JWTs; without them there are no guests.
    pub guests: Option<Arc<GuestKeys>>,
    /// The operator's.
    pub admin: AdminKey,
    /// Pages of other hosts that may call.
    pub origins: Arc<Origins>,
}

/// Why the API does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sales could not be read.
    #[error("the sales cannot be read: {0}")]
    Sales(#[from] LedgerError),
}

/// The running API: its router, and the tasks behind it.
pub struct Api {
    app: Arc<App>,
    readiness: Arc<Readiness>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Fires when no more batches come.
    granted: CancellationToken,
}

/// What handlers share.
pub(crate) struct App {
    gate: Gate,
    ledger: Ledger,
    keys: Keys,
    settings: Settings,
    directory: Arc<Directory>,
    batcher: Batcher,
    lookups: Semaphore,
}

impl Api {
    /// Reads the sales and starts the tasks. They run until `stop` fires, and those that claims
    /// need until [`Api::end`]. If one of them dies, `stop` fires too.
    pub async fn start(
        seams: Seams,
        keys: Keys,
        settings: Settings,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        metric::describe();
        let Seams { gate, log, ledger } = seams;
        let directory = Directory::open(gate.clone(), ledger.clone(), &settings).await?;
        let directory = Arc::new(directory);
        let (publisher, batches) = Publisher::new(settings.batches_queued);
        let batcher = Batcher::new(gate.clone(), publisher, &settings);
        let readiness = Arc::new(Readiness::new());
        let (tasks, granted) = (TaskTracker::new(), CancellationToken::new());
        let lookups = Semaphore::new(settings.lookups);
        let app = Arc::new(App {
            gate: gate.clone(),
            ledger,
            keys,
            settings: settings.clone(),
            directory: directory.clone(),
            batcher,
            lookups,
        });
        let outlet = Outlet { log, within: settings.publish_within, gate: gate.clone() };
        let most = settings.batches_in_flight;
        let publisher = publisher::run(outlet.clone(), batches, most, granted.clone());
        tasks.spawn(vital(&stop, publisher));
        tasks.spawn(vital(&stop, keep_directory(app.clone(), stop.clone())));
        let probes =
            keep_readiness(readiness.clone(), gate.clone(), settings.probe_every, stop.clone());
        tasks.spawn(vital(&stop, probes));
        let sweeper = Sweeper { gate, outlet, directory, settings, stop: stop.clone() };
        tasks.spawn(vital(&stop, sweeper.run()));
        Ok(Self { app, readiness, tasks, stop, granted })
    }

    /// Every path of the API. Problem documents also for what no path or method knows.
    pub fn router(&self) -> Router {
        let buyers = Router::new()
            .route("/v1/sales", get(sales::list))
            .route("/v1/sales/{sale}", get(sales::show))
            .route("/v1/sales/{sale}/tickets", post(claim::claim))
            .route("/v1/guests", post(guests::create))
            .route("/v1/now", get(sales::now))
            .method_not_allowed_fallback(edge::problem::method_not_allowed)
            // Around the fallbacks too: a preflight is a method that no path knows.
            .layer(self.app.keys.origins.cors());
        buyers
            .merge(admin::router(&self.app))
            .fallback(edge::problem::no_such_path)
            .with_state(self.app.clone())
    }

    /// Whether claims can be granted: the gate answered on the path of a grant a moment ago.
    /// Otherwise says what is missing; so it does from the first moment of draining.
    pub fn ready(&self) -> Result<(), String> {
        if self.stop.is_cancelled() {
            return Err("draining".into());
        }
        self.readiness.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rounds whose gate is being rebuilt: they grant nothing meanwhile.
    pub fn recovering(&self) -> Vec<RoundId> {
        self.app.directory.recovering()
    }

    /// Ends all tasks, after `stop` has fired: claims that wait are answered, and what was
    /// granted is handed over to the log.
    pub async fn end(self) {
        self.stop.cancel();
        self.app.batcher.end().await;
        self.granted.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What the last probe of the gate found.
struct Readiness {
    last: Mutex<Result<(), String>>,
}

impl Readiness {
    fn new() -> Self {
        Self { last: Mutex::new(Err("the gate was not tried yet".into())) }
    }

    fn set(&self, now: Result<(), String>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*last, &now) {
            (Ok(()), Err(error)) => tracing::warn!(%error, "claims cannot be granted"),
            (Err(_), Ok(())) => tracing::info!("claims can be granted"),
            (Ok(()), Ok(())) | (Err(_), Err(_)) => {}
        }
        *last = now;
    }
}

async fn keep_readiness(
    readiness: Arc<Readiness>,
    gate: Gate,
    every: Duration,
    stop: CancellationToken,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        readiness.set(gate.probe().await.map_err(|error| error.to_string()));
    }
}

async fn keep_directory(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = interval(app.settings.refresh_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        app.directory.refresh().await;
        app.batcher.keep(|slot| app.directory.is_live(slot));
    }
}
