//! `dibs parked …`

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::Subcommand;
use sale::id::TicketId;
use serde::Deserialize;
use serde_json::Value;
use ureq::http::Method;

use super::admin::Admin;
use super::table;

/// What can be done about orders that could not be processed.
#[derive(Debug, Clone, Subcommand)]
pub enum ParkedCommand {
    /// List them
    List,
    /// Try one again, from the start of its retries
    Resend {
        /// Its ticket
        #[arg(value_parser = |text: &str| TicketId::parse(text), allow_hyphen_values = true)]
        ticket: TicketId,
    },
    /// Reject one: its buyer hears that it could not be processed
    Reject {
        /// Its ticket
        #[arg(value_parser = |text: &str| TicketId::parse(text), allow_hyphen_values = true)]
        ticket: TicketId,
    },
}

/// Does what was asked, and prints the answer.
pub fn run(admin: &Admin, action: ParkedCommand, json: bool) -> anyhow::Result<()> {
    match action {
        ParkedCommand::List => list(admin, json),
        ParkedCommand::Resend { ticket } => {
            release(admin, ticket, "resend")?;
            Ok(writeln!(io::stdout(), "{ticket} is tried again")?)
        }
        ParkedCommand::Reject { ticket } => {
            release(admin, ticket, "reject")?;
            Ok(writeln!(io::stdout(), "{ticket} is to be rejected")?)
        }
    }
}

fn release(admin: &Admin, ticket: TicketId, how: &str) -> anyhow::Result<()> {
    let path = format!("/v1/admin/parked/{ticket}/{how}");
    admin.send(Method::POST, &path, None).with_context(|| format!("ticket {ticket}"))?;
    Ok(())
}

#[derive(Deserialize)]
struct Page {
    parked: Vec<Value>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct SetAside {
    ticket: String,
    buyer: String,
    units: u8,
    granted_at: String,
    attempts: u32,
    retry_at: Option<String>,
    error: String,
    reject: bool,
}

fn list(admin: &Admin, json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    let mut page: Page = serde_json::from_value(admin.get("/v1/admin/parked?limit=1000")?)?;
    loop {
        all.append(&mut page.parked);
        let Some(after) = page.next else { break };
        let path = format!("/v1/admin/parked?limit=1000&after={after}");
        page = serde_json::from_value(admin.get(&path)?)?;
    }
    let out = &mut io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?);
    }
    let heading = ["TICKET", "BUYER", "UNITS", "GRANTED_AT", "ATTEMPTS", "NEXT", "ERROR"];
    let rows = all.iter().map(columns).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(table::write(out, heading, &rows)?)
}

fn columns(row: &Value) -> anyhow::Result<[String; 7]> {
    let order = SetAside::deserialize(row).context("the server's answer is no order")?;
    let next = match (order.reject, order.retry_at) {
        (true, _) => "to be rejected".to_owned(),
        (false, Some(at)) => format!("tried again {at}"),
        (false, None) => "parked: resend or reject".to_owned(),
    };
    Ok([
        order.ticket,
        order.buyer,
        order.units.to_string(),
        order.granted_at,
        order.attempts.to_string(),
        next,
        order.error,
    ])
}
