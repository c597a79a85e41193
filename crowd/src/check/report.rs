//! A verdict as a table for people.

use std::io::{self, Write};

use clap::ValueEnum as _;

use super::verdict::{Checked, Kind, Verdict, Violation};

impl Verdict {
    /// Prints how much was looked at, and each invariant with the examples of its violations.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        counts(&self.checked, out)?;
        writeln!(out, "\n{:<20}  {:<12}  PROMISE", "INVARIANT", "VERDICT")?;
        for kind in Kind::value_variants() {
            let verdict = match self.found.get(kind) {
                None => "held".to_owned(),
                Some(cases) => format!("VIOLATED {cases}"),
            };
            writeln!(out, "{kind:<20}  {verdict:<12}  {}", kind.promise())?;
            for example in self.violations.iter().filter(|example| example.kind == *kind) {
                writeln!(out, "    {}", words(example))?;
            }
        }
        let violated = self.found.len();
        let of = Kind::value_variants().len();
        match violated {
            0 => writeln!(out, "\nAll {of} invariants held."),
            _ => writeln!(out, "\n{violated} of {of} invariants were violated."),
        }
    }
}

fn counts(checked: &Checked, out: &mut impl Write) -> io::Result<()> {
    let rows = [
        ("events", checked.events),
        ("buyers", checked.buyers),
        ("claims", checked.claims),
        ("attempts at them", checked.attempts),
        ("  answered with a ticket", checked.granted),
        ("  refused", checked.refused),
        ("  result not known", checked.unsure),
        ("tickets shown", checked.tickets),
        ("  with a final result", checked.finals),
        ("  forgotten by a gate that lost writes, not asked for again", checked.forgotten),
        ("readings of them", checked.readings),
        ("looks into the ledger after \"yours\"", checked.looks),
        ("questions for foreign tickets", checked.foreign),
        ("sales in the books", checked.sales),
        ("tickets in the books", checked.booked),
        ("  of claims whose result was not known", checked.of_unsure),
        ("  of buyers outside the history", checked.of_others),
    ];
    let rows = rows.map(|(what, count)| (what.to_owned(), count)).into_iter();
    let rejected = checked.rejected.iter();
    let rejected = rejected.map(|(reason, count)| (format!("  rejected ({reason})"), *count));
    writeln!(out, "{:<60}  {:>10}", "CHECKED", "COUNT")?;
    for (what, count) in rows.chain(rejected) {
        writeln!(out, "{what:<60}  {count:>10}")?;
    }
    if checked.cut_off {
        writeln!(out, "The history breaks off in its last line; it was judged up to there.")?;
    }
    Ok(())
}

fn words(violation: &Violation) -> String {
    let Violation { says, buyer, ticket, event, .. } = violation;
    let place = [
        event.map(|event| format!("event {event}")),
        buyer.as_ref().map(|buyer| format!("buyer {buyer}")),
        ticket.map(|ticket| format!("ticket {ticket}")),
    ];
    let place: Vec<_> = place.into_iter().flatten().collect();
    if place.is_empty() { says.clone() } else { format!("{}: {says}", place.join(", ")) }
}
