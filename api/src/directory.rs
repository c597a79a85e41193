//! The directory: the sales in memory, as buyers see them.
//!
//! It is read again every second, at once after a change through this server, and when a sale
//! is asked for that it does not have. Public reads touch nothing else.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sale::id::{RoundId, SaleId};
use sale::terms::Phase;
use store::gate::{Gate, GateError, Slot};
use store::ledger::{Ledger, LedgerError, Sale};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::settings::Settings;

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

/// When the last reading ended, and how.
struct Reading {
    at: Instant,
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
            last: Mutex::new(Reading { at: Instant::now(), failed: None }),
            most: settings.sales_most,
            gap: settings.refresh_gap,
            within: settings.call_within,
        };
        directory.set(directory.load().await?);
        Ok(directory)
    }

    /// A sale. One that is not in memory is looked for in the ledger, by one reading at a time
    /// for all who ask; an error says that this could not be done.
    pub(crate) async fn find(&self, id: &SaleId) -> Result<Option<Arc<Entry>>, LedgerError> {
        let known = self.known(id);
        if known.is_some() {
            return Ok(known);
        }
        let mut last = self.last.lock().await;
        if last.at.elapsed() >= self.gap {
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

    /// The slots of all rounds that are not retired.
    pub(crate) fn live_slots(&self) -> Vec<Slot> {
        let table = self.table();
        table.order.iter().filter(|entry| !entry.sale.retired).map(|entry| entry.slot()).collect()
    }

    fn known(&self, id: &SaleId) -> Option<Arc<Entry>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).sales.get(id).cloned()
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    async fn read(&self, last: &mut Reading) {
        let failed = match self.load().await {
            Ok(table) => {
                self.set(table);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        match (&last.failed, &failed) {
            (None, Some(error)) => {
                tracing::warn!(%error, "the sales cannot be read; known ones stay")
            }
            (Some(_), None) => tracing::info!("the sales can be read again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *last = Reading { at: Instant::now(), failed };
    }

    async fn load(&self) -> Result<Table, LedgerError> {
        let sales = tokio::time::timeout(self.within, self.ledger.sales(self.most))
            .await
            .map_err(|_| LedgerError::Unavailable("it did not answer in time".into()))??;
        let mut table = Table::default();
        let mut gate_answers = true;
        for sale in sales {
            let open = !sale.retired && sale.terms().phase(self.gate.now()) == Phase::Open;
            let mut available = None;
            if open && gate_answers {
                match self.gate.figures(Slot::first(sale.round)).await {
                    Ok(figures) => available = Some(figures.available),
                    Err(GateError::NotWarm(_)) => {}
                    // Each further question would wait as long.
                    Err(GateError::Unavailable(_) | GateError::NotKnown) => gate_answers = false,
                }
            }
            let entry = Arc::new(Entry { sale, available });
            table.rounds.insert(entry.sale.round, entry.clone());
            table.sales.insert(entry.sale.id.clone(), entry.clone());
            table.order.push(entry);
        }
        Ok(table)
    }
}
