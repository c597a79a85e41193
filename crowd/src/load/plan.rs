//! What is sent: where, when, by whom and how they behave.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use sale::id::SaleId;
use sale::units::Units;
use serde::{Serialize, Serializer};
use url::Url;

use super::arrivals::Arrivals;
use super::identity::Identity;
use crate::history::Way;

/// A whole load.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Where to send it; the buyers are dealt to the doors in turn.
    pub doors: Vec<Door>,
    /// A file of further certificates that are trusted.
    pub ca: Option<PathBuf>,
    /// The sales; the buyers are dealt to them in turn.
    pub sales: Vec<SaleId>,
    /// When buyers arrive, counted from the opening of the last of the sales, or from now if all
    /// are open.
    pub arrivals: Arrivals,
    /// On which way they follow their tickets.
    pub mix: Mix,
    /// What they do besides claiming once.
    pub behaviour: Behaviour,
    /// The most units that one of them wants; each wants some number from 1 to it, and to the
    /// sale's limit.
    pub most_units: Units,
    /// Who vouches for them.
    pub identity: Identity,
    /// How long a buyer waits, for an answer and again for his final result.
    #[serde(serialize_with = "in_words")]
    pub patience: Duration,
    /// The most buyers at a time. Who arrives above that is not sent, and counted as shed.
    pub most_open: usize,
    /// Decides who does what.
    pub seed: u64,
    /// Looks into the ledger; without it nobody does.
    #[serde(skip)]
    pub ledger: Option<client::Admin>,
}

/// A server, as a buyer reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Door {
    /// Where he claims.
    #[serde(serialize_with = "as_text")]
    pub api: Url,
    /// Where he reads.
    #[serde(serialize_with = "as_text")]
    pub push: Url,
}

/// How many of a hundred buyers, or of any other sum, follow their tickets on each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// Over WebSocket.
    pub socket: u32,
    /// Over Server-Sent Events.
    pub events: u32,
    /// By requests that are held.
    pub long_poll: u32,
    /// By requests now and then.
    pub poll: u32,
}

/// How often buyers do what buyers do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Behaviour {
    /// Load the page before they claim: the server's clock and the sale.
    pub page: Share,
    /// Tap before the sale opens, and again when it does.
    pub early: Share,
    /// Tap twice: the same claim twice at a time.
    pub double_tap: Share,
    /// Claim from a second device too, under another request id.
    pub second_device: Share,
    /// Reload the page while they wait: watch no longer, claim again as before, read, watch.
    pub reload: Share,
    /// Ask for a ticket of somebody else.
    pub foreign: Share,
    /// Read the final result once more, on another way.
    pub again: Share,
    /// Have the ledger looked into when they are told that they have it.
    pub look: Share,
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Share(f64);

/// Why a text is no setting of a load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(pub(super) String);

impl Default for Mix {
    fn default() -> Self {
        Self { socket: 60, events: 10, long_poll: 20, poll: 10 }
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            page: Share::ALL,
            early: Share(0.02),
            double_tap: Share(0.05),
            second_device: Share(0.03),
            reload: Share(0.05),
            foreign: Share(0.02),
            again: Share(0.1),
            look: Share(0.02),
        }
    }
}

impl Behaviour {
    /// Each claims once and waits, and does nothing else.
    pub const PLAIN: Self = Self {
        page: Share::NONE,
        early: Share::NONE,
        double_tap: Share::NONE,
        second_device: Share::NONE,
        reload: Share::NONE,
        foreign: Share::NONE,
        again: Share::NONE,
        look: Share::NONE,
    };
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, early, double_tap, second_device, reload, foreign, again, look } = self;
        write!(
            f,
            "page {page}, early {early}, double tap {double_tap}, second device {second_device}, \
             reload {reload}, foreign {foreign}, again {again}, look {look}"
        )
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
    }
}

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0.0);
    /// Everybody.
    pub const ALL: Self = Self(1.0);

    /// So many of a hundred.
    pub fn percent(percent: f64) -> Result<Self, BadSetting> {
        if (0.0..=100.0).contains(&percent) {
            Ok(Self(percent / 100.0))
        } else {
            Err(BadSetting("give 0 to 100 percent".to_owned()))
        }
    }

    /// Whether this one belongs to it.
    pub(super) fn has(self, dice: &mut StdRng) -> bool {
        dice.random_bool(self.0)
    }
}

