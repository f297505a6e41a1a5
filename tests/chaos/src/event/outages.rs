//! Several replicas at once, and all of them.

use super::Act::{AllDown, Kill, Pause, Start, Up};
use super::{BOTH, Event, Expected};
use crate::load::Mix;

pub(super) const ALL: &[&Event] = &[&TWO, &TENTH, &SECOND, &FIVE];

const TWO: Event = Event {
    name: "two-of-three",
    what: "two of three are killed at once, and started again after 3 s",
    script: &[
        Kill(1),
        Kill(2),
        Pause(3000),
        Start(1),
        Start(2),
        Pause(2000),
    ],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const TENTH: Event = Event {
    name: "all-down-0.1s",
    what: "all three are killed, and started again after 0.1 s",
    script: &[
        Kill(1),
        Kill(2),
        AllDown,
        Kill(3),
        Pause(100),
        Start(1),
        Up,
        Start(2),
        Start(3),
        Pause(2000),
    ],
    expected: Expected::NoErrorOnce("one serves again", 0),
    proven: BOTH,
    ..Event::QUIET
};

const SECOND: Event = Event {
    name: "all-down-1s",
    what: "all three are killed, and started again after 1 s",
    script: &[
        Kill(1),
        Kill(2),
        AllDown,
        Kill(3),
        Pause(1000),
        Start(1),
        Up,
        Start(2),
        Start(3),
        Pause(2000),
    ],
    expected: Expected::NoErrorOnce("one serves again", 2500),
    ..Event::QUIET
};

const FIVE: Event = Event {
    name: "all-down-5s",
    what: "all three are killed, and started again after 5 s",
    script: &[
        Kill(1),
        Kill(2),
        AllDown,
        Kill(3),
        Pause(5000),
        Start(1),
        Up,
        Start(2),
        Start(3),
        Pause(3000),
    ],
    expected: Expected::NoErrorOnce("one serves again", 2500),
    ..Event::QUIET
};
