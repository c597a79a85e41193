#[path = "../tests/support/mod.rs"]
mod support;
use support::*;
fn rss() -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines().find(|l| l.starts_with("VmRSS")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}
#[tokio::main]
async fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let house = House::open(push::Settings::default()).await;
    let granted = house.grant(&buyers("b", n)).await;
    let tokens: Vec<_> = granted.iter().map(|g| g.token.clone()).collect();
    std::fs::write("/tmp/push-idle-tokens", format!("{}\n{}", house.addr.port(), tokens.join("\n"))).unwrap();
    println!("ready {}", house.addr.port());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let before = rss();
    until("all", || house.push.watched() == n).await;
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    let after = rss();
    println!("{} sockets, {} KiB -> {} KiB: {:.2} KiB each", house.push.sockets(), before, after, (after - before) as f64 / n as f64);
    let tickets = house.finish(&granted).await;
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    println!("after finals of {}: {:.2} KiB each", tickets.len(), (rss() - before) as f64 / n as f64);
    let began = std::time::Instant::now();
    house.push.drain().await;
    println!("drained in {:?}, {} left", began.elapsed(), house.push.sockets());
}
