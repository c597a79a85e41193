//! Which way is taken next.

use std::time::Instant;

use super::Way;

/// How often in a row a way may fail before it rests.
const FAILURES: u32 = 2;

/// The ways in their order, the best first.
pub(super) struct Ladder(Vec<Rung>);

struct Rung {
    way: Way,
    failures: u32,
    rests_until: Option<Instant>,
    barred: bool,
}

impl Ladder {
    pub(super) fn new(order: &[Way]) -> Self {
        let rung = |&way| Rung { way, failures: 0, rests_until: None, barred: false };
        Self(order.iter().map(rung).collect())
    }

    /// The best way that does not rest, or the last one; none when all are barred.
    pub(super) fn way(&self, now: Instant) -> Option<Way> {
        let mut open = self.0.iter().filter(|rung| !rung.barred);
        let awake = |rung: &&Rung| rung.rests_until.is_none_or(|until| until <= now);
        open.clone().find(awake).or_else(|| open.next_back()).map(|rung| rung.way)
    }

    /// A way has brought something.
    pub(super) fn worked(&mut self, way: Way) {
        if let Some(rung) = self.rung(way) {
            rung.failures = 0;
        }
    }

    /// A way has failed. After the second time it rests until then, unless it is the last one.
    /// Answers whether it does.
    pub(super) fn failed(&mut self, way: Way, rests_until: Instant) -> bool {
        let last = self.0.iter().rfind(|rung| !rung.barred).map(|rung| rung.way);
        let Some(rung) = self.rung(way) else { return false };
        rung.failures += 1;
        let rests = rung.failures >= FAILURES && last != Some(way);
        if rests {
            // Once more is enough the next time.
            rung.failures = FAILURES - 1;
            rung.rests_until = Some(rests_until);
        }
        rests
    }

    /// A way will never work.
    pub(super) fn bar(&mut self, way: Way) {
        if let Some(rung) = self.rung(way) {
            rung.barred = true;
        }
    }

    /// Whoever rests does so until then at most.
    pub(super) fn wake(&mut self, by: Instant) {
        for rung in &mut self.0 {
            rung.rests_until = rung.rests_until.map(|until| until.min(by));
        }
    }

    fn rung(&mut self, way: Way) -> Option<&mut Rung> {
        self.0.iter_mut().find(|rung| rung.way == way)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_way_that_fails_twice_rests_and_the_next_one_is_taken() {
        let (now, mut ladder) = (Instant::now(), Ladder::new(&Way::ALL));
        let later = now + Duration::from_secs(60);
        assert!(!ladder.failed(Way::Socket, later));
        assert_eq!(ladder.way(now), Some(Way::Socket));
        assert!(ladder.failed(Way::Socket, later));
        assert_eq!(ladder.way(now), Some(Way::Events));
        assert_eq!(ladder.way(later), Some(Way::Socket));
        assert!(ladder.failed(Way::Socket, later + Duration::from_secs(60)), "once is enough");
    }

    #[test]
    fn success_forgives_the_failures_before_it() {
        let (now, mut ladder) = (Instant::now(), Ladder::new(&Way::ALL));
        ladder.failed(Way::Socket, now + Duration::from_secs(60));
        ladder.worked(Way::Socket);
        assert!(!ladder.failed(Way::Socket, now + Duration::from_secs(60)));
    }

    #[test]
    fn the_last_way_never_rests() {
        let (now, mut ladder) = (Instant::now(), Ladder::new(&[Way::Socket, Way::Poll]));
        let later = now + Duration::from_secs(60);
        for _ in 0..9 {
            assert!(!ladder.failed(Way::Poll, later));
        }
        ladder.failed(Way::Socket, later);
        ladder.failed(Way::Socket, later);
        assert_eq!(ladder.way(now), Some(Way::Poll));
        ladder.bar(Way::Poll);
        assert_eq!(ladder.way(now), Some(Way::Socket), "the last that is left does not rest");
        ladder.bar(Way::Socket);
        assert_eq!(ladder.way(now), None);
    }

    #[test]
    fn who_rests_can_be_woken() {
        let (now, mut ladder) = (Instant::now(), Ladder::new(&Way::ALL));
        ladder.failed(Way::Socket, now + Duration::from_secs(60));
        ladder.failed(Way::Socket, now + Duration::from_secs(60));
        ladder.wake(now + Duration::from_secs(5));
        assert_eq!(ladder.way(now), Some(Way::Events));
        assert_eq!(ladder.way(now + Duration::from_secs(5)), Some(Way::Socket));
    }
}
