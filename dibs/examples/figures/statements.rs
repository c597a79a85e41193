//! The statements of one transaction of verdicts, with everything in them known beforehand: what
//! `store::ledger` sends when it decides, without a decision.

use std::iter;

use sale::order::OrderV1;
use sqlx::mysql::MySqlArguments;
use sqlx::{Arguments as _, Encode, Executor as _, MySql, MySqlConnection, Type};

/// Rows in one statement, as the ledger divides them.
const ROWS_A_STATEMENT: usize = 256;

/// One transaction.
pub(crate) struct Prepared(Vec<Statement>);

struct Statement {
    text: String,
    arguments: MySqlArguments,
}

impl Prepared {
    /// All orders are of one round, and are confirmed. Their number is a multiple of the rows in
    /// a statement, so that every text is prepared once a connection.
    pub(crate) fn of(orders: &[OrderV1]) -> anyhow::Result<Self> {
        let round = orders[0].ticket.round().0;
        let count = u32::try_from(orders.len())?;
        let parts = || orders.chunks(ROWS_A_STATEMENT);
        let mut lock = Statement::new(
            "SELECT round, sale, available, per_buyer, answer_within, incarnation, sequence, loaded, \
             retired FROM rounds WHERE round = ? FOR UPDATE",
        );
        lock.bind(round)?;
        let mut take = Statement::new(
            "UPDATE rounds SET available = available - ?, rejected = rejected + ?, sequence = ? \
             WHERE round = ? AND available >= ?",
        );
        take.bind(count)?.bind(0_u32)?.bind(0_u64)?.bind(round)?.bind(count)?;
        let all = iter::once(Ok(lock))
            .chain(parts().map(|part| holdings(round, part)))
            .chain(parts().map(standing))
            .chain(parts().map(insert_orders))
            .chain(parts().map(insert_holdings))
            .chain(iter::once(Ok(take)))
            .chain(parts().map(aside));
        Ok(Self(all.collect::<anyhow::Result<_>>()?))
    }

    /// Sends them one after the other.
    pub(crate) async fn drive(self, connection: &mut MySqlConnection) -> anyhow::Result<()> {
        connection.execute("START TRANSACTION").await?;
        for Statement { text, arguments } in self.0 {
            sqlx::query_with(&text, arguments).fetch_all(&mut *connection).await?;
        }
        connection.execute("COMMIT").await?;
        Ok(())
    }
}

fn holdings(round: u32, orders: &[OrderV1]) -> anyhow::Result<Statement> {
    let mut select = Statement::new("SELECT buyer, n FROM holdings WHERE round = ? AND buyer IN ");
    select.bind(round)?;
    select.list(orders.iter().map(buyer))
}

fn standing(orders: &[OrderV1]) -> anyhow::Result<Statement> {
    let select = Statement::new(
        "SELECT ticket, buyer, units, status, reason, version, granted_at, decided_at \
         FROM orders WHERE ticket IN ",
    );
    select.list(orders.iter().map(ticket))
}

fn aside(orders: &[OrderV1]) -> anyhow::Result<Statement> {
    Statement::new("DELETE FROM aside WHERE ticket IN ").list(orders.iter().map(ticket))
}

fn insert_orders(orders: &[OrderV1]) -> anyhow::Result<Statement> {
    let mut insert = Statement::new(
        "INSERT INTO orders \
         (ticket, buyer, units, status, reason, version, granted_at, decided_at) VALUES ",
    );
    for (n, order) in orders.iter().enumerate() {
        insert.text.push_str(if n == 0 { "" } else { ", " });
        insert.text.push_str("(?, ?, ?, ?, ?, ?, ?, ?)");
        insert.bind(ticket(order))?.bind(buyer(order))?.bind(order.units.get())?;
        insert.bind("confirmed")?.bind(None::<&str>)?.bind(2_u32)?;
        insert.bind(order.granted_at.millis())?.bind(order.granted_at.millis())?;
    }
    Ok(insert)
}

fn insert_holdings(orders: &[OrderV1]) -> anyhow::Result<Statement> {
    let mut insert = Statement::new("INSERT INTO holdings (round, buyer, n, ticket) VALUES ");
    for (n, order) in orders.iter().enumerate() {
        insert.text.push_str(if n == 0 { "" } else { ", " });
        insert.text.push_str("(?, ?, ?, ?)");
        insert.bind(order.ticket.round().0)?.bind(buyer(order))?.bind(1_u8)?.bind(ticket(order))?;
    }
    Ok(insert)
}

fn ticket(order: &OrderV1) -> &[u8] {
    &order.ticket.0
}

fn buyer(order: &OrderV1) -> &[u8] {
    order.buyer.as_str().as_bytes()
}

impl Statement {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), arguments: MySqlArguments::default() }
    }

    fn bind<'q, T>(&mut self, value: T) -> anyhow::Result<&mut Self>
    where
        T: Encode<'q, MySql> + Type<MySql> + 'q,
    {
        self.arguments.add(value).map_err(|error| anyhow::anyhow!(error))?;
        Ok(self)
    }

    fn list<'q>(mut self, values: impl Iterator<Item = &'q [u8]>) -> anyhow::Result<Self> {
        let mut before = "(";
        for value in values {
            self.text.push_str(before);
            self.text.push('?');
            self.bind(value)?;
            before = ", ";
        }
        self.text.push(')');
        Ok(self)
    }
}
