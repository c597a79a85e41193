//! `dibs sale …`

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgGroup, Subcommand, ValueEnum};
use sale::id::SaleId;
use sale::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::Method;

use super::admin::Admin;
use super::table;

/// What can be done about sales.
#[derive(Debug, Clone, Subcommand)]
pub enum SaleCommand {
    /// Create a sale; the same again changes nothing
    Create {
        /// Its id: a-z, 0-9 and -, at most 64 characters
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
        /// What buyers read
        #[arg(long)]
        name: String,
        /// Units for all buyers
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        stock: u32,
        /// Units for one buyer
        #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
        limit: u8,
        /// When it opens: a time such as 2030-01-31T10:00:00Z, or +30s from the server's now
        #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
        opens_at: Moment,
        /// When it closes, written the same way; +1h is an hour from now
        #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
        closes_at: Moment,
    },
    /// List the sales with their counts: the 1000 newest, those that are not over first
    List,
    /// Show one sale
    Show {
        /// Its id
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
    },
    /// Add units to a sale, or take back units that nobody holds
    Restock {
        /// Its id
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
        /// How many; below zero they are taken back, as far as they are available
        #[arg(value_name = "N", allow_negative_numbers = true)]
        units: i32,
        /// Names this change: the same again changes nothing [default: a random one]
        #[arg(long)]
        key: Option<String>,
    },
    /// Give a sale another name; or, before it opens, another window
    #[command(group(ArgGroup::new("change").required(true).multiple(true)))]
    Amend {
        /// Its id
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
        /// What buyers read
        #[arg(long, group = "change", conflicts_with_all = ["opens_at", "closes_at"])]
        name: Option<String>,
        /// When it opens, as for create
        #[arg(long, group = "change", value_name = "TIME", value_parser = Moment::parse)]
        opens_at: Option<Moment>,
        /// When it closes, as for create
        #[arg(long, group = "change", value_name = "TIME", value_parser = Moment::parse)]
        closes_at: Option<Moment>,
    },
    /// Close a sale for good: no more claims; what is pending gets its result
    Close {
        /// Its id
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
    },
    /// List a sale's tickets with their buyers: who won
    Tickets {
        /// Its id
        #[arg(value_parser = |text: &str| SaleId::new(text))]
        id: SaleId,
        /// Only these
        #[arg(long)]
        status: Option<Status>,
        /// Print comma-separated values, for spreadsheets
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
}

/// Which tickets to list.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Status {
    /// Those who won.
    Confirmed,
    /// Those who did not.
    Rejected,
    /// Orders that were set aside and wait for a verdict.
    Pending,
}

/// A time, or a distance from the server's present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// So much later than now.
    In(Duration),
}

impl Moment {
    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix('+') {
            Some(distance) => humantime::parse_duration(distance)
                .map(Self::In)
                .map_err(|_| "must be + and a duration with its unit, such as +30s or +1h".into()),
            None => Timestamp::parse(text).map(Self::At).map_err(|error| error.to_string()),
        }
    }

    fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::In(distance) => now.plus(distance),
        }
    }
}

/// Does what was asked, and prints the answer.
pub fn run(admin: &Admin, action: SaleCommand, json: bool) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match action {
        SaleCommand::Create { id, name, stock, limit, opens_at, closes_at } => {
            let now = now(admin)?;
            let sale = json!({
                "id": id, "name": name, "stock": stock, "limit": limit,
                "opens_at": opens_at.resolve(now), "closes_at": closes_at.resolve(now),
            });
            let created = admin.send(Method::POST, "/v1/admin/sales", Some(&sale));
            show(out, created.with_context(|| about(&id))?, json)
        }
        SaleCommand::List => {
            let listed = admin.get(&format!("/v1/admin/sales?limit={PAGE}"))?;
            let sales = listed.get("sales").context("the server's answer has no sales")?;
            if json { pretty(out, sales) } else { tabulate(out, Vec::deserialize(sales)?) }
        }
        SaleCommand::Show { id } => {
            let found = admin.get(&path(&id));
            show(out, found.with_context(|| about(&id))?, json)
        }
        SaleCommand::Restock { id, units, key } => {
            let key = key.unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
            let change = json!({ "restock": units });
            let restocked = admin.change(&path(&id), Some(&key), &change).with_context(|| {
                format!("sale {id}; give --key {key} to try this very change again")
            });
            show(out, restocked?, json)
        }
        SaleCommand::Amend { id, name: Some(name), .. } => {
            let amended = admin.change(&path(&id), None, &json!({ "name": name }));
            show(out, amended.with_context(|| about(&id))?, json)
        }
        SaleCommand::Amend { id, name: None, opens_at, closes_at } => {
            let now = now(admin)?;
            let at = |moment: Option<Moment>| moment.map(|moment| moment.resolve(now));
            let window = json!({ "opens_at": at(opens_at), "closes_at": at(closes_at) });
            let amended = admin.change(&path(&id), None, &window);
            show(out, amended.with_context(|| about(&id))?, json)
        }
        SaleCommand::Close { id } => {
            let closed = admin.change(&path(&id), None, &json!({ "closed": true }));
            show(out, closed.with_context(|| about(&id))?, json)
        }
        SaleCommand::Tickets { id, status, csv: true } => {
            let mut sheet = csv::Writer::from_writer(out);
            record(&mut sheet, HEADING.map(str::to_lowercase))?;
            tickets(admin, &id, status, |row| record(&mut sheet, columns(row)?))?;
            Ok(sheet.flush()?)
        }
        SaleCommand::Tickets { id, status, csv: false } if json => {
            tickets(admin, &id, status, |row| Ok(writeln!(out, "{row}")?))
        }
        SaleCommand::Tickets { id, status, csv: false } => {
            let mut rows = Vec::new();
            tickets(admin, &id, status, |row| {
                rows.push(columns(row)?);
                Ok(())
            })?;
            Ok(table::write(out, HEADING, &rows)?)
        }
    }
}

