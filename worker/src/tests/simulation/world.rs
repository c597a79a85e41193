//! A sale, its engines, two workers in parts, and what the buyers were told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, Shard, TicketId};
use sale::order::{Batch, OrderV1};
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::local::{self, LocalGate};
use store::gate::{Bounds, Gate, Slot};
use store::ledger::Sale;
use store::log::{Delivery, Orders};

use super::cut;
use crate::consume::{Consumer, settle};
use crate::decide::Verdicts;
use crate::rounds::Keeper;
use crate::tests::bench::Bench;
use crate::tests::recovering::at_once;

/// For one buyer the ledger fails; his order is set aside.
const POISON: &str = "CREATE TRIGGER IF NOT EXISTS poison BEFORE INSERT ON holdings \
    WHEN NEW.buyer = 'bob' BEGIN SELECT RAISE(ABORT, 'this order is poison'); END";
const ANTIDOTE: &str = "DROP TRIGGER IF EXISTS poison";

pub(super) const STOCK: u32 = 2;
pub(super) const LIMIT: u32 = 2;

/// The claims of three buyers: who, by which request, for how many units.
const CLAIMS: [(&str, &str, u64); 5] =
    [("ada", "r1", 1), ("ada", "r2", 2), ("bob", "r1", 1), ("cy", "r1", 1), ("cy", "r2", 1)];

/// A worker in its parts.
pub(super) struct Parts {
    consumer: Consumer,
    keeper: Keeper,
    orders: Orders,
    hand: Vec<Delivery>,
    verdicts: Option<(Verdicts, Vec<Delivery>)>,
}

impl Parts {
    async fn new(bench: &Bench) -> Self {
        Self {
            consumer: bench.consumer(),
            keeper: Keeper::new(bench.seams.clone(), Arc::default(), &at_once()),
            orders: bench.seams.log.orders().await.unwrap(),
            hand: Vec::new(),
            verdicts: None,
        }
    }
}

/// What follows an answer to claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// What was granted is published.
    Published,
    /// Whoever called dies before that.
    CallerDies,
    /// The gate dies too.
    GateDies,
}

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) sale: Sale,
    pub(super) claims: Vec<Claim>,
    pub(super) workers: Vec<Parts>,
    /// Whether the buyer of each claim has his token.
    pub(super) tokens: Vec<bool>,
    pub(super) finals: HashMap<TicketId, TicketState>,
    /// The gate's file, and how many there were.
    pub(super) file: String,
    pub(super) files: u32,
    pub(super) copy: Option<String>,
    /// The gate has lost what it had acknowledged.
    pub(super) lost: bool,
}

impl World {
    /// An open sale, in ledger and gate.
    pub(super) async fn new() -> Self {
        let mut bench = Bench::new().await;
        let file = "gate.db".to_owned();
        bench.seams.gate.close().await;
        bench.seams.gate = open(&bench, &file).await;
        let sale = bench.sale("lamp", STOCK).await;
        let claims: Vec<_> = CLAIMS.iter().map(|of| claim(&sale, *of)).collect();
        let workers = vec![Parts::new(&bench).await, Parts::new(&bench).await];
        let tokens = vec![false; claims.len()];
        let finals = HashMap::new();
        Self {
            bench,
            sale,
            claims,
            workers,
            tokens,
            finals,
            file,
            files: 1,
            copy: None,
            lost: false,
        }
    }

