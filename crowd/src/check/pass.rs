//! The one pass over a history: each event goes to the subjects that it concerns.

use std::collections::HashSet;
use std::sync::Arc;

use sale::id::TicketId;
use sale::status::Status;

use super::claims::{Claims, Key};
use super::commit::Looks;
use super::index::Index;
use super::shown::{Reading, Shown};
use super::told::Tickets;
use super::verdict::{Checked, Findings, Kind, Verdict, Violation};
use super::versions::Streams;
use super::{agreement, answers, bytes, claims, deadline, finals, owners, units, versions, window};
use crate::books::Books;
use crate::history::{Did, Event, Way};

/// What is known so far.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    index: Index<'a>,
    buyers: HashSet<Arc<str>>,
    claims: Claims<'a>,
    tickets: Tickets<'a>,
    streams: Streams,
    looks: Looks,
    findings: Findings,
    checked: Checked,
}

/// One event's number, time and buyer.
struct Who {
    event: u64,
    at: u64,
    buyer: Arc<str>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(books: &'a Books) -> anyhow::Result<Self> {
        let index = Index::new(books)?;
        let checked = Checked {
            sales: books.sales.len() as u64,
            booked: index.entries().count() as u64,
            ..Checked::default()
        };
        Ok(Self {
            index,
            buyers: HashSet::new(),
            claims: Claims::default(),
            tickets: Tickets::default(),
            streams: Streams::default(),
            looks: Looks::default(),
            findings: Findings::default(),
            checked,
        })
    }

    /// Takes the next event in. An error is a fault of the history, not of the server.
    pub(super) fn take(&mut self, line: u64, event: Event) -> anyhow::Result<()> {
        self.checked.events += 1;
        let who = Who { event: line, at: event.at, buyer: self.buyer(&event.buyer) };
        match event.did {
            Did::Claim { sale, intent, request, units } => {
                self.checked.attempts += 1;
                let key = self.key(&who, &sale, request)?;
                self.claims.sent(key, intent, units, who.at);
            }
            Did::Granted { sale, intent, request, asked, ticket } => {
                self.checked.granted += 1;
                let key = self.key(&who, &sale, request)?;
                self.shown(&who, None, asked, &ticket, Some((key, intent)))?;
            }
            Did::Refused { sale, request, problem, .. } => {
                self.checked.refused += 1;
                self.claims.refused(self.key(&who, &sale, request)?, &problem);
            }
            Did::Unsure { .. } => self.checked.unsure += 1,
            Did::Unanswered { sale, request, .. } => {
                let key = self.key(&who, &sale, request)?;
                self.claims.unanswered(key, who.event);
            }
            Did::Saw { way, asked, ticket } => {
                self.shown(&who, Some(way), asked, &ticket, None)?;
            }
            Did::NotFound { id, way } => {
                self.accuse(&who, Kind::NotFound, &id, format!("his token, by {way:?}"));
            }
            Did::Foreign { id, way, shown } => {
                self.checked.foreign += 1;
                if let Some(shown) = shown {
                    let says = format!("asked for a foreign ticket by {way:?}, was shown {shown}");
                    self.accuse(&who, Kind::ForeignAnswer, &id, says);
                }
            }
            Did::Looked { id, asked, found } => self.looked(&who, &id, asked, found.as_deref())?,
            Did::GaveUp { id } => {
                self.accuse(
                    &who,
                    Kind::NoAnswer,
                    &id,
                    "no final result within his patience".into(),
                );
            }
        }
        Ok(())
    }

