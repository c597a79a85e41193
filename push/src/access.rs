//! Who may read which ticket: whoever holds its token, and its owner.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use edge::bearer::bearer;
use edge::buyer::BuyerKeys;
use sale::id::{BuyerId, TicketId};
use sale::order::OrderV1;
use sale::time::Timestamp;
use sale::token::TokenKeys;

use crate::answer;
use crate::node::Node;

/// One who asks for a ticket, with his right to it.
#[derive(Clone)]
pub(crate) enum Viewer {
    /// He holds the ticket's token, which carries the order it stands for.
    Token(OrderV1),
    /// He is who the merchant says; whether the ticket is his own shows when it is read.
    Buyer {
        /// What he asks for.
        ticket: TicketId,
        /// Who he is.
        buyer: BuyerId,
    },
}

/// Why a request opens no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAccess {
    /// It came without credentials.
    NoCredentials,
    /// Its id or its credentials open nothing. No store was asked.
    OpensNothing,
}

/// Of a request whose path names the ticket.
impl FromRequestParts<Arc<Node>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Response> {
        let id = Path::<String>::from_request_parts(parts, node).await.ok().map(|Path(id)| id);
        node.viewer(id.as_deref(), &parts.headers).map_err(answer::no_access)
    }
}

impl Viewer {
    /// Reads the right from a request for the ticket `id`. Touches no store.
    pub(crate) fn of(
        id: Option<&str>,
        headers: &HeaderMap,
        tokens: &TokenKeys,
        buyers: &BuyerKeys,
        now: Timestamp,
    ) -> Result<Self, NoAccess> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Err(NoAccess::NoCredentials);
        }
        let ticket = id.and_then(|id| TicketId::parse(id).ok()).ok_or(NoAccess::OpensNothing)?;
        let credentials = bearer(headers).ok_or(NoAccess::OpensNothing)?;
        // A token is base64url, a JWT three of them joined by dots.
        if credentials.contains('.') {
            let buyer = buyers.verify(credentials, now).map_err(|_| NoAccess::OpensNothing)?;
            Ok(Self::Buyer { ticket, buyer })
        } else {
            let order = tokens.open(credentials).map_err(|_| NoAccess::OpensNothing)?;
            if order.ticket == ticket {
                Ok(Self::Token(order))
            } else {
                Err(NoAccess::OpensNothing)
            }
        }
    }

    /// The ticket he asks for.
    pub(crate) fn ticket(&self) -> TicketId {
        match self {
            Self::Token(order) => order.ticket,
            Self::Buyer { ticket, .. } => *ticket,
        }
    }

    /// In whose name it is read.
    pub(crate) fn buyer(&self) -> &BuyerId {
        match self {
            Self::Token(order) => &order.buyer,
            Self::Buyer { buyer, .. } => buyer,
        }
    }
}
