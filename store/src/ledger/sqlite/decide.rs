//! Verdicts: one transaction looks, decides in memory, and writes.

use std::collections::{BTreeSet, HashMap, hash_map};
use std::time::Duration;

use sale::decide::{Book, Deadline, Verdict};
use sale::id::{BuyerId, RoundId, SaleId, TicketId};
use sale::order::OrderV1;
use sale::status::{Move, Reason};
use sale::ticket::{Ticket, TicketState};
use sale::time::Timestamp;
use sale::units::Units;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::fault::{Fault, readable};
use super::{ROWS_A_STATEMENT, SqliteLedger, push_list, tickets};
use crate::gate::Settlement;
use crate::ledger::{DeadlineFrom, Decision};

impl SqliteLedger {
    pub(in crate::ledger) async fn decide(
        &self,
        orders: &[OrderV1],
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Fault> {
        let mut tx = self.write().await?;
        let holdings = holdings(&mut tx, orders).await?;
        let mut sitting = Sitting::open(&mut tx, orders, holdings, deadline, now).await?;
        let hear = |order| sitting.hear(order, None);
        let decisions = orders.iter().map(hear).collect::<Result<_, Fault>>()?;
        sitting.write(&mut tx, orders).await?;
        tx.commit().await?;
        Ok(decisions)
    }

    pub(in crate::ledger) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, Fault> {
        let mut tx = self.write().await?;
        let orders = std::slice::from_ref(order);
        let deadline = DeadlineFrom { reachable_since: now };
        let mut sitting = Sitting::open(&mut tx, orders, HashMap::new(), &deadline, now).await?;
        let decision = sitting.hear(order, Some(reason))?;
        sitting.write(&mut tx, orders).await?;
        tx.commit().await?;
        Ok(decision)
    }
}

type Holdings = HashMap<RoundId, HashMap<BuyerId, BTreeSet<u8>>>;

/// What one transaction knows and has decided so far.
struct Sitting<'a> {
    now: Timestamp,
    rounds: HashMap<RoundId, Round>,
    standing: HashMap<TicketId, Settlement>,
    decided: Vec<(&'a OrderV1, TicketState)>,
    taken: Vec<(&'a OrderV1, u8)>,
}

struct Round {
    sale: SaleId,
    book: Book,
    deadline: Deadline,
    confirmed: i64,
    rejected: i64,
}

impl<'a> Sitting<'a> {
    async fn open(
        tx: &mut Transaction<'_, Sqlite>,
        orders: &[OrderV1],
        mut holdings: Holdings,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let standing = tickets::standing(tx, orders.iter().map(|order| &order.ticket)).await?;
        let ids: BTreeSet<RoundId> = orders.iter().map(|order| order.ticket.round()).collect();
        let ids: Vec<RoundId> = ids.into_iter().collect();
        let mut rounds = HashMap::new();
        for part in ids.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::new(
                "SELECT round, sale, available, per_buyer, answer_within FROM rounds WHERE round IN ",
            );
            push_list(&mut query, part.iter().map(|round| round.0));
            let found: Vec<(u32, String, i64, u8, u64)> =
                query.build_query_as().persistent(false).fetch_all(&mut **tx).await?;
            for (round, sale, available, limit, answer_within) in found {
                let limit = readable("rounds", Units::new(limit.into()))?;
                let holdings = holdings.remove(&RoundId(round)).unwrap_or_default();
                let round_row = Round {
                    sale: readable("rounds", SaleId::new(&sale))?,
                    book: Book::new(available, limit, holdings),
                    deadline: deadline.of(Duration::from_millis(answer_within)),
                    confirmed: 0,
                    rejected: 0,
                };
                rounds.insert(RoundId(round), round_row);
            }
        }
        Ok(Self { now, rounds, standing, decided: Vec::new(), taken: Vec::new() })
    }

    /// Answers one order: by what stands, else by the reason given, else on its merits.
    fn hear(&mut self, order: &'a OrderV1, reject: Option<Reason>) -> Result<Decision, Fault> {
        let id = order.ticket;
        let round = self.rounds.get_mut(&id.round()).ok_or_else(|| {
            Fault::refused(format!("ticket {id}: there is no round {}", id.round()))
        })?;
        let stands = match self.standing.entry(id) {
            hash_map::Entry::Occupied(stands) => stands.into_mut(),
            hash_map::Entry::Vacant(free) => {
                let verdict = match reject {
                    Some(reason) => Verdict::Rejected(reason),
                    None => round.book.decide(order, &round.deadline, self.now),
                };
                let by = match verdict {
                    Verdict::Confirmed(ns) => {
                        round.confirmed += i64::from(order.units.get());
                        self.taken.extend(ns.into_iter().map(|n| (order, n)));
                        Move::Confirm
                    }
                    Verdict::Rejected(reason) => {
                        round.rejected += 1;
                        Move::Reject(reason)
                    }
                };
                let state = order.pending().after(by, self.now);
                let state = state.expect("the table allows every move from pending");
                self.decided.push((order, state));
                free.insert(Settlement { ticket: id, buyer: order.buyer.clone(), state })
            }
        };
        if stands.buyer != order.buyer {
            tracing::error!(ticket = %id, "an order names another buyer than the ticket that stands");
            return Ok(Decision::Foreign(id));
        }
        let ticket = Ticket { id, sale: round.sale.clone(), state: stands.state };
        Ok(Decision::Stands { buyer: stands.buyer.clone(), ticket })
    }

    /// Writes what was decided. Every order stands now, so none of them is set aside any more.
    async fn write(
        self,
        tx: &mut Transaction<'_, Sqlite>,
        orders: &[OrderV1],
    ) -> Result<(), Fault> {
        insert_orders(tx, &self.decided).await?;
        insert_holdings(tx, &self.taken).await?;
        for (id, round) in self.rounds {
            take(tx, id, &round).await?;
        }
        for part in orders.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::new("DELETE FROM aside WHERE ticket IN ");
            push_list(&mut query, part.iter().map(|order| &order.ticket.0[..]));
            query.build().persistent(false).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

async fn holdings(tx: &mut Transaction<'_, Sqlite>, orders: &[OrderV1]) -> Result<Holdings, Fault> {
    let mut holdings = Holdings::new();
    for part in orders.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("WITH asked (round, buyer) AS (");
        query.push_values(part, |mut row, order| {
            row.push_bind(order.ticket.round().0).push_bind(order.buyer.as_str());
        });
        query.push(
            ") SELECT h.round, h.buyer, h.n FROM asked CROSS JOIN holdings h \
             ON h.round = asked.round AND h.buyer = asked.buyer",
        );
        let found: Vec<(u32, String, u8)> =
            query.build_query_as().persistent(false).fetch_all(&mut **tx).await?;
        for (round, buyer, n) in found {
            let buyer = readable("holdings", BuyerId::new(&buyer))?;
            let round = holdings.entry(RoundId(round)).or_default();
            round.entry(buyer).or_default().insert(n);
        }
    }
    Ok(holdings)
}

async fn insert_orders(
    tx: &mut Transaction<'_, Sqlite>,
    decided: &[(&OrderV1, TicketState)],
) -> Result<(), Fault> {
    for part in decided.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(
            "INSERT INTO orders \
             (ticket, buyer, units, status, reason, version, granted_at, decided_at) ",
        );
        query.push_values(part, |mut row, (order, state)| {
            row.push_bind(&order.ticket.0[..])
                .push_bind(order.buyer.as_str())
                .push_bind(state.units.get())
                .push_bind(state.status.name())
                .push_bind(state.status.reason().map(Reason::name))
                .push_bind(state.version)
                .push_bind(state.granted_at.millis())
                .push_bind(state.decided_at.map(Timestamp::millis));
        });
        query.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn insert_holdings(
    tx: &mut Transaction<'_, Sqlite>,
    taken: &[(&OrderV1, u8)],
) -> Result<(), Fault> {
    for part in taken.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("INSERT INTO holdings (round, buyer, n, ticket) ");
        query.push_values(part, |mut row, (order, n)| {
            row.push_bind(order.ticket.round().0)
                .push_bind(order.buyer.as_str())
                .push_bind(*n)
                .push_bind(&order.ticket.0[..]);
        });
        query.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn take(tx: &mut Transaction<'_, Sqlite>, id: RoundId, round: &Round) -> Result<(), Fault> {
    if (round.confirmed, round.rejected) == (0, 0) {
        return Ok(());
    }
    let taken = sqlx::query(
        "UPDATE rounds SET available = available - ?1, rejected = rejected + ?2 \
         WHERE round = ?3 AND available >= ?1",
    )
    .bind(round.confirmed)
    .bind(round.rejected)
    .bind(id.0)
    .execute(&mut **tx)
    .await?;
    if taken.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Fault::refused(format!("round {id} has no {} units left", round.confirmed)))
    }
}
