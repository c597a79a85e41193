//! What can go wrong with a call, by what the caller can do about it.

use std::time::Duration;

use crate::refusal::Refusal;

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer came, or one that leaves open what happened. A claim may have been granted: the
    /// same claim again finds out.
    #[error("{why}: {detail}")]
    NotKnown {
        /// What came instead of an answer, in words that are the same each time.
        why: &'static str,
        /// More of it.
        detail: String,
        /// When the server asks to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server cannot do it at the moment, and nothing happened.
    #[error("{problem}: {detail}")]
    Busy {
        /// The type of the problem, such as `/problems/busy`.
        problem: String,
        /// What the server says.
        detail: String,
        /// When the server asks to be asked again.
        retry_after: Option<Duration>,
    },
    /// The credentials do not hold, or not any more.
    #[error("the credentials were refused: {0}")]
    Unauthorized(String),
    /// Nothing is there for who asks.
    #[error("not found: {0}")]
    NotFound(String),
    /// The request was refused for good.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// What came is not what a Dibs server answers.
    #[error("the answer cannot be read: {0}")]
    Protocol(String),
    /// The client was set up wrongly; nothing was sent.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_worth_another_try(&self) -> bool {
        match self {
            Self::NotKnown { .. } | Self::Busy { .. } | Self::Protocol(_) => true,
            Self::Unauthorized(_) | Self::NotFound(_) | Self::Refused(_) | Self::Setup(_) => false,
        }
    }

    /// When the server asks to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotKnown { retry_after, .. } | Self::Busy { retry_after, .. } => *retry_after,
            Self::Unauthorized(_)
            | Self::NotFound(_)
            | Self::Refused(_)
            | Self::Protocol(_)
            | Self::Setup(_) => None,
        }
    }

    pub(crate) fn no_answer(why: &'static str, detail: impl ToString) -> Self {
        Self::NotKnown { why, detail: detail.to_string(), retry_after: None }
    }

    pub(crate) fn protocol(what: impl ToString) -> Self {
        Self::Protocol(what.to_string())
    }
}
