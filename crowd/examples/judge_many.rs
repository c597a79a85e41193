//! Shows that judging a history takes time in proportion to its length: writes histories of 10,000,
//! 100,000 and 1,000,000 events, and times each.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

use std::io::{BufWriter, Write as _};
use std::time::Instant;

use crowd::books::{Books, Entry, Gate, Ledger, Sale, State};
use crowd::check;
use crowd::history::{Did, Event, Way};
use sale::id::{SaleId, TicketId};
use sale::status::Status;
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use sale::units::Units;

const SALE: &str = "shoes";
const OPENS_AT: i64 = 1_800_000_000_000;

/// What one buyer does: each of it is an event.
const EVENTS_A_BUYER: u64 = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("history.jsonl");
    for events in [10_000, 100_000, 1_000_000] {
        let buyers = events / EVENTS_A_BUYER;
        let mut file = BufWriter::new(std::fs::File::create(&path)?);
        for buyer in 0..buyers {
            for event in purchase(buyer)? {
                serde_json::to_writer(&mut file, &event)?;
                file.write_all(b"\n")?;
            }
        }
        file.flush()?;
        let size = file.get_ref().metadata()?.len();
        let books = books(buyers)?;
        let begun = Instant::now();
        let verdict = check::judge(&path, &books).await?;
        let took = begun.elapsed();
        anyhow::ensure!(verdict.holds(), "accused: {:?}", verdict.violations);
        let events = verdict.checked.events;
        println!(
            "{events:>9} events, {:>4} MiB: {took:>8.2?}, {:.2} µs an event",
            size >> 20,
            took.as_secs_f64() * 1e6 / f64::from(u32::try_from(events)?)
        );
    }
    Ok(())
}

/// A claim that is sent twice, and its result on three ways, with a look into the ledger.
fn purchase(buyer: u64) -> anyhow::Result<[Event; EVENTS_A_BUYER as usize]> {
    let (pending, confirmed) = (ticket(buyer, Status::Pending)?, ticket(buyer, Status::Confirmed)?);
    let (sale, request, intent) = (SALE.to_owned(), format!("request-{buyer}"), 0);
    let claim = Did::Claim { sale: sale.clone(), intent, request: request.clone(), units: 1 };
    let from = buyer * 1_000;
    let asked = from + 100;
    let granted = Did::Granted { sale, intent, request, asked, ticket: pending.clone() };
    let saw = |way, ticket: &str, asked| Did::Saw { way, asked, ticket: ticket.to_owned() };
    let id = id(buyer).to_string();
    let events = [
        claim.clone(),
        claim,
        granted.clone(),
        granted,
        saw(Way::Socket, &pending, asked),
        saw(Way::Socket, &confirmed, asked),
        saw(Way::Poll, &confirmed, from + 650),
        Did::Looked { id, asked: from + 750, found: Some(confirmed) },
    ];
    let mut at = from;
    Ok(events.map(|did| {
        at += 100;
        Event { at, buyer: format!("buyer-{buyer}"), did }
    }))
}

fn books(buyers: u64) -> anyhow::Result<Books> {
    let units = i64::try_from(buyers)?;
    let entry = |buyer| {
        let ticket = ticket(buyer, Status::Confirmed)?;
        anyhow::Ok(Entry { buyer: format!("buyer-{buyer}"), ticket })
    };
    let sale = Sale {
        id: SALE.to_owned(),
        opens_at: Timestamp::from_millis(OPENS_AT)?,
        closes_at: Timestamp::from_millis(OPENS_AT + 60_000)?,
        limit: 1,
        state: State::Live,
        incarnation: Some(1),
        gate: Some(Gate { available: 0, held: 0, sold: units, undecided: 0 }),
        ledger: Ledger { stock: units, available: 0, sold: units, rejected: 0 },
        tickets: (0..buyers).map(entry).collect::<anyhow::Result<_>>()?,
    };
    Ok(Books { sales: vec![sale], ..Books::default() })
}

fn ticket(buyer: u64, status: Status) -> anyhow::Result<String> {
    let granted_at = Timestamp::from_millis(OPENS_AT + 1_000)?;
    let is_final = status.is_final();
    let state = TicketState {
        units: Units::ONE,
        status,
        version: if is_final { 2 } else { 1 },
        granted_at,
        decided_at: is_final.then_some(granted_at),
    };
    Ok(Ticket { id: id(buyer), sale: SaleId::new(SALE)?, state }.to_json())
}

fn id(buyer: u64) -> TicketId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&buyer.to_be_bytes());
    TicketId(bytes)
}
