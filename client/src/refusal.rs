//! What the server refuses for good, read from its problem documents (RFC 9457).

use sale::time::Timestamp;
use serde::Deserialize;

use crate::ticket::Held;

/// A request that was refused: asking again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {detail}")]
pub struct Refusal {
    /// The type of the problem, such as `/problems/sold-out`; `about:blank` where it has none.
    pub problem: String,
    /// The HTTP status.
    pub status: u16,
    /// What the server says.
    pub detail: String,
    /// What it means.
    pub why: Why,
    /// The tickets that the buyer holds already, with [`Why::LimitReached`].
    pub held: Vec<Held>,
}

/// Why a claim was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The sale has not opened yet.
    NotOpen {
        /// When it opens, where the server says so.
        opens_at: Option<Timestamp>,
    },
    /// The sale is over.
    Closed,
    /// No unit is left.
    SoldOut,
    /// Fewer units are left than were asked for.
    TooFewLeft {
        /// How many, where the server says so.
        left: Option<u32>,
    },
    /// The buyer holds as many units as the sale allows.
    LimitReached,
    /// The same request id was used with other units.
    UnitsDiffer,
    /// Anything else: see [`Refusal::problem`].
    Other,
}

/// A problem document, as far as it is read. Every member may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Document {
    #[serde(deserialize_with = "or_default")]
    r#type: Option<String>,
    #[serde(deserialize_with = "or_default")]
    title: Option<String>,
    #[serde(deserialize_with = "or_default")]
    detail: Option<String>,
    #[serde(deserialize_with = "or_default")]
    opens_at: Option<Timestamp>,
    #[serde(deserialize_with = "or_default")]
    left: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    held: Vec<Held>,
}

/// A member of another type than ours is as good as none.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let text = Box::<serde_json::value::RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(text.get()).unwrap_or_default())
}

/// Whoever answers may be no server of ours: what he says must not break a log or a terminal.
fn one_line(said: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    said.chars().take(300).map(shown).collect()
}

impl Document {
    /// Reads a body; one that is no document is an empty one.
    pub(crate) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The type of the problem.
    pub(crate) fn problem(&self) -> String {
        one_line(self.r#type.as_deref().unwrap_or("about:blank"))
    }

    /// Whether it is one of those problems with which nothing was done.
    pub(crate) fn says_that_nothing_happened(&self) -> bool {
        let problem = self.problem();
        let slug = problem.strip_prefix("/problems/");
        slug.is_some_and(|slug| ["busy", "recovering", "unavailable"].contains(&slug))
    }

    /// What the server says, in one line of a length that can be logged.
    pub(crate) fn words(&self) -> String {
        let said = self.detail.as_deref().or(self.title.as_deref());
        one_line(said.unwrap_or("the server does not say why"))
    }

    /// All of it.
    pub(crate) fn refusal(self, status: u16) -> Refusal {
        let (problem, detail) = (self.problem(), self.words());
        let why = match problem.rsplit('/').next() {
            Some("not-open") => Why::NotOpen { opens_at: self.opens_at },
            Some("closed") => Why::Closed,
            Some("sold-out") => Why::SoldOut,
            Some("too-few-left") => Why::TooFewLeft { left: self.left },
            Some("limit-reached") => Why::LimitReached,
            Some("units-differ") => Why::UnitsDiffer,
            Some(_) | None => Why::Other,
        };
        Refusal { problem, status, detail, why, held: self.held }
    }
}
