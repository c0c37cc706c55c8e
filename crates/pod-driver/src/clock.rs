//! Notices when the wall clock is set, so that no wait ends early or late for it.

use crate::world::Clock;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Less than this is left alone: clocks are slewed, and between the readings of two clocks a moment passes.
const LEAST: SignedDuration = SignedDuration::from_secs(5);

/// Both clocks as they were looked at last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    wall: Timestamp,
    steady: Duration,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn new(clock: &impl Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
        }
    }

    /// The time now, and by how much the wall clock was set since this was asked last.
    pub(crate) fn look(&mut self, clock: &impl Clock) -> (Timestamp, Option<SignedDuration>) {
        let seen = Self::new(clock);
        let passed = seen.steady.saturating_sub(self.steady);
        let by = SignedDuration::try_from(passed)
            .map(|passed| seen.wall.duration_since(self.wall).saturating_sub(passed))
            .unwrap_or_default();
        *self = seen;
        (seen.wall, (by.abs() >= LEAST).then_some(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Both(Mutex<(i64, u64)>);

    impl Clock for Both {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.lock().unwrap().0).unwrap()
        }

        fn steady(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().1)
        }
    }

    #[test]
    fn a_clock_that_is_set_is_told_from_time_that_passes() {
        let clock = Both(Mutex::new((1000, 7)));
        let mut watch = Watch::new(&clock);
        for (wall, steady, set) in [
            (1010, 17, None),
            (4620, 27, Some(3600)),
            (4622, 28, None),
            (1023, 29, Some(-3600)),
            (90_000, 88_906, Some(100)),
        ] {
            *clock.0.lock().unwrap() = (wall, steady);
            let (now, by) = watch.look(&clock);
            assert_eq!(now.as_second(), wall);
            assert_eq!(by, set.map(SignedDuration::from_secs), "at {wall}");
        }
    }
}
