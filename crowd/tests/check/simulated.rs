//! A correct server and its buyers in one thread: messages cross, answers are lost, claims are
//! repeated, streams lag, and a gate may forget. What they record has to be found innocent.

use std::collections::{BTreeMap, VecDeque};

use crowd::books::{Entry, Gate, Ledger};
use crowd::history::{Did, Event, Way};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sale::id::TicketId;
use sale::status::{Reason, Status};

use crate::scene::{OPENS_AT, SALE, Scene, text};

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) buyers: u8,
    /// How much happens before the quiet, for each buyer.
    pub(crate) steps: u8,
    pub(crate) stock: u8,
    pub(crate) limit: u8,
    /// The gate forgets what the ledger has not decided, once.
    pub(crate) forgets: bool,
}

/// Names a claim: the buyer, and which of his requests. His ticket is derived from it.
type Claim = (u8, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    units: u8,
    status: Status,
    granted: i64,
}

/// What is on its way between a buyer and the server.
#[derive(Debug, Clone)]
enum Mail {
    Claim { claim: Claim, asked: u64, awaited: bool },
    Answer { claim: Claim, asked: u64, answer: Result<State, &'static str> },
    Read { buyer: u8, claim: Claim, way: Way, asked: u64 },
    Watch { stream: usize },
    Look { claim: Claim, asked: u64 },
    Told { buyer: u8, did: Did },
}

/// One stream of one ticket: what it shows comes in its order.
#[derive(Debug)]
struct Stream {
    claim: Claim,
    way: Way,
    asked: u64,
    open: bool,
    version: u32,
    queue: VecDeque<String>,
}

#[derive(Debug)]
struct World {
    shape: Shape,
    rng: StdRng,
    now: u64,
    events: Vec<Event>,
    mail: Vec<Mail>,
    streams: Vec<Stream>,
    available: i64,
    gate: BTreeMap<Claim, State>,
    /// Grants that the ledger has not decided.
    orders: Vec<(Claim, State)>,
    ledger: BTreeMap<Claim, State>,
    /// What each buyer holds a token of, as it was granted.
    tokens: BTreeMap<Claim, State>,
    /// Final results that buyers have seen.
    finals: BTreeMap<Claim, Status>,
}

/// Runs it to its quiet end.
pub(crate) fn run(shape: Shape) -> Scene {
    let mut world = World {
        shape,
        rng: StdRng::seed_from_u64(shape.seed),
        now: 0,
        events: Vec::new(),
        mail: Vec::new(),
        streams: Vec::new(),
        available: i64::from(shape.stock),
        gate: BTreeMap::new(),
        orders: Vec::new(),
        ledger: BTreeMap::new(),
        tokens: BTreeMap::new(),
        finals: BTreeMap::new(),
    };
    let steps = u32::from(shape.steps) * u32::from(shape.buyers);
    let forgets = world.rng.random_range(0..steps);
    for step in 0..steps {
        if shape.forgets && step == forgets {
            world.forget();
        }
        world.step();
    }
    world.quiet();
    world.scene()
}

impl World {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn did(&mut self, buyer: u8, did: Did) {
        // Several things may happen in one microsecond.
        self.now += self.rng.random_range(0..3);
        self.events.push(Event { at: self.now, buyer: name(buyer), did });
    }

    fn step(&mut self) {
        match self.rng.random_range(0..10) {
            0 | 1 => self.claim(),
            2 => self.ask(),
            3 => self.give_up_waiting(),
            4 => self.decide(),
            5 => self.settle(),
            6 | 7 => self.show(),
            _ => self.deliver(),
        }
    }

    /// A buyer sends a claim, for the first time or again.
    fn claim(&mut self) {
        let buyer = self.rng.random_range(0..self.shape.buyers);
        let claim = (buyer, self.rng.random_range(0..3));
        let sale = SALE.to_owned();
        let (intent, units) = (u32::from(claim.1), u32::from(units(claim)));
        let request = request(claim);
        self.tick();
        self.did(buyer, Did::Claim { sale, intent, request, units });
        let asked = self.now;
        if self.rng.random_ratio(1, 10) {
            self.unsure(claim);
        } else {
            self.mail.push(Mail::Claim { claim, asked, awaited: true });
        }
    }

