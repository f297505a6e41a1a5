//! All replicas are restarted, one after the other, as for an upgrade.

use super::Act::{Emptied, Kill, Order, Pause, Repeat, Start, Terminate};
use super::{Event, Excuse, HOST, NO_ORDERS};
use crate::load::{Mix, Outcome};
use crate::proxy::Kind;

pub(super) const ALL: &[&Event] = &[
    &THREE_SLOWLY,
    &THREE,
    &THREE_FAST,
    &TWO_SLOWLY,
    &TWO,
    &TWO_FAST,
    &THREE_GRACEFUL,
    &TWO_GRACEFUL,
    &THREE_DRAINED,
    &TWO_DRAINED,
];

const THREE_SLOWLY: Event = Event {
    name: "rolling-3-slow",
    what: "each of three is killed and started after 0.5 s; the next one 3 s later",
    script: &[
        Kill(1),
        Pause(500),
        Start(1),
        Pause(3000),
        Kill(2),
        Pause(500),
        Start(2),
        Pause(3000),
        Kill(3),
        Pause(500),
        Start(3),
        Pause(2000),
    ],
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const THREE: Event = Event {
    name: "rolling-3",
    what: "each of three is killed and started after 0.5 s; the next one 1 s later; twice",
    script: &[
        Repeat(
            2,
            &[
                Kill(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Kill(2),
                Pause(500),
                Start(2),
                Pause(1000),
                Kill(3),
                Pause(500),
                Start(3),
                Pause(1000),
            ],
        ),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const THREE_FAST: Event = Event {
    name: "rolling-3-fast",
    what: "each of three is killed and started after 0.3 s; the next one 0.1 s later; four times",
    script: &[
        Repeat(
            4,
            &[
                Kill(1),
                Pause(300),
                Start(1),
                Pause(100),
                Kill(2),
                Pause(300),
                Start(2),
                Pause(100),
                Kill(3),
                Pause(300),
                Start(3),
                Pause(100),
            ],
        ),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const TWO_SLOWLY: Event = Event {
    name: "rolling-2-slow",
    what: "each of two is killed and started after 0.5 s; the other one 3 s later",
    script: &[
        Kill(1),
        Pause(500),
        Start(1),
        Pause(3000),
        Kill(2),
        Pause(500),
        Start(2),
        Pause(2000),
    ],
    replicas: 2,
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const TWO: Event = Event {
    name: "rolling-2",
    what: "each of two is killed and started after 0.5 s; the other one 1 s later; three times",
    script: &[
        Repeat(
            3,
            &[
                Kill(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Kill(2),
                Pause(500),
                Start(2),
                Pause(1000),
            ],
        ),
        Pause(1000),
    ],
    replicas: 2,
    proven: HOST,
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const TWO_FAST: Event = Event {
    name: "rolling-2-fast",
    what: "each of two is killed and started after 0.3 s; the other one 0.1 s later; five times",
    script: &[
        Repeat(
            5,
            &[
                Kill(1),
                Pause(300),
                Start(1),
                Pause(100),
                Kill(2),
                Pause(300),
                Start(2),
                Pause(100),
            ],
        ),
        Pause(1000),
    ],
    replicas: 2,
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const ENVOY_LOSES_THE_QUEUE: Excuse = Excuse {
    kind: Kind::Envoy,
    why: "what waits in the queue of a replica that stops listening is reset by its kernel, and \
          tcp_proxy keeps nothing that it could send again",
    errors: &[Outcome::ResetUnserved],
    // Six restarts within some 16,000 connections.
    one_in: 1000,
    left: &[],
};

const THREE_GRACEFUL: Event = Event {
    name: "rolling-3-graceful",
    what: "each of three ends what it serves, is gone for 0.5 s; the next one 1 s later; twice",
    script: &[
        Repeat(
            2,
            &[
                Terminate(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Terminate(2),
                Pause(500),
                Start(2),
                Pause(1000),
                Terminate(3),
                Pause(500),
                Start(3),
                Pause(1000),
            ],
        ),
        Pause(1000),
    ],
    excused: &[ENVOY_LOSES_THE_QUEUE],
    ..Event::QUIET
};

const TWO_GRACEFUL: Event = Event {
    name: "rolling-2-graceful",
    what: "each of two ends what it serves, is gone for 0.5 s; the other one 1 s later; twice",
    script: &[
        Repeat(
            2,
            &[
                Terminate(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Terminate(2),
                Pause(500),
                Start(2),
                Pause(1000),
            ],
        ),
        Pause(1000),
    ],
    replicas: 2,
    proven: HOST,
    excused: &[ENVOY_LOSES_THE_QUEUE],
    ..Event::QUIET
};

const THREE_DRAINED: Event = Event {
    name: "rolling-3-drained",
    what: "each of three is drained, ends, is started after 0.5 s and ready again; twice",
    script: &[
        Repeat(
            2,
            &[
                Order(1, "drain"),
                Emptied(1),
                Terminate(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Order(1, "ready"),
                Order(2, "drain"),
                Emptied(2),
                Terminate(2),
                Pause(500),
                Start(2),
                Pause(1000),
                Order(2, "ready"),
                Order(3, "drain"),
                Emptied(3),
                Terminate(3),
                Pause(500),
                Start(3),
                Pause(1000),
                Order(3, "ready"),
            ],
        ),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_ORDERS],
    ..Event::QUIET
};

const TWO_DRAINED: Event = Event {
    name: "rolling-2-drained",
    what: "each of two is drained, ends, is started after 0.5 s and ready again; twice",
    script: &[
        Repeat(
            2,
            &[
                Order(1, "drain"),
                Emptied(1),
                Terminate(1),
                Pause(500),
                Start(1),
                Pause(1000),
                Order(1, "ready"),
                Order(2, "drain"),
                Emptied(2),
                Terminate(2),
                Pause(500),
                Start(2),
                Pause(1000),
                Order(2, "ready"),
            ],
        ),
        Pause(1000),
    ],
    replicas: 2,
    mix: Mix::GetsAndPosts,
    absent: &[NO_ORDERS],
    ..Event::QUIET
};
