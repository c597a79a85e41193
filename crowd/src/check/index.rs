//! The books, made ready to be looked up.

use std::collections::HashMap;

use anyhow::Context as _;
use sale::id::TicketId;

use super::shown::Shown;
use crate::books::{Books, Sale};

/// The books by sale and by ticket.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) books: &'a Books,
    sales: HashMap<&'a str, &'a Sale>,
    entries: Vec<Booked<'a>>,
    /// The first entry of each ticket.
    places: HashMap<TicketId, usize>,
}

/// A ticket in the books.
#[derive(Debug)]
pub(super) struct Booked<'a> {
    pub(super) sale: &'a Sale,
    pub(super) buyer: &'a str,
    pub(super) text: &'a str,
    pub(super) shown: Shown<'a>,
}

impl<'a> Index<'a> {
    pub(super) fn new(books: &'a Books) -> anyhow::Result<Self> {
        let sales = books.sales.iter().map(|sale| (sale.id.as_str(), sale)).collect();
        let mut index = Self { books, sales, entries: Vec::new(), places: HashMap::new() };
        for sale in &books.sales {
            for entry in &sale.tickets {
                let shown = Shown::parse(&entry.ticket).map_err(anyhow::Error::msg);
                let shown =
                    shown.with_context(|| format!("sale {} has a ticket that is none", sale.id))?;
                let (buyer, text) = (entry.buyer.as_str(), entry.ticket.as_str());
                index.places.entry(shown.id).or_insert(index.entries.len());
                index.entries.push(Booked { sale, buyer, text, shown });
            }
        }
        Ok(index)
    }

    /// A sale; a history of a sale that the books lack cannot be judged.
    pub(super) fn sale(&self, id: &str) -> anyhow::Result<&'a Sale> {
        self.sales.get(id).copied().with_context(|| format!("the books have no sale {id}"))
    }

    pub(super) fn find(&self, ticket: TicketId) -> Option<&Booked<'a>> {
        self.places.get(&ticket).map(|place| &self.entries[*place])
    }

    /// Every entry, also a second one of the same ticket.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Booked<'a>> {
        self.entries.iter()
    }

    /// Entries whose ticket has another one before them.
    pub(super) fn repeated(&self) -> impl Iterator<Item = &Booked<'a>> {
        let numbered = self.entries.iter().enumerate();
        let again = numbered.filter(|(place, entry)| self.places[&entry.shown.id] != *place);
        again.map(|(_, entry)| entry)
    }
}
