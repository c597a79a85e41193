//! A sale, its engines, two workers in parts, and what the buyers were told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, Shard, TicketId};
use sale::order::{Batch, OrderV1};
use sale::status::Status;
use sale::ticket::TicketState;
use sale::units::Units;
use store::Seams;
use store::gate::local::{self, LocalGate};
use store::gate::{Bounds, Gate, Slot};
use store::ledger::{Row, Sale};
use store::log::{Delivery, Orders};

use super::cut;
use crate::consume::{Consumer, settle};
use crate::decide::Verdicts;
use crate::rounds::Keeper;
use crate::tests::bench::{Bench, eventually, in_time};
use crate::tests::recovering::{at_once, eager};

/// For one buyer the ledger fails; his order is set aside.
const POISON: &str = "CREATE TRIGGER IF NOT EXISTS poison BEFORE INSERT ON holdings \
    WHEN NEW.buyer = 'bob' BEGIN SELECT RAISE(ABORT, 'this order is poison'); END";
const ANTIDOTE: &str = "DROP TRIGGER IF EXISTS poison";

const STOCK: u32 = 2;
const LIMIT: u32 = 2;

/// The claims of three buyers: who, by which request, for how many units.
const CLAIMS: [(&str, &str, u64); 5] =
    [("ada", "r1", 1), ("ada", "r2", 2), ("bob", "r1", 1), ("cy", "r1", 1), ("cy", "r2", 1)];

/// A worker in its parts.
struct Parts {
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

pub(super) struct World {
    bench: Bench,
    sale: Sale,
    claims: Vec<Claim>,
    workers: Vec<Parts>,
    /// Whether the buyer of each claim has his token.
    tokens: Vec<bool>,
    finals: HashMap<TicketId, TicketState>,
    /// The gate's file, and how many there were.
    file: String,
    files: u32,
    copy: Option<String>,
    /// The gate has lost what it had acknowledged.
    lost: bool,
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

    fn slot(&self) -> Slot {
        Slot::first(self.sale.round)
    }

