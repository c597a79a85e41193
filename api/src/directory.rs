//! The directory: the sales in memory, as buyers see them.
//!
//! It is read again every second, at once after a change through this server, and when a sale
//! is asked for that it does not have. Public reads touch nothing else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use sale::id::{RoundId, SaleId};
use sale::terms::Phase;
use store::gate::{Gate, GateError, Slot};
use store::ledger::{Ledger, LedgerError, Sale};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::metric;
use crate::settings::Settings;

/// Rounds that the gate is asked for at one time.
const QUESTIONS: usize = 16;

/// One sale with its present round.
pub(crate) struct Entry {
    /// As the ledger has it.
    pub(crate) sale: Sale,
    /// Units that the gate has left; `None` where it was not asked or did not say.
    pub(crate) available: Option<i64>,
}

impl Entry {
    /// What the claims of its present round go to.
    pub(crate) fn slot(&self) -> Slot {
        Slot::first(self.sale.round)
    }
}

#[derive(Default)]
struct Table {
    sales: HashMap<SaleId, Arc<Entry>>,
    rounds: HashMap<RoundId, Arc<Entry>>,
    order: Vec<Arc<Entry>>,
}

/// The sales in memory.
pub(crate) struct Directory {
    gate: Gate,
    ledger: Ledger,
    table: RwLock<Arc<Table>>,
    last: Mutex<Reading>,
    most: u32,
    gap: Duration,
    within: Duration,
}

/// When the last reading began, and how it ended.
struct Reading {
    began: Instant,
    failed: Option<String>,
}

impl Directory {
    /// Reads the sales for the first time.
    pub(crate) async fn open(
        gate: Gate,
        ledger: Ledger,
        settings: &Settings,
    ) -> Result<Self, LedgerError> {
        let directory = Self {
            gate,
            ledger,
            table: RwLock::default(),
            last: Mutex::new(Reading { began: Instant::now(), failed: None }),
            most: settings.sales_most,
            gap: settings.refresh_gap,
            within: settings.claim_within,
        };
        directory.set(directory.load().await?);
        Ok(directory)
    }

    /// A sale. One that is not in memory is looked for in the ledger, by one reading for all
    /// who ask meanwhile: another server may have created it a moment ago. An error says that
    /// this could not be done.
    pub(crate) async fn find(&self, id: &SaleId) -> Result<Option<Arc<Entry>>, LedgerError> {
        match self.known(id) {
            Some(entry) => Ok(Some(entry)),
            None => {
                tokio::time::timeout(self.within, self.look_for(id)).await.unwrap_or_else(|_| {
                    Err(LedgerError::Unavailable("the sales were not read in time".into()))
                })
            }
        }
    }

    /// Waits for a reading that begins after this call.
    async fn look_for(&self, id: &SaleId) -> Result<Option<Arc<Entry>>, LedgerError> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if last.began <= asked {
            sleep_until(last.began + self.gap).await;
            self.read(&mut last).await;
        }
        match (self.known(id), &last.failed) {
            (Some(entry), _) => Ok(Some(entry)),
            (None, None) => Ok(None),
            (None, Some(error)) => Err(LedgerError::Unavailable(error.clone())),
        }
    }

    /// Reads the sales again, now. A failure leaves what is known.
    pub(crate) async fn refresh(&self) {
        self.read(&mut *self.last.lock().await).await;
    }

    /// The first sales, at most `most`: those that are not retired first, the newest first.
    pub(crate) fn list(&self, most: usize) -> Vec<Arc<Entry>> {
        self.table().order.iter().take(most).cloned().collect()
    }

    /// The sale that has this round at present.
    pub(crate) fn of_round(&self, round: RoundId) -> Option<Arc<Entry>> {
        self.table().rounds.get(&round).cloned()
    }

    /// Whether claims of this slot are answered by the gate.
    pub(crate) fn is_live(&self, slot: Slot) -> bool {
        self.table().rounds.get(&slot.round).is_some_and(|entry| !entry.sale.retired)
    }

    /// Rounds whose gate is being rebuilt, as far as the ledger says so.
    pub(crate) fn recovering(&self) -> Vec<RoundId> {
        let table = self.table();
        let sales = table.order.iter().map(|entry| &entry.sale);
        sales.filter(|sale| sale.is_recovering() && !sale.retired).map(|sale| sale.round).collect()
    }

    /// The slots of all rounds in which anything can have been granted: those that have opened
    /// and are not retired.
    pub(crate) fn opened_slots(&self) -> Vec<Slot> {
        let now = self.gate.now();
        let opened = |sale: &Sale| match sale.window.phase(now) {
            Phase::Upcoming => false,
            Phase::Open | Phase::Closed => !sale.retired,
        };
        let table = self.table();
        table.order.iter().filter(|entry| opened(&entry.sale)).map(|entry| entry.slot()).collect()
    }

    /// A sale that is in memory.
    pub(crate) fn known(&self, id: &SaleId) -> Option<Arc<Entry>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).sales.get(id).cloned()
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    async fn read(&self, last: &mut Reading) {
        let began = Instant::now();
        let failed = match self.load().await {
            Ok(table) => {
                self.set(table);
                None
            }
            Err(error) => {
                metric::directory_failed();
                Some(error.to_string())
            }
        };
        match (&last.failed, &failed) {
            (None, Some(error)) => {
                tracing::warn!(%error, "the sales cannot be read; known ones stay")
            }
            (Some(_), None) => tracing::info!("the sales can be read again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *last = Reading { began, failed };
    }

    async fn load(&self) -> Result<Table, LedgerError> {
        let sales = self.ledger.sales(self.most).await?;
        for sale in sales.iter().filter(|sale| !sale.retired) {
            self.gate.expect(Slot::first(sale.round), sale.incarnation, sale.sequence);
        }
        let now = self.gate.now();
        let open = |sale: &&Sale| !sale.retired && sale.terms().phase(now) == Phase::Open;
        let available = self.available(sales.iter().filter(open).cloned().collect()).await;
        let mut table = Table::default();
        for sale in sales {
            let available = available.get(&sale.round).copied();
            let entry = Arc::new(Entry { sale, available });
            table.rounds.insert(entry.sale.round, entry.clone());
            table.sales.insert(entry.sale.id.clone(), entry.clone());
            table.order.push(entry);
        }
        let live = table.order.iter().filter(|entry| !entry.sale.retired).count();
        metric::directory(live, table.order.len() - live);
        Ok(table)
    }

    /// What the gate has left of these rounds, as far as it says so and is to be believed.
    async fn available(&self, sales: Vec<Sale>) -> HashMap<RoundId, i64> {
        let ask = async |sale: Sale| {
            let answer = self.gate.figures(Slot::first(sale.round)).await;
            (sale, answer)
        };
        let mut asked = stream::iter(sales).map(ask).buffer_unordered(QUESTIONS);
        let mut available = HashMap::new();
        while let Some((sale, answer)) = asked.next().await {
            match answer {
                Ok(figures) if sale.loss_in(&figures).is_none() => {
                    available.insert(sale.round, figures.available);
                }
                Ok(_) => {}
                Err(GateError::NotWarm(_) | GateError::Recovering(_)) => {}
                // Each further question would wait as long.
                Err(GateError::Unavailable(_) | GateError::NotKnown) => break,
            }
        }
        available
    }
}
