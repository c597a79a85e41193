//! The statements of one transaction of verdicts, with everything in them known beforehand: what
//! `store::ledger` sends when it decides, without a decision.

use sale::order::OrderV1;
use sqlx::mysql::MySqlArguments;
use sqlx::{Arguments as _, Encode, Executor as _, MySql, MySqlConnection, Type};

/// One transaction.
pub(crate) struct Prepared(Vec<Statement>);

struct Statement {
    text: String,
    arguments: MySqlArguments,
    /// Prepared once a connection; the texts of the others are as long as their lists.
    persistent: bool,
}

impl Prepared {
    /// All orders are of one round, and are confirmed.
    pub(crate) fn of(orders: &[OrderV1]) -> anyhow::Result<Self> {
        let round = orders[0].ticket.round().0;
        let count = u32::try_from(orders.len())?;
        let mut lock = Statement::new(
            "SELECT round, sale, available, per_buyer, answer_within FROM rounds \
             WHERE round = ? FOR UPDATE",
        );
        lock.bind(round)?.persistent = true;
        let mut holdings =
            Statement::new("SELECT buyer, n FROM holdings WHERE round = ? AND buyer IN ");
        holdings.bind(round)?.list(orders.iter().map(buyer))?;
        let mut standing = Statement::new(
            "SELECT ticket, buyer, units, status, reason, version, granted_at, decided_at \
             FROM orders WHERE ticket IN ",
        );
        standing.list(orders.iter().map(ticket))?;
        let mut take = Statement::new(
            "UPDATE rounds SET available = available - ?, rejected = rejected + ? \
             WHERE round = ? AND available >= ?",
        );
        take.bind(count)?.bind(0_u32)?.bind(round)?.bind(count)?.persistent = true;
        let mut aside = Statement::new("DELETE FROM aside WHERE ticket IN ");
        aside.list(orders.iter().map(ticket))?;
        let inserts = [insert_orders(orders)?, insert_holdings(orders)?];
        let [insert_orders, insert_holdings] = inserts;
        Ok(Self(vec![lock, holdings, standing, insert_orders, insert_holdings, take, aside]))
    }

    /// Sends them one after the other.
    pub(crate) async fn drive(self, connection: &mut MySqlConnection) -> anyhow::Result<()> {
        connection.execute("START TRANSACTION").await?;
        for Statement { text, arguments, persistent } in self.0 {
            let query = sqlx::query_with(&text, arguments).persistent(persistent);
            query.fetch_all(&mut *connection).await?;
        }
        connection.execute("COMMIT").await?;
        Ok(())
    }
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
        Self { text: text.to_owned(), arguments: MySqlArguments::default(), persistent: false }
    }

    fn bind<'q, T>(&mut self, value: T) -> anyhow::Result<&mut Self>
    where
        T: Encode<'q, MySql> + Type<MySql> + 'q,
    {
        self.arguments.add(value).map_err(|error| anyhow::anyhow!(error))?;
        Ok(self)
    }

    fn list<'q>(&mut self, values: impl Iterator<Item = &'q [u8]>) -> anyhow::Result<()> {
        let mut before = "(";
        for value in values {
            self.text.push_str(before);
            self.text.push('?');
            self.bind(value)?;
            before = ", ";
        }
        self.text.push(')');
        Ok(())
    }
}
