//! Sales: create, read, change.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use edge::body::read_json;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sale::id::{RoundId, SaleId};
use sale::terms::{NewSale, Restock, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Serialize};
use store::gate::Slot;
use store::ledger::{Amended, Amendment, Creation, Sale};

use super::{listed, restock};
use crate::App;
use crate::error::Refusal;
use crate::request::{Asked, SaleInPath, request_id};
use crate::sales::Stage;

/// Sales of a list that are counted at one time.
const REPORTS: usize = 16;

/// A sale as its merchant sees it.
#[derive(Serialize)]
pub(super) struct Report {
    id: SaleId,
    name: SaleName,
    round: RoundId,
    stock: u32,
    limit: Units,
    opens_at: Timestamp,
    closes_at: Timestamp,
    closed: bool,
    state: Stage,
    /// Null where the gate does not say and the ledger cannot.
    available: Option<i64>,
    held: Option<u64>,
    sold: u32,
    rejected: u64,
}

impl App {
    /// The sale with its counts.
    pub(super) async fn report(&self, sale: Sale) -> Result<Report, Refusal> {
        // The gate first: what it has settled stands in the ledger by then, so that a report
        // without held units leaves none out.
        let figures = match self.gate.figures(Slot::first(sale.round)).await {
            // A gate that has lost writes counts wrong.
            Ok(figures) => sale.loss_in(&figures).is_none().then_some(figures),
            Err(error) => {
                tracing::debug!(sale = %sale.id, %error, "a report goes without the gate's figures");
                None
            }
        };
        let counts = self.ledger.counts(sale.round).await?;
        let counts = counts.ok_or(Refusal::UnknownSale)?;
        let (available, held) = match figures {
            _ if sale.retired => (Some(i64::from(counts.available)), Some(0)),
            Some(figures) => (Some(figures.available), Some(figures.held)),
            None => (None, None),
        };
        Ok(Report {
            state: Stage::of(&sale, available, self.gate.now()),
            id: sale.id,
            name: sale.name,
            round: sale.round,
            stock: counts.stock,
            limit: sale.limit,
            opens_at: sale.window.opens_at(),
            closes_at: sale.window.closes_at(),
            closed: sale.closed,
            available,
            held,
            sold: counts.sold(),
            rejected: counts.rejected,
        })
    }

    /// The sale as the ledger has it now.
    pub(super) async fn present(&self, id: &SaleId) -> Result<Sale, Refusal> {
        self.ledger.sale(id).await?.ok_or(Refusal::UnknownSale)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: SaleId,
    name: SaleName,
    stock: Stock,
    limit: Units,
    opens_at: Timestamp,
    closes_at: Timestamp,
}

/// `POST /v1/admin/sales`: answered when the gate has the round.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Refusal> {
    let New { id, name, stock, limit, opens_at, closes_at } = read_json(request).await?;
    let window = Window::new(opens_at, closes_at)
        .map_err(|_| Refusal::field("closes_at", "must be later than opens_at"))?;
    let answer_within = app.settings.answer_within;
    let new = NewSale { id, name, stock, limit, window, answer_within };
    let (status, sale) = match app.ledger.create(&new).await? {
        Creation::Created(sale) => (StatusCode::CREATED, sale),
        Creation::Same(sale) => (StatusCode::OK, sale),
        Creation::Differs => {
            return Err(Refusal::Conflict("another sale has this id; choose another, or PATCH it"));
        }
    };
    // Any other gate is the keeper's: it may be recovering.
    if !sale.retired && sale.is_new() {
        let snapshot = app.ledger.snapshot(sale.round).await?;
        app.gate.warm(snapshot.ok_or(Refusal::UnknownSale)?, None).await?;
    }
    app.directory.refresh().await;
    tracing::info!(sale = %sale.id, round = %sale.round, created = status == StatusCode::CREATED,
        "a sale stands");
    Ok((status, Json(app.report(sale).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<u32>,
}

/// `GET /v1/admin/sales`: those that are not retired first, the newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(Page { limit }): Asked<Page>,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct List {
        sales: Vec<Report>,
    }
    let sales = app.ledger.sales(listed(limit)?).await?;
    let reports = stream::iter(sales).map(|sale| app.report(sale)).buffered(REPORTS);
    let sales = reports.try_collect().await?;
    Ok(Json(List { sales }).into_response())
}

/// `GET /v1/admin/sales/{sale}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    SaleInPath(id): SaleInPath,
) -> Result<Response, Refusal> {
    let sale = app.present(&id).await?;
    Ok(Json(app.report(sale).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    restock: Option<Restock>,
    name: Option<SaleName>,
    closed: Option<bool>,
    opens_at: Option<Timestamp>,
    closes_at: Option<Timestamp>,
}

/// What a PATCH asks for: one kind of change a call, so that nothing is half done.
enum Change {
    Restock(Restock),
    Amend(Amendment),
}

impl Patch {
    fn change(self) -> Result<Change, Refusal> {
        let one_kind = "exactly one of restock, name, closed, and opens_at with closes_at";
        match self {
            Self {
                restock: Some(restock),
                name: None,
                closed: None,
                opens_at: None,
                closes_at: None,
            } => Ok(Change::Restock(restock)),
            Self {
                restock: None,
                name: Some(name),
                closed: None,
                opens_at: None,
                closes_at: None,
            } => Ok(Change::Amend(Amendment::Name(name))),
            Self {
                restock: None,
                name: None,
                closed: Some(closed),
                opens_at: None,
                closes_at: None,
            } => {
                if closed {
                    Ok(Change::Amend(Amendment::Close))
                } else {
                    let rule = "can only become true: a closed sale stays so";
                    Err(Refusal::field("closed", rule))
                }
            }
            Self { restock: None, name: None, closed: None, opens_at, closes_at }
                if opens_at.is_some() || closes_at.is_some() =>
            {
                Ok(Change::Amend(Amendment::Window { opens_at, closes_at }))
            }
            Self { .. } => Err(Refusal::Invalid(format!("a change is {one_kind}"))),
        }
    }
}

/// `PATCH /v1/admin/sales/{sale}`: answered when the gate has the change.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    SaleInPath(id): SaleInPath,
    request: Request,
) -> Result<Response, Refusal> {
    let key = request_id(request.headers());
    let response = match read_json::<Patch>(request).await?.change()? {
        Change::Restock(change) => restock::apply(&app, &id, key?, change).await?,
        Change::Amend(amendment) => {
            let sale = amend(&app, &id, &amendment).await?;
            Json(app.report(sale).await?).into_response()
        }
    };
    app.directory.refresh().await;
    Ok(response)
}

async fn amend(app: &App, id: &SaleId, amendment: &Amendment) -> Result<Sale, Refusal> {
    let sale = match app.ledger.amend(id, amendment, app.gate.now()).await? {
        Amended::Done(sale) => sale,
        Amended::Unknown => return Err(Refusal::UnknownSale),
        Amended::NotUpcoming => {
            return Err(Refusal::Conflict(
                "opens_at and closes_at can be changed only while the sale is upcoming",
            ));
        }
        Amended::EmptyWindow => {
            return Err(Refusal::field("closes_at", "must be later than opens_at"));
        }
    };
    // Words are none of the gate's business.
    let gate_too = match amendment {
        Amendment::Name(_) => false,
        Amendment::Close | Amendment::Window { .. } => !sale.retired,
    };
    if gate_too {
        app.gate.set_terms(sale.terms()).await?;
    }
    tracing::info!(sale = %sale.id, "a sale was amended");
    Ok(sale)
}