    /// A buyer asks for a ticket: his own in one of the ways, or one of somebody else.
    fn ask(&mut self) {
        let held: Vec<_> = self.tokens.keys().copied().collect();
        let Some(claim) = pick(&mut self.rng, &held) else { return };
        let buyer = self.rng.random_range(0..self.shape.buyers);
        let asked = self.tick();
        if buyer != claim.0 && self.rng.random_ratio(1, 4) {
            let id = id(claim).to_string();
            self.mail
                .push(Mail::Told { buyer, did: Did::Foreign { id, way: Way::Poll, shown: None } });
            return;
        }
        let way = [Way::Socket, Way::Events, Way::LongPoll, Way::Poll][self.rng.random_range(0..4)];
        self.mail.push(match way {
            Way::Socket | Way::Events => {
                let queue = VecDeque::new();
                self.streams.push(Stream { claim, way, asked, open: false, version: 0, queue });
                Mail::Watch { stream: self.streams.len() - 1 }
            }
            Way::LongPoll | Way::Poll => Mail::Read { buyer: claim.0, claim, way, asked },
        });
    }

    /// A claim's answer is waited for no longer; the claim goes its way all the same.
    fn give_up_waiting(&mut self) {
        let waiting = |mail: &&mut Mail| matches!(mail, Mail::Claim { awaited: true, .. });
        let Some(Mail::Claim { claim, awaited, .. }) = self.mail.iter_mut().find(waiting) else {
            return;
        };
        *awaited = false;
        let claim = *claim;
        self.unsure(claim);
    }

    fn unsure(&mut self, claim: Claim) {
        let (sale, request) = (SALE.to_owned(), request(claim));
        let (intent, why) = (u32::from(claim.1), "no answer in time".to_owned());
        self.did(claim.0, Did::Unsure { sale, intent, request, why });
    }

    /// Whatever is on its way arrives, in no order.
    fn deliver(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        let next = self.rng.random_range(0..self.mail.len());
        match self.mail.swap_remove(next) {
            Mail::Claim { claim, asked, awaited } => {
                let answer = self.grant(claim);
                if awaited && self.rng.random_ratio(9, 10) {
                    self.mail.push(Mail::Answer { claim, asked, answer });
                } else if awaited {
                    self.unsure(claim);
                }
            }
            Mail::Answer { claim, asked, answer } => self.answered(claim, asked, answer),
            Mail::Read { buyer, claim, way, asked } => {
                let ticket = self.read(claim).1;
                self.mail.push(Mail::Told { buyer, did: Did::Saw { way, asked, ticket } });
            }
            Mail::Watch { stream } => {
                self.streams[stream].open = true;
                self.push(stream);
            }
            Mail::Look { claim, asked } => {
                let found = self.ledger.get(&claim).map(|state| state.text(claim));
                let id = id(claim).to_string();
                self.mail
                    .push(Mail::Told { buyer: claim.0, did: Did::Looked { id, asked, found } });
            }
            Mail::Told { buyer, did } => self.told(buyer, did),
        }
    }

    fn answered(&mut self, claim: Claim, asked: u64, answer: Result<State, &'static str>) {
        let (sale, request, intent) = (SALE.to_owned(), request(claim), u32::from(claim.1));
        match answer {
            Ok(state) => {
                self.tokens.insert(claim, State { status: Status::Pending, ..state });
                let ticket = state.text(claim);
                self.did(claim.0, Did::Granted { sale, intent, request, asked, ticket });
            }
            Err(problem) => {
                let problem = problem.to_owned();
                self.did(claim.0, Did::Refused { sale, intent, request, problem });
            }
        }
    }