    /// Claims come in one call, for the first time or again. `publish` says whether whoever
    /// called lives to publish what was granted.
    pub(super) async fn claim(&mut self, which: &[usize], publish: bool, cut: Option<u32>) {
        let claims: Vec<_> = which.iter().map(|claim| self.claims[*claim].clone()).collect();
        let gate = self.bench.seams.gate.clone();
        let call = gate.grant(self.slot(), BatchId(rand::random()), &claims);
        let Some(Ok(grants)) = cut::after(cut, call).await else { return };
        for (claim, answer) in which.iter().zip(&grants.answers) {
            let stands = matches!(answer, Answer::Standing(_));
            let known = self.lost || !self.tokens[*claim] || stands;
            assert!(known, "a buyer with a token is told {answer:?}");
            self.tokens[*claim] |= stands || matches!(answer, Answer::Granted(_));
        }
        if let Some(batch) = grants.batch.filter(|_| publish) {
            self.bench.publish(batch).await;
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

    /// What must hold at every moment.
    pub(super) async fn check(&mut self) {
        let (ledger, round) = (&self.bench.seams.ledger, self.sale.round);
        let counts = patiently(async || ledger.counts(round).await).await.unwrap();
        let rows = patiently(async || ledger.tickets(round, None, None, 100).await).await;
        let mut held = HashMap::<BuyerId, u32>::new();
        for Row { buyer, ticket } in &rows {
            assert!(ticket.state.status.is_final(), "{ticket:?}");
            *held.entry(buyer.clone()).or_default() += ticket.state.held();
            let first = self.finals.entry(ticket.id).or_insert(ticket.state);
            assert_eq!(*first, ticket.state, "a result changed");
        }
        assert_eq!(rows.len(), self.finals.len(), "a result is gone");
        assert!(held.values().all(|units| *units <= LIMIT), "{held:?}");
        let confirmed: u32 = held.values().sum();
        assert!(confirmed <= STOCK, "{confirmed} are confirmed");
        assert_eq!((counts.stock, counts.sold()), (STOCK, confirmed));
        if !self.lost {
            let rejected = rows.iter().find(|row| row.ticket.state.status != Status::Confirmed);
            assert!(rejected.is_none(), "a gate that lost nothing granted it: {rejected:?}");
        }
        let gate = &self.bench.seams.gate;
        if let Ok(figures) = gate.figures(self.slot()).await {
            let taken = i64::try_from(figures.held + figures.sold).unwrap();
            assert_eq!(figures.available + taken, i64::from(STOCK), "{figures:?}");
            assert!(self.lost || figures.available >= 0, "{figures:?}");
        }
        let asked: Vec<_> =
            self.claims.iter().map(|claim| (claim.ticket, claim.buyer.clone())).collect();
        let told = gate.read(self.slot(), &asked).await.unwrap_or_default();
        for ((claim, told), token) in self.claims.iter().zip(told).zip(&self.tokens) {
            assert!(self.lost || !token || told.is_some(), "the gate forgot {claim:?}");
            if let Some(told) = told.filter(|told| told.status.is_final()) {
                assert_eq!(self.finals.get(&claim.ticket), Some(&told), "the ledger has it so");
            }
        }
    }

    /// Two whole workers, a sweeper and the readers of all tokens, without a further fault.
    pub(super) async fn comes_to_rest(mut self) {
        self.workers.clear();
        self.poison(false).await;
        let _sweeper = self.bench.sweep(&self.sale);
        let running = [self.bench.start(eager()), self.bench.start(eager())];
        eventually("rest", async || {
            for claim in 0..self.claims.len() {
                self.reread(claim).await;
            }
            self.try_all_again().await;
            self.is_at_rest().await
        })
        .await;
        for worker in running {
            worker.end().await;
        }
        self.check().await;
        let tokens = self.claims.iter().zip(&self.tokens).filter(|(_, token)| **token);
        for (claim, _) in tokens {
            let (gate, again) = (&self.bench.seams.gate, std::slice::from_ref(claim));
            let id = BatchId(rand::random());
            let grants = patiently(async || gate.grant(self.slot(), id, again).await).await;
            let stands = Answer::Standing(self.finals[&claim.ticket]);
            assert_eq!(grants.answers, [stands], "the same request finds the same ticket");
        }
    }

    /// What is set aside is due at once, as when an operator has it sent again.
    async fn try_all_again(&self) {
        let Seams { gate, ledger, .. } = &self.bench.seams;
        for row in patiently(async || ledger.aside(None, 100).await).await {
            let ticket = row.order.ticket;
            patiently(async || ledger.release(ticket, false, gate.now()).await).await;
        }
    }

    async fn is_at_rest(&self) -> bool {
        let seams = &self.bench.seams;
        let asked: Vec<_> = self.claims.iter().map(|claim| claim.ticket).collect();
        let (ledger, round) = (&seams.ledger, self.sale.round);
        let rows = patiently(async || ledger.read(&asked).await).await;
        let decided = rows.iter().zip(&self.tokens).all(|(row, token)| row.is_some() || !token);
        let row = patiently(async || ledger.sale_of(round).await).await.unwrap();
        let counts = patiently(async || ledger.counts(round).await).await.unwrap();
        let Ok(gate) = seams.gate.figures(self.slot()).await else { return false };
        decided
            && row.loaded
            && !gate.frozen
            && gate.incarnation == row.incarnation
            && (gate.undecided, gate.held) == (0, 0)
            && gate.available == i64::from(counts.available)
            && gate.sold == u64::from(counts.sold())
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

/// Asks until there is an answer: a busy machine may take longer than a call may.
async fn patiently<T, E>(call: impl AsyncFn() -> Result<T, E>) -> T {
    in_time("an answer", async {
        loop {
            if let Ok(answer) = call().await {
                return answer;
            }
        }
    })
    .await
}