    /// Judges what only the whole of it can tell.
    pub(super) fn end(mut self, cut_off: bool) -> Verdict {
        let (index, findings) = (&self.index, &mut self.findings);
        for told in self.tickets.all() {
            versions::judge(told, findings);
            bytes::judge_books(told, index, findings);
            finals::judge_two(told, findings);
            finals::judge_changed(told, index, findings);
            self.looks.judge(told, index, findings);
            let fate = answers::judge(told, index, findings);
            self.checked.tickets += 1;
            self.checked.finals += u64::from(told.finals().next().is_some());
            self.checked.forgotten += u64::from(fate == answers::Fate::Forgotten);
        }
        for booked in index.entries() {
            window::judge(&booked.shown, booked.sale, booked.buyer, None, findings);
            deadline::judge(&booked.shown, index, booked.buyer, None, findings);
            answers::judge_booked(booked, findings);
            if let Status::Rejected(reason) = booked.shown.status {
                *self.checked.rejected.entry(reason.name().to_owned()).or_default() += 1;
            }
        }
        claims::judge_repeated(index, findings);
        self.claims.judge_retries(index, findings);
        self.claims.judge_unanswered(findings);
        // Claims after the break are not known, nor whose their tickets are.
        if !cut_off {
            let unnamed = self.claims.judge_unnamed(index, &self.buyers, findings);
            self.checked.of_unsure = unnamed.of_unsure;
            self.checked.of_others = unnamed.of_others;
        }
        units::judge(&self.tickets, index, findings);
        units::judge_rejections(&self.tickets, index, findings);
        agreement::judge(index, findings);
        self.checked.buyers = self.buyers.len() as u64;
        self.checked.claims = self.claims.count() as u64;
        self.checked.cut_off = cut_off;
        self.findings.verdict(self.checked)
    }

    /// A ticket was shown; with a claim, in answer to it.
    fn shown(
        &mut self,
        who: &Who,
        way: Option<Way>,
        asked: u64,
        text: &str,
        claim: Option<(Key<'a>, u32)>,
    ) -> anyhow::Result<()> {
        self.checked.readings += 1;
        let Who { event, at, buyer } = who;
        let shown = match Shown::parse(text) {
            Ok(shown) => shown,
            Err(why) => {
                self.findings.add(Violation {
                    kind: Kind::OtherBytes,
                    says: format!("{text} is no ticket: {why}"),
                    buyer: Some(buyer.to_string()),
                    ticket: None,
                    event: Some(*event),
                });
                return Ok(());
            }
        };
        let sale = self.index.sale(&shown.sale)?;
        let reading = Reading { event: *event, at: *at, asked, way, buyer, text, shown: &shown };
        let may_have_lost = self.index.books.may_have_lost(sale);
        let findings = &mut self.findings;
        let told = self.tickets.take(reading, sale);
        bytes::judge(reading, told, may_have_lost, findings);
        owners::judge(reading, told, &self.index, findings);
        window::judge(&shown, sale, buyer, Some(*event), findings);
        deadline::judge(&shown, &self.index, buyer, Some(*event), findings);
        self.streams.take(reading, findings);
        if let Some((key, intent)) = claim {
            self.claims.granted(key, intent, reading, findings);
        }
        Ok(())
    }

    fn looked(
        &mut self,
        who: &Who,
        id: &str,
        asked: u64,
        found: Option<&str>,
    ) -> anyhow::Result<()> {
        self.checked.looks += 1;
        let id = TicketId::parse(id)?;
        let found = found.map(Shown::parse).transpose().map_err(anyhow::Error::msg)?;
        self.looks.take(id, asked, found.map(|found| found.status), who.event);
        Ok(())
    }

    fn accuse(&mut self, who: &Who, kind: Kind, id: &str, says: String) {
        let (buyer, event) = (Some(who.buyer.to_string()), Some(who.event));
        let ticket = TicketId::parse(id).ok();
        self.findings.add(Violation { kind, says, buyer, ticket, event });
    }

    fn key(&self, who: &Who, sale: &str, request: String) -> anyhow::Result<Key<'a>> {
        Ok(Key { buyer: who.buyer.clone(), sale: &self.index.sale(sale)?.id, request })
    }

    /// Buyers are many, and each is named often: his name is kept once.
    fn buyer(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.buyers.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        self.buyers.insert(new.clone());
        new
    }
}
