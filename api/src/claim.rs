//! The claim: `POST /v1/sales/{sale}/tickets`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use edge::bearer::bearer;
use edge::body::read_json;
use sale::grant::{Answer, Claim};
use sale::id::{BuyerId, RequestId, RoundId, SaleId, Shard, TicketId};
use sale::order::OrderV1;
use sale::ticket::{Ticket, TicketState};
use sale::units::Units;
use serde::{Deserialize, Serialize};
use store::gate::Slot;
use store::ledger::Sale;
use tokio::time::timeout;

use crate::App;
use crate::batcher::Answered;
use crate::error::{Held, Refusal};
use crate::request::{SaleInPath, request_id, stream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    units: Units,
    round: Option<RoundId>,
}

/// One claim, read and checked.
struct Asked {
    buyer: BuyerId,
    request: RequestId,
    units: Units,
    /// The address of the WebSocket, for the answer.
    stream: String,
}

/// Answers one claim.
pub(crate) async fn claim(
    State(app): State<Arc<App>>,
    sale: Result<SaleInPath, Refusal>,
    request: Request,
) -> Result<Response, Refusal> {
    // A claim that finds no room is to cost next to nothing, or a crowd beyond what the server can
    // answer would take from those whom it could.
    if let Ok(SaleInPath(id)) = &sale
        && app.is_full(id)
    {
        return Err(Refusal::Busy);
    }
    let buyer = buyer(&app, request.headers())?;
    let SaleInPath(id) = sale?;
    let entry = app.directory.find(&id).await?.ok_or(Refusal::UnknownSale)?;
    let sale = &entry.sale;
    let key = request_id(request.headers());
    let stream = stream(request.headers());
    let Body { units, round } = read_json(request).await?;
    if units > sale.limit {
        let rule = format!("must be at most {}, the limit of this sale", sale.limit);
        return Err(Refusal::field("units", rule));
    }
    let request = key?;
    if request.is_none() && sale.limit > Units::ONE {
        return Err(Refusal::KeyRequired("a buyer may make several claims in this sale"));
    }
    let asked = Asked { buyer, request, units, stream };
    match round {
        Some(round) if round != sale.round => app.of_other_round(sale, round, asked).await,
        Some(_) | None if sale.retired => app.of_ledger(sale, asked).await,
        Some(_) | None => app.of_gate(sale, asked).await,
    }
}

fn buyer(app: &App, headers: &HeaderMap) -> Result<BuyerId, Refusal> {
    let jwt = bearer(headers).ok_or(Refusal::NoBuyer)?;
    Ok(app.keys.buyers.verify(jwt, app.gate.now())?)
}

impl App {
    /// Whether as many claims of this sale wait as may.
    fn is_full(&self, id: &SaleId) -> bool {
        self.directory.known(id).is_some_and(|entry| self.batcher.is_full(entry.slot()))
    }

    /// The gate grants it, or says why not.
    async fn of_gate(&self, sale: &Sale, asked: Asked) -> Result<Response, Refusal> {
        let ticket = asked.ticket(sale);
        let slot = Slot::of(ticket);
        let claim = Claim { ticket, buyer: asked.buyer.clone(), units: asked.units };
        let Answered { answer, now } = self.batcher.claim(slot, claim).await?;
        match answer {
            Answer::Granted(state) => {
                let ticket = Ticket { id: ticket, sale: sale.id.clone(), state };
                Ok(self.found(StatusCode::ACCEPTED, ticket, asked))
            }
            Answer::Standing(state) => {
                let [(ticket, state)] = self.with_verdicts([(ticket, state)]).await;
                let ticket = Ticket { id: ticket, sale: sale.id.clone(), state };
                Ok(self.found(StatusCode::OK, ticket, asked))
            }
            Answer::UnitsDiffer(state) => Err(Refusal::UnitsDiffer(state.units)),
            Answer::NotOpen => Err(Refusal::NotOpen { opens_at: sale.window.opens_at(), now }),
            Answer::Closed => Err(Refusal::Closed),
            Answer::LimitReached(tickets) => {
                let held = self.with_verdicts(tickets).await.into_iter().map(|(id, state)| Held {
                    token: self.seal(id, &asked.buyer, &state),
                    ticket: Ticket { id, sale: sale.id.clone(), state },
                });
                Err(Refusal::LimitReached(held.collect()))
            }
            Answer::SoldOut => Err(Refusal::SoldOut),
            Answer::TooFewLeft(left) => Err(Refusal::TooFewLeft(left)),
            Answer::OutboxFull => Err(Refusal::OutboxFull),
        }
    }

