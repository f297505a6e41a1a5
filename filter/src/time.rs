//! Time, as the filter knows it: since its VM started, never going back.

use std::time::Duration;

/// A point in time of one VM; Moments of different VMs can't be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// When the VM started.
    pub const START: Moment = Moment(Duration::ZERO);

    /// The Moment `age` after the VM started.
    pub const fn at(age: Duration) -> Moment {
        Moment(age)
    }

    /// How long the VM has run.
    pub const fn age(self) -> Duration {
        self.0
    }

    /// The Moment a span later.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(span))
    }

    /// How long ago `earlier` was; zero when it is yet to come.
    pub const fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// To reckon with.
    pub(crate) moment: Moment,
    /// Unix milliseconds, to be shown only.
    pub(crate) unix_ms: u64,
}

/// Makes Moments out of a wall clock that may be set back or ahead.
///
/// A step back counts as no time; a step ahead longer than [`Clock::LONGEST`]
/// counts as that long, or probes in flight would time out although none
/// was kept waiting. Ticks are shorter, so in quiet times none is lost.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now: Moment,
    wall: Option<Duration>,
}

impl Clock {
    /// The longest time that may pass between two readings.
    pub const LONGEST: Duration = Duration::from_secs(1);

    /// Takes in a reading of the wall clock: time since the Unix epoch.
    pub fn read(&mut self, wall: Duration) -> Moment {
        let step = wall.saturating_sub(self.wall.unwrap_or(wall));
        self.now = self.now.plus(step.min(Clock::LONGEST));
        self.wall = Some(wall);
        self.now
    }

    /// The last reading.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// What the wall clock showed at the last reading, in Unix milliseconds.
    pub fn unix_ms(&self) -> u64 {
        let wall = self.wall.unwrap_or_default();
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_or_far_ahead_does_not_upset_the_moment() {
        let ms = Duration::from_millis;
        let mut clock = Clock::default();
        let cases = [
            ("the first reading is the start", 5_000_000, 0),
            ("time goes on", 5_000_250, 250),
            ("set back by an hour: no time passed", 1_400_000, 250),
            ("and goes on from there", 1_400_100, 350),
            ("set ahead by an hour: one second passed", 5_000_100, 1350),
        ];
        for (why, wall, age) in cases {
            assert_eq!(clock.read(ms(wall)), Moment::at(ms(age)), "{why}");
        }
        assert_eq!(
            clock.unix_ms(),
            5_000_100,
            "shown times follow the wall clock"
        );
    }
}
