//! A hand-made history with its books.

use std::io::Write as _;

use crowd::books::{Books, Entry, Gate, Ledger, Sale, State};
use crowd::check::{self, Kind, Verdict};
use crowd::history::{Did, Event, Way};
use sale::id::{SaleId, TicketId};
use sale::status::{Reason, Status};
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use sale::units::Units;

pub(crate) const SALE: &str = "shoes";
pub(crate) const OPENS_AT: i64 = 1_800_000_000_000;
pub(crate) const CLOSES_AT: i64 = OPENS_AT + 60_000;

pub(crate) const SOLD_OUT: Status = Status::Rejected(Reason::SoldOut);
pub(crate) const DEADLINE: Status = Status::Rejected(Reason::Deadline);

pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms).unwrap()
}

/// A ticket's id by a number.
pub(crate) fn id(n: u8) -> TicketId {
    TicketId([n; 16])
}

/// A ticket of one unit, granted a second after the opening.
pub(crate) fn ticket(n: u8, status: Status, version: u32) -> String {
    text(id(n), 1, status, version, OPENS_AT + 1_000)
}

pub(crate) fn text(id: TicketId, units: u8, status: Status, version: u32, granted: i64) -> String {
    let state = TicketState {
        units: Units::new(units.into()).unwrap(),
        status,
        version,
        granted_at: at(granted),
        decided_at: status.is_final().then(|| at(granted + 50)),
    };
    Ticket { id, sale: SaleId::new(SALE).unwrap(), state }.to_json()
}

/// A history and the books that belong to it. Each event happens 10 µs after the one before.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) events: Vec<Event>,
    pub(crate) books: Books,
    now: u64,
}

impl Scene {
    /// A sale of this stock and limit, and nobody there.
    pub(crate) fn new(stock: i64, limit: u64) -> Self {
        let sale = Sale {
            id: SALE.to_owned(),
            opens_at: at(OPENS_AT),
            closes_at: at(CLOSES_AT),
            limit,
            state: State::Live,
            incarnation: Some(1),
            gate: Some(Gate { available: stock, held: 0, sold: 0, undecided: 0 }),
            ledger: Ledger { stock, available: stock, sold: 0, rejected: 0 },
            tickets: Vec::new(),
        };
        let books = Books { sales: vec![sale], ..Books::default() };
        Self { events: Vec::new(), books, now: 0 }
    }

    /// A sale of ten in which `anna` got ticket 1 and saw so on two ways.
    pub(crate) fn of_anna() -> Self {
        let mut scene = Self::new(10, 2);
        let asked = scene.buys("anna", 0, "r0", 1);
        scene.saw("anna", Way::Socket, asked, ticket(1, Status::Confirmed, 2));
        let asked = scene.tick();
        scene.saw("anna", Way::Poll, asked, ticket(1, Status::Confirmed, 2));
        scene.booked("anna", 1, Status::Confirmed);
        scene
    }

    pub(crate) fn sale(&mut self) -> &mut Sale {
        &mut self.books.sales[0]
    }

    pub(crate) fn gate(&mut self) -> &mut Gate {
        self.sale().gate.as_mut().unwrap()
    }

    /// The next moment.
    pub(crate) fn tick(&mut self) -> u64 {
        self.now += 10;
        self.now
    }

    pub(crate) fn did(&mut self, buyer: &str, did: Did) -> u64 {
        let at = self.tick();
        self.events.push(Event { at, buyer: buyer.to_owned(), did });
        at
    }

    pub(crate) fn claims(&mut self, buyer: &str, intent: u32, request: &str) -> u64 {
        self.claims_units(buyer, intent, request, 1)
    }

    pub(crate) fn claims_units(
        &mut self,
        buyer: &str,
        intent: u32,
        request: &str,
        units: u32,
    ) -> u64 {
        let (sale, request) = (SALE.to_owned(), request.to_owned());
        self.did(buyer, Did::Claim { sale, intent, request, units })
    }

    pub(crate) fn granted(
        &mut self,
        buyer: &str,
        intent: u32,
        request: &str,
        asked: u64,
        ticket: String,
    ) -> u64 {
        let (sale, request) = (SALE.to_owned(), request.to_owned());
        self.did(buyer, Did::Granted { sale, intent, request, asked, ticket })
    }

    pub(crate) fn refused(&mut self, buyer: &str, intent: u32, request: &str) {
        let (sale, request) = (SALE.to_owned(), request.to_owned());
        let problem = "/problems/sold-out".to_owned();
        self.did(buyer, Did::Refused { sale, intent, request, problem });
    }

    pub(crate) fn unsure(&mut self, buyer: &str, intent: u32, request: &str) {
        let (sale, request) = (SALE.to_owned(), request.to_owned());
        let why = "no answer".to_owned();
        self.did(buyer, Did::Unsure { sale, intent, request, why });
    }

    /// A claim, and its ticket `n`, pending; when the claim was sent.
    pub(crate) fn buys(&mut self, buyer: &str, intent: u32, request: &str, n: u8) -> u64 {
        let asked = self.claims(buyer, intent, request);
        self.granted(buyer, intent, request, asked, ticket(n, Status::Pending, 1));
        asked
    }

    pub(crate) fn saw(&mut self, buyer: &str, way: Way, asked: u64, ticket: String) -> u64 {
        self.did(buyer, Did::Saw { way, asked, ticket })
    }

    /// The ledger has ticket `n`, and gate and ledger count it.
    pub(crate) fn booked(&mut self, buyer: &str, n: u8, status: Status) {
        let version = if status == Status::Pending { 1 } else { 2 };
        let ticket = ticket(n, status, version);
        self.sale().tickets.push(Entry { buyer: buyer.to_owned(), ticket });
        match status {
            Status::Pending => {
                self.gate().available -= 1;
                self.gate().held += 1;
            }
            Status::Confirmed => {
                self.gate().available -= 1;
                self.gate().sold += 1;
                self.sale().ledger.available -= 1;
                self.sale().ledger.sold += 1;
            }
            Status::Rejected(_) => self.sale().ledger.rejected += 1,
        }
    }

    /// The history as the file has it.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in &self.events {
            serde_json::to_writer(&mut lines, event).unwrap();
            lines.push(b'\n');
        }
        lines
    }

    pub(crate) fn judge(&self) -> Verdict {
        judge(&self.lines(), &self.books).unwrap()
    }

    /// The kinds that were violated.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.judge().found.into_keys().collect()
    }

    #[track_caller]
    pub(crate) fn is_violated(&self, kinds: &[Kind]) {
        let verdict = self.judge();
        let found: Vec<_> = verdict.found.keys().copied().collect();
        assert_eq!(found, kinds, "{:#?}", verdict.violations);
    }

    #[track_caller]
    pub(crate) fn holds(&self) {
        self.is_violated(&[]);
    }
}

/// Judges a file of these bytes.
pub(crate) fn judge(history: &[u8], books: &Books) -> anyhow::Result<Verdict> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(history).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check::judge(file.path(), books))
}
