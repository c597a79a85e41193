//! What a merchant sells: the sale as he describes it, and its terms as the gate applies them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{RoundId, SaleId};
use crate::time::Timestamp;
use crate::units::Units;

/// The window in which claims are granted: from `opens_at` on, before `closes_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Times", into = "Times")]
pub struct Window {
    opens_at: Timestamp,
    closes_at: Timestamp,
}

/// Why two times are no [`Window`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("closes_at must be later than opens_at")]
pub struct EmptyWindow;

/// Where a moment lies, seen from a [`Window`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before it opens.
    Upcoming,
    /// Claims are granted.
    Open,
    /// After it closed.
    Closed,
}

impl Window {
    /// Checks that the window is not empty.
    pub fn new(opens_at: Timestamp, closes_at: Timestamp) -> Result<Self, EmptyWindow> {
        if opens_at < closes_at { Ok(Self { opens_at, closes_at }) } else { Err(EmptyWindow) }
    }

    /// When claims are granted first.
    pub fn opens_at(self) -> Timestamp {
        self.opens_at
    }

    /// From when on claims are granted no more.
    pub fn closes_at(self) -> Timestamp {
        self.closes_at
    }

    /// Where `now` lies.
    pub fn phase(self, now: Timestamp) -> Phase {
        if now < self.opens_at {
            Phase::Upcoming
        } else if now < self.closes_at {
            Phase::Open
        } else {
            Phase::Closed
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Times {
    opens_at: Timestamp,
    closes_at: Timestamp,
}

impl TryFrom<Times> for Window {
    type Error = EmptyWindow;

    fn try_from(times: Times) -> Result<Self, EmptyWindow> {
        Self::new(times.opens_at, times.closes_at)
    }
}

impl From<Window> for Times {
    fn from(window: Window) -> Self {
        Self { opens_at: window.opens_at, closes_at: window.closes_at }
    }
}

/// What the gate needs to decide a claim of one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The sale that the round belongs to.
    pub sale: SaleId,
    /// The round.
    pub round: RoundId,
    /// Units that one buyer may hold.
    pub limit: Units,
    /// When claims are granted.
    pub window: Window,
    /// Closed by hand, whatever the window says.
    pub closed: bool,
    /// Counts the changes; a gate keeps the highest it has seen.
    pub version: u32,
}

impl Terms {
    /// Where `now` lies, by window and by hand.
    pub fn phase(&self, now: Timestamp) -> Phase {
        if self.closed { Phase::Closed } else { self.window.phase(now) }
    }
}

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($inner:ty), $valid:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// What a valid one looks like.
            pub const RULE: &'static str = $rule;

            /// Checks the bounds.
            pub fn new(value: $inner) -> Result<Self, OutOfBounds> {
                let valid: fn(&$inner) -> bool = $valid;
                if valid(&value) { Ok(Self(value)) } else { Err(OutOfBounds($rule)) }
            }

            /// The value.
            pub fn get(&self) -> &$inner {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(<$inner>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Why a value is refused: the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfBounds(&'static str);

bounded!(
    /// The name of a sale as buyers read it. It is text, never markup.
    SaleName(String),
    |name| (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control),
    "must be 1 to 200 characters without control characters"
);

bounded!(
    /// The units that a round starts with.
    Stock(u32),
    |stock| i32::try_from(*stock).is_ok_and(|stock| stock >= 1),
    "must be a whole number from 1 to 2147483647"
);

bounded!(
    /// A change of the stock: units added, or taken back if negative; never zero.
    Restock(i32),
    |change| *change != 0 && *change != i32::MIN,
    "must be a whole number other than 0, from -2147483647 to 2147483647"
);

/// A sale as the merchant describes it when he creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSale {
    /// His id for it.
    pub id: SaleId,
    /// What buyers read.
    pub name: SaleName,
    /// Units for all buyers.
    pub stock: Stock,
    /// Units for one buyer.
    pub limit: Units,
    /// When claims are granted.
    pub window: Window,
    /// How long an order may wait for its verdict before it is rejected.
    pub answer_within: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    #[test]
    fn a_window_contains_its_opening_and_not_its_closing() {
        let window = Window::new(at(10), at(20)).unwrap();
        assert_eq!(window.phase(at(9)), Phase::Upcoming);
        assert_eq!(window.phase(at(10)), Phase::Open);
        assert_eq!(window.phase(at(19)), Phase::Open);
        assert_eq!(window.phase(at(20)), Phase::Closed);
        assert_eq!(Window::new(at(10), at(10)), Err(EmptyWindow));
    }

    #[test]
    fn closing_by_hand_beats_the_window() {
        let terms = Terms {
            sale: SaleId::new("s").unwrap(),
            round: RoundId(1),
            limit: Units::ONE,
            window: Window::new(at(10), at(20)).unwrap(),
            closed: true,
            version: 1,
        };
        assert_eq!(terms.phase(at(15)), Phase::Closed);
        let text = serde_json::to_string(&terms).unwrap();
        assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), terms);
    }

    #[test]
    fn names_and_stock_keep_their_bounds() {
        assert!(SaleName::new("é".repeat(200)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(201)] {
            assert!(SaleName::new(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Stock::new(2_147_483_647).is_ok());
        assert!(Stock::new(0).is_err());
        assert!(Stock::new(2_147_483_648).is_err());
        assert!(Restock::new(0).is_err());
    }
}