impl Mix {
    /// The way of one buyer.
    pub(super) fn way(&self, dice: &mut StdRng) -> Way {
        let ways = [
            (Way::Socket, self.socket),
            (Way::Events, self.events),
            (Way::LongPoll, self.long_poll),
            (Way::Poll, self.poll),
        ];
        let mut drawn = dice.random_range(0..self.sum().max(1));
        for (way, weight) in ways {
            if drawn < u64::from(weight) {
                return way;
            }
            drawn -= u64::from(weight);
        }
        // A mix without any way.
        Way::Poll
    }

    fn sum(&self) -> u64 {
        [self.socket, self.events, self.long_poll, self.poll].map(u64::from).iter().sum()
    }
}

impl FromStr for Share {
    type Err = BadSetting;

    /// So many of a hundred, such as `2.5`.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        Self::percent(text.parse().unwrap_or(f64::NAN))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket, events, long_poll, poll } = self;
        write!(f, "socket={socket},events={events},long-poll={long_poll},poll={poll}")
    }
}

impl FromStr for Mix {
    type Err = BadSetting;

    /// Such as `socket=60,events=10,long-poll=20,poll=10`; what is left out is 0.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let mut mix = Self { socket: 0, events: 0, long_poll: 0, poll: 0 };
        for part in text.split(',') {
            let (way, weight) = part
                .split_once('=')
                .ok_or_else(|| BadSetting(format!("`{part}` must be WAY=NUMBER")))?;
            let of = match way.trim() {
                "socket" => &mut mix.socket,
                "events" => &mut mix.events,
                "long-poll" => &mut mix.long_poll,
                "poll" => &mut mix.poll,
                other => {
                    let ways = "socket, events, long-poll or poll";
                    return Err(BadSetting(format!("`{other}` is no way: give {ways}")));
                }
            };
            *of = weight
                .trim()
                .parse()
                .map_err(|_| BadSetting(format!("`{weight}` is no number of buyers")))?;
        }
        if mix.sum() == 0 { Err(BadSetting("nobody has a way".to_owned())) } else { Ok(mix) }
    }
}

fn as_text<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

/// Such as `1m 30s`.
pub(super) fn in_words<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_mix_is_read_from_ways_and_numbers() {
        let mix = "socket=60, events=10,long-poll=20".parse();
        assert_eq!(mix, Ok(Mix { socket: 60, events: 10, long_poll: 20, poll: 0 }));
        for bad in ["", "socket", "socket=", "socket=-1", "pigeon=1", "socket=0,poll=0"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ways_are_drawn_as_the_mix_says() {
        let mix: Mix = "socket=3,poll=1".parse().unwrap();
        let mut dice = StdRng::seed_from_u64(7);
        let drawn: Vec<_> = (0..1000).map(|_| mix.way(&mut dice)).collect();
        let sockets = drawn.iter().filter(|way| **way == Way::Socket).count();
        assert!((650..850).contains(&sockets), "{sockets}");
        assert!(drawn.iter().all(|way| [Way::Socket, Way::Poll].contains(way)));
    }

    #[test]
    fn a_share_has_nobody_some_or_all() {
        let mut dice = StdRng::seed_from_u64(7);
        let mut among = |share: Share| (0..1000).filter(|_| share.has(&mut dice)).count();
        assert_eq!((among(Share::NONE), among(Share::ALL)), (0, 1000));
        assert!((200..300).contains(&among(Share::percent(25.0).unwrap())));
        assert!(Share::percent(101.0).is_err() && Share::percent(f64::NAN).is_err());
    }
}
