//! Another process takes the balancer's place.

use super::Act::{Clients, ClientsServed, Pause, Repeat, RetiredEnded, Upgrade};
use super::{Event, HOST};
use crate::load::{Mix, Request};
use crate::proxy::Kind;

pub(super) const ALL: &[&Event] = &[&UPGRADES];

const UPGRADES: Event = Event {
    name: "upgrade",
    what: "a new process takes over ten times, 0.3 s apart, while 4 slow clients read 20 MB each",
    script: &[
        // They begin before the first takeover, and stay with that process to their end.
        Clients(4, Request::Slow(20_000_000, 1)),
        Pause(300),
        Repeat(10, &[Upgrade, Pause(300)]),
        ClientsServed,
        RetiredEnded,
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    proven: HOST,
    absent: &[
        (Kind::Envoy, "its hot restart takes a program around it"),
        (
            Kind::Haproxy,
            "its master takes another process on by a reload",
        ),
        (
            Kind::Nginx,
            "its master takes another process on by a reload",
        ),
    ],
    ..Event::QUIET
};
