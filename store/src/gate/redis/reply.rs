//! What the scripts answer: names and values.

use std::num::NonZero;
use std::sync::Arc;

use redis::{FromRedisValue, Value};
use sale::grant::{Answer, Claim};
use sale::id::{BatchId, InstallId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::ticket::TicketState;
use sale::time::Timestamp;

use super::record::{ENTRY, ticket, tickets};
use crate::gate::seen::Position;
use crate::gate::{Figures, Grants};

/// Something in Redis, or an answer of it, is not what the scripts write: this is its name.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a {0} in Redis is not one that Dibs wrote")]
pub(super) struct Unreadable(pub(super) &'static str);

/// Values by name.
#[derive(Debug)]
pub(super) struct Fields(Vec<(Vec<u8>, Value)>);

/// Why a script changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotWarm,
    OtherInstall,
    /// It has lost writes.
    Recovering,
    /// The records are divided into so many parts.
    Parts(NonZero<u16>),
}

impl Fields {
    /// Reads name, value, name, value.
    pub(super) fn read(reply: Value) -> Result<Self, Unreadable> {
        let Value::Array(items) = reply else { return Err(Unreadable("reply")) };
        let mut items = items.into_iter();
        let mut fields = Vec::with_capacity(items.len() / 2);
        while let Some(name) = items.next() {
            let name = Vec::from_redis_value(name).map_err(|_| Unreadable("name"))?;
            fields.push((name, items.next().ok_or(Unreadable("reply"))?));
        }
        Ok(Self(fields))
    }

    /// Takes the value of this name out.
    pub(super) fn take<T: FromRedisValue>(&mut self, name: &'static str) -> Result<T, Unreadable> {
        self.find(name).and_then(|value| T::from_redis_value(value).ok()).ok_or(Unreadable(name))
    }

    /// Looks at the time of this name.
    pub(super) fn time(&self, name: &'static str) -> Result<Timestamp, Unreadable> {
        let ms = self.look(name)?.ok_or(Unreadable(name))?;
        Timestamp::from_millis(ms).map_err(|_| Unreadable(name))
    }

    /// Looks at how the round stands that answered, and whether it is frozen; `None` where there
    /// is none.
    pub(super) fn stands(&self) -> Result<Option<(Position, bool)>, Unreadable> {
        let Some(sequence) = self.look("sequence")? else { return Ok(None) };
        let incarnation = self.look("incarnation")?.ok_or(Unreadable("incarnation"))?;
        let frozen = self.look::<Option<u8>>("frozen")?.flatten().is_some();
        Ok(Some((Position { incarnation, sequence }, frozen)))
    }

    /// The round was frozen since then.
    pub(super) fn freeze(&mut self) {
        self.find("frozen");
        self.0.push((b"frozen".to_vec(), Value::Int(1)));
    }

    /// Whether the script refused the call.
    pub(super) fn refusal(&mut self) -> Result<Option<Refusal>, Unreadable> {
        let Some(value) = self.find("refused") else { return Ok(None) };
        let word = String::from_redis_value(value).map_err(|_| Unreadable("refusal"))?;
        let refusal = match word.split_once(' ') {
            None if word == "not_warm" => Refusal::NotWarm,
            None if word == "other_install" => Refusal::OtherInstall,
            None if word == "recovering" => Refusal::Recovering,
            Some(("parts", n)) => {
                let parts = n.parse::<NonZero<u16>>().map_err(|_| Unreadable("number of parts"))?;
                Refusal::Parts(parts)
            }
            None | Some(_) => return Err(Unreadable("refusal")),
        };
        Ok(Some(refusal))
    }

    fn look<T: FromRedisValue>(&self, name: &'static str) -> Result<Option<T>, Unreadable> {
        let found = self.0.iter().find(|(each, _)| each == name.as_bytes());
        let value = found.map(|(_, value)| T::from_redis_value_ref(value)).transpose();
        value.map_err(|_| Unreadable(name))
    }

    fn find(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(each, _)| each == name.as_bytes())?;
        Some(self.0.swap_remove(at).1)
    }
}

