//! Claims one unit as a guest, and waits for the result: `buy [SERVER [SALE]]`.

#![expect(clippy::print_stdout, reason = "it is what the example is for")]

use client::{Answer, Claim, Client, Options, SaleId, Status, Ways};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let sale = arguments.next().unwrap_or_else(|| "demo".to_owned());

    let client = Client::new(Options::new(server.parse()?))?;
    let sale = client.sale(&SaleId::new(&sale)?).await?;
    let clock = client.clock().await?;
    tokio::time::sleep(clock.until(sale.opens_at)).await;

    let guest = client.guest().await?;
    let mut claim = Claim::new(sale.id, guest.jwt);
    claim.round = Some(sale.round);
    let held = match client.claim(&claim).await? {
        Answer::Ticket(held) => held,
        Answer::Refused(refusal) => return Err(refusal.into()),
    };
    let mut ticket = held.ticket.ticket.clone();
    let mut watch = client.watch(&held, &Ways::default());
    while let Some(news) = watch.next().await {
        ticket = news?.seen.ticket;
    }
    if ticket.status == Status::Confirmed {
        println!("yours");
    } else {
        println!("not this time: {}", ticket.reason.unwrap_or_default());
    }
    Ok(())
}
