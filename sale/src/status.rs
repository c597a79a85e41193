//! The status machine of a ticket, as one table.

use serde::{Deserialize, Serialize};

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "StatusText", into = "StatusText")]
pub enum Status {
    /// Granted by the gate; the ledger has not decided yet.
    Pending,
    /// The ledger has committed it: the buyer has it.
    Confirmed,
    /// The ledger has refused it.
    Rejected(Reason),
}

/// Why a ticket was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The ledger had too few units left.
    SoldOut,
    /// The buyer holds as many units as the sale allows.
    Limit,
    /// An operator rejected an order that could not be processed.
    Unprocessable,
    /// No verdict could be reached by the answer deadline.
    Deadline,
}

/// What may happen to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// The ledger commits it.
    Confirm,
    /// The ledger refuses it.
    Reject(Reason),
}

/// A move that the table does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a ticket that is {from:?} cannot take the move {by:?}")]
pub struct IllegalMove {
    /// The status it has.
    pub from: Status,
    /// The move that was asked for.
    pub by: Move,
}

impl Status {
    /// The table of legal moves. Every writer of a status goes through it.
    pub fn after(self, by: Move) -> Result<Self, IllegalMove> {
        match (self, by) {
            (Self::Pending, Move::Confirm) => Ok(Self::Confirmed),
            (Self::Pending, Move::Reject(reason)) => Ok(Self::Rejected(reason)),
            (Self::Confirmed | Self::Rejected(_), Move::Confirm | Move::Reject(_)) => {
                Err(IllegalMove { from: self, by })
            }
        }
    }

    /// Whether a buyer who waits for the result may stop waiting.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending => false,
            Self::Confirmed | Self::Rejected(_) => true,
        }
    }

    /// Whether a ticket of this status keeps its units away from others.
    pub fn holds_units(self) -> bool {
        match self {
            Self::Pending | Self::Confirmed => true,
            Self::Rejected(_) => false,
        }
    }

    /// Its name in the public contract: `pending`, `confirmed`, `rejected`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected(_) => "rejected",
        }
    }

    /// The reason of a rejection.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Pending | Self::Confirmed => None,
            Self::Rejected(reason) => Some(reason),
        }
    }

    /// Puts together what [`Status::name`] and [`Reason::name`] took apart.
    pub fn from_names(name: &str, reason: Option<&str>) -> Result<Self, UnknownStatus> {
        match (name, reason.map(Reason::from_name)) {
            ("pending", None) => Ok(Self::Pending),
            ("confirmed", None) => Ok(Self::Confirmed),
            ("rejected", Some(Some(reason))) => Ok(Self::Rejected(reason)),
            (_, None | Some(_)) => Err(UnknownStatus(format!("{name}, {reason:?}"))),
        }
    }
}

impl Reason {
    /// Every reason, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::SoldOut, Self::Limit, Self::Unprocessable, Self::Deadline];

    /// Its name in the public contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::Limit => "limit",
            Self::Unprocessable => "unprocessable",
            Self::Deadline => "deadline",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A pair of names that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no ticket status {0}")]
pub struct UnknownStatus(String);

#[derive(Serialize, Deserialize)]
struct StatusText {
    status: std::borrow::Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<std::borrow::Cow<'static, str>>,
}

impl From<Status> for StatusText {
    fn from(status: Status) -> Self {
        Self {
            status: status.name().into(),
            reason: status.reason().map(|reason| reason.name().into()),
        }
    }
}

impl TryFrom<StatusText> for Status {
    type Error = UnknownStatus;

    fn try_from(text: StatusText) -> Result<Self, UnknownStatus> {
        Self::from_names(&text.status, text.reason.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Status> {
        let mut all = vec![Status::Pending, Status::Confirmed];
        all.extend(Reason::ALL.map(Status::Rejected));
        all
    }

    #[test]
    fn a_final_status_never_changes() {
        for status in all().into_iter().filter(|status| status.is_final()) {
            assert!(status.after(Move::Confirm).is_err());
            for reason in Reason::ALL {
                assert!(status.after(Move::Reject(reason)).is_err());
            }
        }
    }

    #[test]
    fn pending_moves_to_each_final_status() {
        assert_eq!(Status::Pending.after(Move::Confirm), Ok(Status::Confirmed));
        for reason in Reason::ALL {
            assert_eq!(Status::Pending.after(Move::Reject(reason)), Ok(Status::Rejected(reason)));
        }
    }

    #[test]
    fn names_and_status_belong_together() {
        for status in all() {
            let reason = status.reason().map(Reason::name);
            assert_eq!(Status::from_names(status.name(), reason), Ok(status));
        }
        for (name, reason) in [
            ("pending", Some("limit")),
            ("rejected", None),
            ("rejected", Some("bored")),
            ("", None),
        ] {
            assert!(Status::from_names(name, reason).is_err(), "{name} {reason:?}");
        }
    }
}