    pub(super) fn claims(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn slot(&self) -> Slot {
        Slot::first(self.sale.round)
    }

    /// Claims come in one call, for the first time or again.
    pub(super) async fn claim(&mut self, which: &[usize], then: Then, cut: Option<u32>) {
        let claims: Vec<_> = which.iter().map(|claim| self.claims[*claim].clone()).collect();
        let gate = self.bench.seams.gate.clone();
        let call = gate.grant(self.slot(), BatchId(rand::random()), &claims);
        let answered = cut::after(cut, call).await;
        let left = (then == Then::GateDies).then(|| self.keep());
        if let Some(Ok(grants)) = answered {
            for (claim, answer) in which.iter().zip(&grants.answers) {
                let stands = matches!(answer, Answer::Standing(_));
                let known = self.lost || !self.tokens[*claim] || stands;
                assert!(known, "a buyer with a token is told {answer:?}");
                self.tokens[*claim] |= stands || matches!(answer, Answer::Granted(_));
            }
            if let Some(batch) = grants.batch.filter(|_| then == Then::Published) {
                self.bench.publish(batch).await;
            }
        }
        if let Some(left) = left {
            self.open_gate(left).await;
        }
    }

    /// The sweeper.
    pub(super) async fn resend(&self) {
        for batch in self.bench.seams.gate.resend(self.slot(), 10).await.unwrap_or_default() {
            self.bench.publish(batch).await;
        }
    }

    pub(super) async fn take(&mut self, w: usize) {
        let worker = &mut self.workers[w];
        if worker.hand.is_empty()
            && let Some(taken) = cut::after(Some(1), worker.orders.next(2)).await
        {
            worker.hand = taken.unwrap();
        }
    }

    /// Has what is in hand decided. A worker that is cut off in it is dead.
    pub(super) async fn decide(&mut self, w: usize, cut: Option<u32>) {
        let worker = &mut self.workers[w];
        if worker.verdicts.is_some() || worker.hand.is_empty() {
            return;
        }
        let hand = std::mem::take(&mut worker.hand);
        let (batches, fences): (Vec<_>, Vec<_>) =
            hand.into_iter().partition(|delivery| delivery.batch().is_some());
        match cut::after(cut, worker.consumer.decide(&batches, &fences)).await {
            Some(Some(verdicts)) => {
                worker.orders.ack(fences).await.unwrap();
                worker.verdicts = Some((verdicts, batches));
            }
            Some(None) => worker.orders.nack(batches).await.unwrap(),
            None => self.die(w).await,
        }
    }

    /// Tells gate and watchers.
    pub(super) async fn settle(&mut self, w: usize, cut: Option<u32>) {
        let worker = &mut self.workers[w];
        let Some((verdicts, batches)) = worker.verdicts.take() else { return };
        let settler = worker.consumer.settler.clone();
        let Some(done) = cut::after(cut, settle(settler, verdicts)).await else {
            return self.die(w).await;
        };
        let (done, undone) = batches
            .into_iter()
            .partition(|delivery| delivery.batch().is_some_and(|batch| done.contains(&batch.id)));
        worker.orders.ack(done).await.unwrap();
        worker.orders.nack(undone).await.unwrap();
    }

    pub(super) async fn walk(&mut self, w: usize, cut: Option<u32>) {
        if cut::after(cut, self.workers[w].keeper.step()).await.is_none() {
            self.die(w).await;
        }
    }

    pub(super) async fn rebuild(&mut self, w: usize, cut: Option<u32>) {
        if cut::after(cut, self.workers[w].keeper.recover()).await.is_none() {
            self.die(w).await;
        }
    }

    /// Waits for the gates that a worker loads, or is cut off in it.
    pub(super) async fn load(&mut self, w: usize, cut: Option<u32>) {
        if cut::after(cut, self.workers[w].keeper.built()).await.is_none() {
            self.die(w).await;
        }
    }

    /// A worker dies with all that it has in hand, and another one starts.
    pub(super) async fn die(&mut self, w: usize) {
        self.workers[w] = Parts::new(&self.bench).await;
    }

    /// Whoever holds a token reads his ticket. If nobody knows it, the order is published again.
    pub(super) async fn reread(&self, claim: usize) {
        if self.tokens[claim] {
            reread(&self.bench, &self.claims[claim]).await;
        }
    }

    /// The ledger fails for one buyer, or does not any more.
    pub(super) async fn poison(&self, poisoned: bool) {
        let mut intruder = self.bench.intruder("ledger.db").await;
        let statement = if poisoned { POISON } else { ANTIDOTE };
        sqlx::query(statement).execute(&mut intruder).await.unwrap();
    }

    /// The gate dies with what is not on disk, and starts again.
    pub(super) async fn kill_gate(&mut self) {
        let left = self.keep();
        self.open_gate(left).await;
    }

    pub(super) fn copy_gate(&mut self) {
        self.copy = Some(self.keep());
    }

    /// The gate comes back empty, or as it was copied.
    pub(super) async fn lose_gate(&mut self, copied: bool) {
        let file = match self.copy.take().filter(|_| copied) {
            Some(copy) => copy,
            None => self.next_file(),
        };
        self.lost = true;
        self.open_gate(file).await;
    }

    /// What is on disk at this very moment, in a file of its own: as the death of the process
    /// leaves it, since no task of it runs meanwhile.
    fn keep(&mut self) -> String {
        let left = self.next_file();
        let path = |file: &str| self.bench.folder.path().join(file);
        std::fs::copy(path(&self.file), path(&left)).unwrap();
        let (log, left_log) = (format!("{}-wal", self.file), format!("{left}-wal"));
        if path(&log).exists() {
            std::fs::copy(path(&log), path(&left_log)).unwrap();
        }
        left
    }

    fn next_file(&mut self) -> String {
        self.files += 1;
        format!("gate-{}.db", self.files)
    }

    /// To the log and to the workers it is the gate that was there before.
    async fn open_gate(&mut self, file: String) {
        let before = self.bench.seams.gate.clone();
        self.bench.seams.gate = open(&self.bench, &file).await;
        self.file = file;
        before.close().await;
        for w in 0..self.workers.len() {
            self.die(w).await;
        }
    }
}

fn claim(sale: &Sale, (buyer, request, units): (&str, &str, u64)) -> Claim {
    let buyer = BuyerId::new(buyer).unwrap();
    let request = RequestId::new(request).unwrap();
    let ticket = TicketId::derive(sale.round, Shard::FIRST, &sale.salt, &buyer, &request);
    Claim { ticket, buyer, units: Units::new(units).unwrap() }
}

/// A gate whose outbox is overdue at once.
async fn open(bench: &Bench, file: &str) -> Gate {
    let now = Duration::ZERO;
    let bounds = Bounds { resend_after: now, resend_most: now, ..Bounds::default() };
    let settings = local::Settings { bounds, ..local::Settings::default() };
    let (path, install) = (bench.folder.path().join(file), bench.seams.ledger.install());
    Gate::Local(LocalGate::open(&path, install, settings).await.unwrap())
}

async fn reread(bench: &Bench, claim: &Claim) {
    let Claim { ticket, buyer, units } = claim.clone();
    let seams = &bench.seams;
    // Only who is told by both that they do not know it sends it again.
    let in_gate = seams.gate.read(Slot::of(ticket), &[(ticket, buyer.clone())]).await;
    let in_ledger = seams.ledger.read(&[ticket]).await;
    if !matches!((in_gate.as_deref(), in_ledger.as_deref()), (Ok([None]), Ok([None]))) {
        return;
    }
    let granted_at = seams.gate.now();
    let order = OrderV1 { ticket, buyer, units, granted_at, incarnation: 0 };
    let (install, id) = (seams.ledger.install(), BatchId(rand::random()));
    bench.publish(Arc::new(Batch::new(install, id, 0, vec![order]).unwrap())).await;
}