/// What grant.lua answered, and the batch that it put into the outbox.
pub(super) fn granted(
    install: InstallId,
    id: BatchId,
    claims: &[Claim],
    mut reply: Fields,
) -> Result<Grants, Unreadable> {
    let now = reply.time("now")?;
    let texts = reply.take::<Vec<Vec<u8>>>("answers")?;
    let answers = claims.iter().zip(&texts).map(|(claim, text)| answer(claim, text, now));
    let answers = answers.collect::<Result<Vec<_>, _>>()?;
    if answers.len() != claims.len() {
        return Err(Unreadable("list of answers"));
    }
    let granted = |answer: &Answer| matches!(answer, Answer::Granted(_));
    if !answers.iter().any(granted) {
        return Ok(Grants { answers, batch: None, now });
    }
    let (Position { incarnation, sequence }, _) = reply.stands()?.ok_or(Unreadable("sequence"))?;
    let winners = claims.iter().zip(&answers).filter(|(_, answer)| granted(answer));
    let orders = winners.map(|(claim, _)| OrderV1 {
        ticket: claim.ticket,
        buyer: claim.buyer.clone(),
        units: claim.units,
        granted_at: now,
        incarnation,
    });
    let batch = Batch::new(install, id, sequence, orders.collect())
        .expect("all claims of a call belong to one slot");
    Ok(Grants { answers, batch: Some(Arc::new(batch)), now })
}

/// What figures.lua answered.
pub(super) fn figures(mut reply: Fields) -> Result<Figures, Unreadable> {
    let terms = reply.take::<Vec<u8>>("terms")?;
    let (Position { incarnation, sequence }, frozen) =
        reply.stands()?.ok_or(Unreadable("sequence"))?;
    let oldest = reply.take::<Option<i64>>("oldest")?.map(Timestamp::from_millis);
    Ok(Figures {
        terms: serde_json::from_slice(&terms).map_err(|_| Unreadable("terms"))?,
        available: reply.take("available")?,
        held: reply.take("held")?,
        sold: reply.take("sold")?,
        undecided: reply.take("orders")?,
        undecided_units: reply.take("units")?,
        oldest: oldest.transpose().map_err(|_| Unreadable("oldest"))?,
        incarnation,
        sequence,
        frozen,
    })
}

/// What grant.lua answers to one claim.
fn answer(claim: &Claim, text: &[u8], now: Timestamp) -> Result<Answer, Unreadable> {
    let (word, rest) = match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    Ok(match word {
        b"granted" => Answer::Granted(TicketState::pending(claim.units, now)),
        b"standing" => Answer::Standing(state(rest)?),
        b"units_differ" => Answer::UnitsDiffer(state(rest)?),
        b"upcoming" => Answer::NotOpen,
        b"closed" => Answer::Closed,
        b"limit_reached" => Answer::LimitReached(live(rest)?),
        b"sold_out" => Answer::SoldOut,
        b"too_few_left" => Answer::TooFewLeft(number(rest)?),
        b"outbox_full" => Answer::OutboxFull,
        _ => return Err(Unreadable("answer")),
    })
}

fn state(entry: &[u8]) -> Result<TicketState, Unreadable> {
    let entry: &[u8; ENTRY] = entry.try_into().map_err(|_| Unreadable("entry"))?;
    ticket(entry).map(|(_, state)| state)
}

fn live(record: &[u8]) -> Result<Vec<(TicketId, TicketState)>, Unreadable> {
    let tickets = tickets(record)?;
    Ok(tickets.into_iter().filter(|(_, state)| state.status.holds_units()).collect())
}

fn number(text: &[u8]) -> Result<u32, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable("number"))?;
    text.parse().map_err(|_| Unreadable("number"))
}