    /// A buyer is shown something; who has it may look into the ledger.
    fn told(&mut self, buyer: u8, did: Did) {
        let ticket = if let Did::Saw { ticket, .. } = &did { Some(ticket.clone()) } else { None };
        self.did(buyer, did);
        let claim = self.tokens.keys().copied().find(|claim| {
            ticket.as_ref().is_some_and(|ticket| ticket.contains(&id(*claim).to_string()))
        });
        let Some((claim, state)) = claim.and_then(|claim| Some((claim, self.ledger.get(&claim)?)))
        else {
            return;
        };
        if ticket == Some(state.text(claim)) {
            self.finals.insert(claim, state.status);
            if state.status == Status::Confirmed && self.rng.random() {
                let asked = self.tick();
                self.mail.push(Mail::Look { claim, asked });
            }
        }
    }

    /// The gate: the same again, the limit, the stock, then the grant.
    fn grant(&mut self, claim: Claim) -> Result<State, &'static str> {
        let units = units(claim);
        if let Some(state) = self.gate.get(&claim) {
            return Ok(*state);
        }
        if self.held(claim.0) + units > self.shape.limit {
            return Err("/problems/limit-reached");
        }
        if self.available < i64::from(units) {
            return Err("/problems/sold-out");
        }
        self.available -= i64::from(units);
        let granted = OPENS_AT + i64::try_from(self.tick()).unwrap();
        let state = State { units, status: Status::Pending, granted };
        self.gate.insert(claim, state);
        self.orders.push((claim, state));
        Ok(state)
    }

    fn held(&self, buyer: u8) -> u8 {
        let mine = self.gate.iter().filter(|(claim, _)| claim.0 == buyer);
        mine.filter(|(_, state)| state.status.holds_units()).map(|(_, state)| state.units).sum()
    }

    /// The ledger decides one order; one that it has decided already changes nothing.
    fn decide(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        let next = self.rng.random_range(0..self.orders.len());
        let (claim, state) = self.orders.swap_remove(next);
        if self.ledger.contains_key(&claim) {
            return;
        }
        let status = if self.rng.random_ratio(1, 20) {
            Status::Rejected(Reason::Deadline)
        } else if self.sold(|_| true) + i64::from(state.units) > i64::from(self.shape.stock) {
            Status::Rejected(Reason::SoldOut)
        } else if self.sold(|buyer| buyer == claim.0) + i64::from(state.units)
            > i64::from(self.shape.limit)
        {
            Status::Rejected(Reason::Limit)
        } else {
            Status::Confirmed
        };
        self.ledger.insert(claim, State { status, ..state });
    }

    fn sold(&self, whose: impl Fn(u8) -> bool) -> i64 {
        let sold = self.ledger.iter().filter(|(claim, _)| whose(claim.0));
        let sold = sold.filter(|(_, state)| state.status == Status::Confirmed);
        sold.map(|(_, state)| i64::from(state.units)).sum()
    }

    /// One verdict enters the gate, and those who watch hear of it.
    fn settle(&mut self) {
        let unsettled =
            self.ledger.iter().find(|(claim, state)| self.gate.get(claim) != Some(*state));
        let Some((&claim, &state)) = unsettled else { return };
        let before = self.gate.insert(claim, state);
        let held =
            |state: &State| if state.status.holds_units() { i64::from(state.units) } else { 0 };
        self.available += before.as_ref().map_or(0, held) - held(&state);
        for stream in 0..self.streams.len() {
            if self.streams[stream].open && self.streams[stream].claim == claim {
                self.push(stream);
            }
        }
    }

    /// What a read finds: in the gate, else in the ledger, else what the token proves, whose order
    /// is sent again.
    fn read(&mut self, claim: Claim) -> (u32, String) {
        let known = self.gate.get(&claim).or_else(|| self.ledger.get(&claim)).copied();
        let state = known.unwrap_or_else(|| {
            let state = self.tokens[&claim];
            self.orders.push((claim, state));
            state
        });
        (state.version(), state.text(claim))
    }

    fn push(&mut self, stream: usize) {
        let (version, text) = self.read(self.streams[stream].claim);
        let stream = &mut self.streams[stream];
        if version > stream.version {
            stream.version = version;
            stream.queue.push_back(text);
        }
    }