    /// These tickets of the gate, with the ledger's verdict on each that is pending for longer than
    /// that takes: a gate that was set back, or was away when the verdict came, tells less than the
    /// buyer has seen. Without the ledger they stay pending.
    async fn with_verdicts<T>(&self, mut tickets: T) -> T
    where
        T: AsRef<[(TicketId, TicketState)]> + AsMut<[(TicketId, TicketState)]>,
    {
        let (now, after) = (self.gate.now(), self.settings.overdue_after);
        let overdue = tickets.as_ref().iter().filter(|(_, state)| state.is_overdue(after, now));
        let overdue: Vec<TicketId> = overdue.map(|(ticket, _)| *ticket).collect();
        if overdue.is_empty() {
            return tickets;
        }
        let Ok(_turn) = self.lookups.try_acquire() else { return tickets };
        let verdicts = timeout(self.settings.verdict_within, self.ledger.read(&overdue)).await;
        let Ok(Ok(rows)) = verdicts else {
            tracing::debug!("no verdict was looked up for a claim that came again");
            return tickets;
        };
        for row in rows.into_iter().flatten() {
            let same = tickets.as_mut().iter_mut().find(|(ticket, _)| *ticket == row.ticket.id);
            if let Some((_, state)) = same {
                *state = row.ticket.state;
            }
        }
        tickets
    }

    /// The sale's round is retired: no claim is granted, but a retry finds its ticket.
    async fn of_ledger(&self, sale: &Sale, asked: Asked) -> Result<Response, Refusal> {
        let _turn = self.lookups.try_acquire().map_err(|_| Refusal::Busy)?;
        let rows = self.ledger.read(&[asked.ticket(sale)]).await?;
        match rows.into_iter().next().flatten() {
            Some(row) if row.buyer == asked.buyer => {
                let units = row.ticket.state.units;
                if units == asked.units {
                    Ok(self.found(StatusCode::OK, row.ticket, asked))
                } else {
                    Err(Refusal::UnitsDiffer(units))
                }
            }
            Some(_) | None => Err(Refusal::Closed),
        }
    }

    /// The claim is pinned to a round that is not the present one.
    async fn of_other_round(
        &self,
        sale: &Sale,
        round: RoundId,
        asked: Asked,
    ) -> Result<Response, Refusal> {
        let owner = {
            let _turn = self.lookups.try_acquire().map_err(|_| Refusal::Busy)?;
            self.ledger.sale_of(round).await?
        };
        match owner {
            Some(owner) if owner.id == sale.id && owner.round == round => {
                self.of_ledger(&owner, asked).await
            }
            Some(owner) if owner.id == sale.id => Err(Refusal::Closed),
            Some(_) | None => Err(Refusal::field("round", "is no round of this sale")),
        }
    }

    /// The claim's ticket, with the token that opens it.
    fn found(&self, status: StatusCode, ticket: Ticket, asked: Asked) -> Response {
        #[derive(Serialize)]
        struct Found {
            ticket: Ticket,
            token: String,
            stream: String,
        }
        let id = ticket.id;
        let token = self.seal(id, &asked.buyer, &ticket.state);
        let location =
            HeaderValue::try_from(format!("/v1/tickets/{id}")).expect("a ticket id is base64url");
        let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-store")), (LOCATION, location)];
        let body = Json(Found { ticket, token, stream: asked.stream });
        let mut response = (status, headers, body).into_response();
        if status == StatusCode::ACCEPTED {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn seal(&self, ticket: TicketId, buyer: &BuyerId, state: &TicketState) -> String {
        self.keys.tokens.seal(&OrderV1 {
            ticket,
            buyer: buyer.clone(),
            units: state.units,
            granted_at: state.granted_at,
            incarnation: 0,
        })
    }
}

impl Asked {
    fn ticket(&self, sale: &Sale) -> TicketId {
        TicketId::derive(sale.round, Shard::FIRST, &sale.salt, &self.buyer, &self.request)
    }
}
