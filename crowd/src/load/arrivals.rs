//! When buyers arrive: a schedule that is known before the first is sent, and waits for nobody.

use std::time::Duration;

use serde::Serialize;

use super::plan::in_words;

/// How buyers arrive, counted from the moment at which all of it begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly.
    Constant {
        /// Buyers a second.
        rate: f64,
        /// Until when.
        #[serde(serialize_with = "in_words")]
        lasting: Duration,
    },
    /// Evenly faster or slower.
    Ramp {
        /// Buyers a second at the begin.
        from: f64,
        /// Buyers a second at the end.
        to: f64,
        /// Until when.
        #[serde(serialize_with = "in_words")]
        lasting: Duration,
    },
    /// All at the opening: most of them at once, ever fewer until the last.
    Herd {
        /// How many.
        buyers: usize,
        /// Until when the last has tapped.
        #[serde(serialize_with = "in_words")]
        within: Duration,
    },
}

impl Arrivals {
    /// How many arrive.
    pub fn buyers(&self) -> usize {
        match *self {
            Self::Constant { rate, lasting } => (rate * lasting.as_secs_f64()) as usize,
            Self::Ramp { from, to, lasting } => {
                ((from + to) / 2.0 * lasting.as_secs_f64()) as usize
            }
            Self::Herd { buyers, .. } => buyers,
        }
    }

    /// When the n-th of them arrives, from 0; later for a higher n.
    pub fn at(&self, n: usize) -> Duration {
        let n = n as f64;
        match *self {
            Self::Constant { rate, .. } => seconds(n / rate),
            Self::Ramp { from, to, lasting } => {
                // After t seconds from·t + slope/2·t² have arrived. In this form the root holds for
                // a slope of zero too.
                let slope = (to - from) / lasting.as_secs_f64();
                let root = (from * from + 2.0 * slope * n).max(0.0).sqrt();
                seconds(if n == 0.0 { 0.0 } else { 2.0 * n / (from + root) })
            }
            // The density falls in a straight line to nothing.
            Self::Herd { buyers, within } => {
                within.mul_f64(1.0 - (1.0 - n / buyers as f64).max(0.0).sqrt())
            }
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        let rate = 0.1..2000.0_f64;
        let lasting = (1..120_000_u64).prop_map(Duration::from_millis);
        prop_oneof![
            (rate.clone(), lasting.clone())
                .prop_map(|(rate, lasting)| Arrivals::Constant { rate, lasting }),
            (0.0..2000.0_f64, rate, lasting.clone())
                .prop_map(|(from, to, lasting)| Arrivals::Ramp { from, to, lasting }),
            (1..5000_usize, lasting).prop_map(|(buyers, within)| Arrivals::Herd { buyers, within }),
        ]
    }

    proptest! {
        #[test]
        fn nobody_arrives_before_who_came_earlier_nor_after_the_end(arrivals in any_arrivals()) {
            let end = match arrivals {
                Arrivals::Constant { lasting, .. } | Arrivals::Ramp { lasting, .. } => lasting,
                Arrivals::Herd { within, .. } => within,
            };
            let times: Vec<_> = (0..arrivals.buyers()).map(|n| arrivals.at(n)).collect();
            prop_assert!(times.is_sorted());
            let rounding = Duration::from_micros(1);
            prop_assert!(times.iter().all(|at| *at <= end + rounding), "{:?}", times.last());
        }
    }

    #[test]
    fn a_ramp_from_nothing_has_a_quarter_of_its_buyers_in_its_first_half() {
        let ramp = Arrivals::Ramp { from: 0.0, to: 100.0, lasting: MINUTE };
        assert_eq!(ramp.buyers(), 3000);
        assert_eq!(ramp.at(750), MINUTE / 2);
    }

    #[test]
    fn a_ramp_down_ends_where_it_should() {
        let ramp = Arrivals::Ramp { from: 100.0, to: 0.0, lasting: MINUTE };
        assert_eq!((ramp.at(2250), ramp.at(3000)), (MINUTE / 2, MINUTE));
    }

    #[test]
    fn a_constant_schedule_is_even() {
        let constant = Arrivals::Constant { rate: 50.0, lasting: MINUTE };
        assert_eq!((constant.buyers(), constant.at(50)), (3000, Duration::from_secs(1)));
    }

    #[test]
    fn three_quarters_of_a_herd_come_in_the_first_half() {
        let herd = Arrivals::Herd { buyers: 400, within: MINUTE };
        assert_eq!(herd.at(300), MINUTE / 2);
    }
}