    /// A stream's next message arrives.
    fn show(&mut self) {
        let full = self.streams.iter().enumerate().filter(|(_, stream)| !stream.queue.is_empty());
        let full: Vec<_> = full.map(|(number, _)| number).collect();
        let Some(stream) = pick(&mut self.rng, &full) else { return };
        let Stream { claim, way, asked, ref mut queue, .. } = self.streams[stream];
        let ticket = queue.pop_front().unwrap();
        self.told(claim.0, Did::Saw { way, asked, ticket });
    }

    /// The gate loses what the ledger has not decided, and is rebuilt from the ledger. Orders that
    /// the log still has are decided before; the others come back by a retry or a token.
    fn forget(&mut self) {
        let rng = &mut self.rng;
        self.orders.retain(|_| rng.random());
        while !self.orders.is_empty() {
            self.decide();
        }
        self.gate = self.ledger.clone();
        self.available = i64::from(self.shape.stock) - self.sold(|_| true);
    }

    /// Everything arrives and is decided; who holds a token asks until he knows. Of those whose
    /// grant was forgotten some never come back.
    fn quiet(&mut self) {
        loop {
            while !self.mail.is_empty() {
                self.deliver();
            }
            while self.streams.iter().any(|stream| !stream.queue.is_empty()) {
                self.show();
            }
            while !self.orders.is_empty() {
                self.decide();
            }
            while self.ledger.iter().any(|(claim, state)| self.gate.get(claim) != Some(state)) {
                self.settle();
            }
            let told = |claim: &Claim, world: &Self| world.finals.contains_key(claim);
            let waiting = self.tokens.keys().copied().filter(|claim| !told(claim, self));
            let waiting: Vec<_> = waiting.collect();
            let Some(claim) = pick(&mut self.rng, &waiting) else { break };
            if self.gate.contains_key(&claim) || self.rng.random() {
                let asked = self.tick();
                self.mail.push(Mail::Read { buyer: claim.0, claim, way: Way::Poll, asked });
            } else {
                self.tokens.remove(&claim);
            }
        }
    }

    /// The history, in nearly the order of its times, and the books.
    fn scene(mut self) -> Scene {
        let mut scene = Scene::new(self.shape.stock.into(), self.shape.limit.into());
        for pair in 1..self.events.len() {
            if self.rng.random_ratio(1, 4) && self.events[pair - 1].buyer != self.events[pair].buyer
            {
                self.events.swap(pair - 1, pair);
            }
        }
        let sold = self.sold(|_| true);
        let available = i64::from(self.shape.stock) - sold;
        assert_eq!(self.available, available, "the simulated gate agrees with its ledger");
        let rejected = self.ledger.values().filter(|state| !state.status.holds_units()).count();
        let mut tickets: Vec<_> = self.ledger.iter().collect();
        tickets.shuffle(&mut self.rng);
        let tickets = tickets.into_iter();
        scene.sale().tickets = tickets
            .map(|(claim, state)| Entry { buyer: name(claim.0), ticket: state.text(*claim) })
            .collect();
        let stock = self.shape.stock.into();
        scene.sale().ledger = Ledger { stock, available, sold, rejected: rejected as u64 };
        *scene.gate() = Gate { available, held: 0, sold, undecided: 0 };
        scene.sale().incarnation = Some(if self.shape.forgets { 2 } else { 1 });
        scene.books.gate_lost = Some(self.shape.forgets);
        scene.events = self.events;
        scene
    }
}

impl State {
    fn version(&self) -> u32 {
        if self.status.is_final() { 2 } else { 1 }
    }

    fn text(&self, claim: Claim) -> String {
        text(id(claim), self.units, self.status, self.version(), self.granted)
    }
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> Option<T> {
    if from.is_empty() { None } else { Some(from[rng.random_range(0..from.len())]) }
}

/// A claim's ticket.
pub(crate) fn id((buyer, request): Claim) -> TicketId {
    TicketId(std::array::from_fn(|n| if n % 2 == 0 { buyer } else { request + 100 }))
}

fn units((_, request): Claim) -> u8 {
    1 + request % 2
}

fn name(buyer: u8) -> String {
    format!("buyer-{buyer}")
}

fn request((_, request): Claim) -> String {
    format!("request-{request}")
}