/// A failed write stays an [`io::Error`], so that a reader who has left is known as one.
fn record<W: Write, T: AsRef<[u8]>>(
    sheet: &mut csv::Writer<W>,
    fields: impl IntoIterator<Item = T>,
) -> anyhow::Result<()> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own enum, not ours")]
    sheet.write_record(fields).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("a row cannot be written: {other:?}"),
    })
}

fn path(sale: &SaleId) -> String {
    format!("/v1/admin/sales/{sale}")
}

fn about(sale: &SaleId) -> String {
    format!("sale {sale}")
}

fn now(admin: &Admin) -> anyhow::Result<Timestamp> {
    let now = admin.get("/v1/now")?;
    let millis = now.get("now").and_then(Value::as_i64).context("the server tells no time")?;
    Ok(Timestamp::from_millis(millis)?)
}

#[derive(Deserialize)]
struct Sale {
    id: String,
    name: String,
    state: String,
    stock: u32,
    available: Option<i64>,
    held: Option<u64>,
    sold: u64,
    rejected: u64,
    limit: u8,
    opens_at: Timestamp,
    closes_at: Timestamp,
}

fn show(out: &mut impl Write, sale: Value, json: bool) -> anyhow::Result<()> {
    if json { pretty(out, &sale) } else { tabulate(out, vec![sale]) }
}

fn pretty(out: &mut impl Write, value: &Value) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(value)?)?)
}

fn tabulate(out: &mut impl Write, sales: Vec<Value>) -> anyhow::Result<()> {
    let heading = [
        "ID",
        "STATE",
        "STOCK",
        "AVAILABLE",
        "HELD",
        "SOLD",
        "REJECTED",
        "LIMIT",
        "OPENS",
        "CLOSES",
        "NAME",
    ];
    let count = |count: Option<String>| count.unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> = sales
        .into_iter()
        .map(|sale| {
            let sale = Sale::deserialize(sale).context("the server's answer is no sale")?;
            Ok([
                sale.id,
                sale.state,
                sale.stock.to_string(),
                count(sale.available.map(|units| units.to_string())),
                count(sale.held.map(|units| units.to_string())),
                sale.sold.to_string(),
                sale.rejected.to_string(),
                sale.limit.to_string(),
                sale.opens_at.to_string(),
                sale.closes_at.to_string(),
                sale.name,
            ])
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(table::write(out, heading, &rows)?)
}

const HEADING: [&str; 7] =
    ["TICKET", "BUYER", "UNITS", "STATUS", "REASON", "GRANTED_AT", "DECIDED_AT"];

/// Entries of one page: the most that the server gives.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tickets: Vec<Value>,
    next: Option<String>,
}

fn tickets(
    admin: &Admin,
    sale: &SaleId,
    status: Option<Status>,
    mut each: impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let status = match status {
        None => "",
        Some(Status::Confirmed) => "&status=confirmed",
        Some(Status::Rejected) => "&status=rejected",
        Some(Status::Pending) => "&status=pending",
    };
    let path = format!("/v1/admin/sales/{sale}/tickets?limit={PAGE}{status}");
    let first = admin.get(&path).with_context(|| about(sale))?;
    let mut page: Page = serde_json::from_value(first)?;
    loop {
        page.tickets.iter().try_for_each(&mut each)?;
        let Some(after) = page.next else { return Ok(()) };
        page = serde_json::from_value(admin.get(&format!("{path}&after={after}"))?)?;
    }
}

#[derive(Deserialize)]
struct Row {
    ticket: Ticket,
    buyer: String,
}

#[derive(Deserialize)]
struct Ticket {
    id: String,
    units: u8,
    status: String,
    reason: Option<String>,
    granted_at: String,
    decided_at: Option<String>,
}

fn columns(row: &Value) -> anyhow::Result<[String; 7]> {
    let Row { ticket, buyer } =
        Row::deserialize(row).context("the server's answer is no ticket")?;
    Ok([
        ticket.id,
        buyer,
        ticket.units.to_string(),
        ticket.status,
        ticket.reason.unwrap_or_default(),
        ticket.granted_at,
        ticket.decided_at.unwrap_or_default(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Left;

    impl Write for Left {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_of_the_csv_who_has_left_is_known_as_one() {
        let mut sheet = csv::WriterBuilder::new().buffer_capacity(1).from_writer(Left);
        let error = record(&mut sheet, ["more", "than", "the", "buffer"]).unwrap_err();
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_moment_is_a_time_with_its_zone_or_a_distance_from_now() {
        let now = Timestamp::parse("2030-01-31T10:00:00Z").unwrap();
        let at = |text: &str| Moment::parse(text).map(|moment| moment.resolve(now).to_string());
        assert_eq!(at("+90s").unwrap(), "2030-01-31T10:01:30.000Z");
        assert_eq!(at("2030-01-31T12:00:00+02:00").unwrap(), "2030-01-31T10:00:00.000Z");
        assert!(at("2030-01-31T10:00:00").unwrap_err().contains("zone"));
        assert!(at("+90").unwrap_err().contains("unit"));
        assert!(at("soon").is_err());
    }
}
