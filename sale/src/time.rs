//! Points in time, in whole milliseconds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z.
///
/// As text and in JSON it is RFC 3339 in UTC with three decimals; any RFC 3339 time within
/// the years 1970 to 9999 is read, and finer fractions are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text or number is no [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time with its zone, such as 2030-01-31T10:00:00Z")]
pub struct NotATime;

impl Timestamp {
    /// 9999-12-30T22:00:00Z: what lies beyond is refused, so that every value has a text.
    const LAST: i64 = 253_402_207_200_000;

    /// The point `ms` milliseconds after 1970-01-01T00:00:00Z.
    pub fn from_millis(ms: i64) -> Result<Self, NotATime> {
        if (0..=Self::LAST).contains(&ms) { Ok(Self(ms)) } else { Err(NotATime) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let read: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        Self::from_millis(read.as_millisecond())
    }

    /// This point moved later by `by`; at the end of the range it stays there.
    pub fn plus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by).min(Self::LAST))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.0)
            .expect("the constructor admits 1970 to 9999 only");
        write!(f, "{at:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Serde form of a [`Timestamp`] inside messages: the bare number of milliseconds, which a
/// script of the gate can write without a calendar.
pub mod millis {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the number of milliseconds.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.millis())
    }

    /// Reads the number of milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millis(i64::deserialize(from)?).map_err(serde::de::Error::custom)
    }

    /// The same for a time that may be absent (null).
    pub mod option {
        use super::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes the number of milliseconds, or null.
        pub fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.serialize_i64(at.millis()),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the number of milliseconds, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<i64>::deserialize(from)?
                .map(|ms| Timestamp::from_millis(ms).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_utc_with_three_decimals() {
        let at = Timestamp::parse("2026-03-01T12:00:00.1239+02:00").unwrap();
        assert_eq!(at.to_string(), "2026-03-01T10:00:00.123Z");
        assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
    }

    #[test]
    fn a_time_without_zone_or_outside_the_range_is_refused() {
        for text in ["2026-03-01T12:00:00", "2026-03-01", "1e3", "", "1969-12-31T23:59:59Z"] {
            assert_eq!(Timestamp::parse(text), Err(NotATime), "{text}");
        }
        assert!(Timestamp::from_millis(i64::MAX).is_err());
    }

    #[test]
    fn the_last_point_has_a_text_too() {
        let last = Timestamp::from_millis(0).unwrap().plus(Duration::MAX);
        assert_eq!(last.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::parse(&last.to_string()).unwrap(), last);
        assert!(Timestamp::from_millis(last.millis() + 1).is_err());
    }

    #[test]
    fn the_difference_to_the_future_is_zero() {
        let early = Timestamp::from_millis(1_000).unwrap();
        let late = early.plus(Duration::from_secs(2));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
