//! How many units one claim asks for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Units of one claim: 1 to [`Units::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Units(u8);

/// Why a number is no [`Units`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to {}", Units::MOST)]
pub struct NotUnits;

impl Units {
    /// The highest limit a sale may have, hence the most that one claim may ask for.
    pub const MOST: u8 = 64;

    /// One unit.
    pub const ONE: Self = Self(1);

    /// Checks the bounds.
    pub fn new(units: u64) -> Result<Self, NotUnits> {
        match u8::try_from(units) {
            Ok(n) if (1..=Self::MOST).contains(&n) => Ok(Self(n)),
            Ok(_) | Err(_) => Err(NotUnits),
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_within_the_bounds_are_read() {
        for text in ["0", "-1", "1.5", "\"1e3\"", "\"1\"", "65", "9223372036854775808", "null"] {
            assert!(serde_json::from_str::<Units>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Units>("64").unwrap().get(), 64);
    }
}
