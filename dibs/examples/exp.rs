use sqlx::{
    Arguments as _, Connection as _, Executor as _, MySqlConnection, mysql::MySqlArguments,
};
use std::fmt::Write as _;
use std::time::Instant;
fn hex(b: &[u8]) -> String {
    let mut s = String::from("x'");
    for x in b {
        write!(s, "{x:02x}").unwrap();
    }
    s.push('\'');
    s
}
fn cpu(pid: &str) -> f64 {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10000.0
}
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).unwrap();
    let db = format!("dibs_exp_{:08x}", rand::random::<u32>());
    let address =
        store::ledger::mysql::Address::parse(&format!("{url}/{db}?ssl-mode=DISABLED")).unwrap();
    store::ledger::mysql::migrate(&address, None).await?;
    let mut c = MySqlConnection::connect(&format!("{url}/{db}?ssl-mode=DISABLED")).await?;
    c.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    c.execute("INSERT INTO sales VALUES ('s','s','{}')").await?;
    c.execute("INSERT INTO rounds (sale,salt,stock,available,per_buyer,opens_at,closes_at,answer_within) VALUES ('s',REPEAT('x',32),2000000000,2000000000,1,0,9999999999999,300000)").await?;
    const N: usize = 500;
    const T: usize = 40;
    for _ in 0..4 {
        for mode in ["bound", "persistent", "text"] {
            let mut times = [0f64; 9];
            let whole = Instant::now();
            let pid = std::env::args().nth(2).unwrap();
            let (m0, c0) = (cpu(&pid), cpu("self"));
            for _ in 0..T {
                let orders: Vec<(Vec<u8>, String)> = (0..N)
                    .map(|_| {
                        let mut t = vec![0, 0, 0, 1, 0];
                        t.extend(rand::random::<[u8; 11]>());
                        (t, format!("{:016x}", rand::random::<u64>()))
                    })
                    .collect();
                let mut k = 0;
                macro_rules! go {
                    ($text:expr, $args:expr) => {{
                        let at = Instant::now();
                        if mode == "text" {
                            sqlx::raw_sql(&$text).fetch_all(&mut c).await?;
                        } else {
                            let args: MySqlArguments = $args;
                            sqlx::query_with(&$text, args)
                                .persistent(mode == "persistent")
                                .fetch_all(&mut c)
                                .await?;
                        }
                        times[k] += at.elapsed().as_secs_f64() * 1000.0 / T as f64;
                        k += 1;
                    }};
                }
                let text = mode == "text";
                let list = |vals: &[Vec<u8>]| -> (String, MySqlArguments) {
                    let mut a = MySqlArguments::default();
                    let s = vals
                        .iter()
                        .map(|v| {
                            if text {
                                hex(v)
                            } else {
                                a.add(v.clone()).unwrap();
                                "?".to_owned()
                            }
                        })
                        .collect::<Vec<_>>()
                        .join(", ");
                    (format!("({s})"), a)
                };
                let at = Instant::now();
                c.execute("START TRANSACTION").await?;
                c.execute("SELECT round, sale, available, per_buyer, answer_within FROM rounds WHERE round = 1 FOR UPDATE").await?;
                times[8] += at.elapsed().as_secs_f64() * 1000.0 / T as f64;
                let buyers: Vec<Vec<u8>> =
                    orders.iter().map(|o| o.1.clone().into_bytes()).collect();
                let tickets: Vec<Vec<u8>> = orders.iter().map(|o| o.0.clone()).collect();
                let (s, a) = list(&buyers);
                let q = format!("SELECT buyer, n FROM holdings WHERE round = 1 AND buyer IN {s}");
                go!(q, a);
                let (s, a) = list(&tickets);
                let q = format!(
                    "SELECT ticket, buyer, units, status, reason, version, granted_at, decided_at FROM orders WHERE ticket IN {s}"
                );
                go!(q, a);
                let mut a = MySqlArguments::default();
                let rows = orders
                    .iter()
                    .map(|(t, b)| {
                        if text {
                            format!(
                                "({},{},1,'confirmed',NULL,2,1764000000000,1764000000000)",
                                hex(t),
                                hex(b.as_bytes())
                            )
                        } else {
                            a.add(t.clone()).unwrap();
                            a.add(b.as_bytes().to_vec()).unwrap();
                            a.add(1u8).unwrap();
                            a.add("confirmed").unwrap();
                            a.add(None::<&str>).unwrap();
                            a.add(2u32).unwrap();
                            a.add(1764000000000i64).unwrap();
                            a.add(1764000000000i64).unwrap();
                            "(?,?,?,?,?,?,?,?)".to_owned()
                        }
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                let q = format!(
                    "INSERT INTO orders (ticket, buyer, units, status, reason, version, granted_at, decided_at) VALUES {rows}"
                );
                go!(q, a);
                let mut a = MySqlArguments::default();
                let rows = orders
                    .iter()
                    .map(|(t, b)| {
                        if text {
                            format!("(1,{},1,{})", hex(b.as_bytes()), hex(t))
                        } else {
                            a.add(1u32).unwrap();
                            a.add(b.as_bytes().to_vec()).unwrap();
                            a.add(1u8).unwrap();
                            a.add(t.clone()).unwrap();
                            "(?,?,?,?)".to_owned()
                        }
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                let q = format!("INSERT INTO holdings (round, buyer, n, ticket) VALUES {rows}");
                go!(q, a);
                let (s, a) = list(&tickets);
                let q = format!("DELETE FROM aside WHERE ticket IN {s}");
                go!(q, a);
                let at = Instant::now();
                c.execute("UPDATE rounds SET available = available - 500, rejected = rejected + 0 WHERE round = 1 AND available >= 500").await?;
                times[k] += at.elapsed().as_secs_f64() * 1000.0 / T as f64;
                k += 1;
                let at = Instant::now();
                c.execute("COMMIT").await?;
                times[k] += at.elapsed().as_secs_f64() * 1000.0 / T as f64;
            }
            let rate = (N * T) as f64 / whole.elapsed().as_secs_f64();
            let per = (N * T) as f64;
            let (m, cl) = ((cpu(&pid) - m0) / per, (cpu("self") - c0) / per);
            eprintln!(
                "{mode:12} {rate:6.0}/s  cpu an order: mysql {m:.1} us client {cl:.1} us   begin+lock {:.2} holdings {:.2} standing {:.2} orders {:.2} holdings {:.2} aside {:.2} take {:.2} commit {:.2} ms",
                times[8], times[0], times[1], times[2], times[3], times[4], times[5], times[6]
            );
        }
    }
    c.execute(&*format!("DROP DATABASE {db}")).await?;
    Ok(())
}
