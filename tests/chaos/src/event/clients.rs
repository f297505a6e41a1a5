//! Clients that are not like others.

use super::Act::{Clients, ClientsServed, Pause, Release, Vanish};
use super::{Event, Excuse, HOST};
use crate::load::{Mix, Outcome, Request};
use crate::proxy::Kind;

pub(super) const ALL: &[&Event] = &[&SLOW_READERS, &VANISHED, &BOTH_WAYS, &EARLY];

const SLOW_READERS: Event = Event {
    name: "slow-readers",
    what: "100 clients read 1 MB each, 4 KiB every 10 ms",
    script: &[
        Clients(100, Request::Slow(1_000_000, 10)),
        ClientsServed,
        Pause(500),
    ],
    ..Event::QUIET
};

const VANISHED: Event = Event {
    name: "clients-vanish",
    what: "50 clients end their side and vanish while they wait for an answer; dtr-lb's half_close_timeout is 3 s, Envoy's idle_timeout 5 s",
    fields: r#"{ "half_close_timeout": "3s" }"#,
    // It has no timeout of half-closed connections.
    envoy_fields: r#"{ "idle_timeout": "5s" }"#,
    script: &[Vanish(50), Pause(2000), Release],
    ..Event::QUIET
};

const BOTH_WAYS: Event = Event {
    name: "half-close-100mb",
    what: "two clients send and receive 100 MB at the same time and end their side first; two send 100 MB after the replica has ended its own",
    script: &[
        Clients(2, Request::Exchange(100_000_000)),
        Clients(2, Request::EndedFirst(100_000_000)),
        ClientsServed,
    ],
    most: 50,
    ..Event::QUIET
};

const EARLY: Event = Event {
    name: "early-answers",
    what: "each request, of 300 kB or 3 MB, is answered before it is read, and closed",
    script: &[Pause(3000)],
    mix: Mix::Early,
    excused: &[Excuse {
        kind: Kind::Envoy,
        why: "when tcp_proxy can't write to a replica it closes the client, whatever had come for it",
        errors: &[
            Outcome::ClosedUnserved,
            Outcome::ResetUnserved,
            Outcome::ClosedEarly,
            Outcome::Reset,
        ],
        one_in: 1,
        left: &[],
    }],
    proven: HOST,
    most: 30,
    ..Event::QUIET
};
