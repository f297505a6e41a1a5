//! The name server fails, or says something else.

use super::Act::{Asked, Dns as Says, Pause, Reload, Repeat, Terminate, Wait};
use super::{Change, Dns, Event, NO_NAMES, NO_RELOAD, Wiring};

pub(super) const ALL: &[&Event] = &[&MOVES, &NXDOMAIN, &SILENCE, &RELOADED, &SILENT_RELOADED];

const MOVES: Event = Event {
    name: "dns-moves",
    what: "the name of one of three leads to another machine; 3 s later the old one ends, and the other two 2 s after it",
    script: &[
        Says(Dns::Moved(4)),
        // Not shortened: a name holds for a second, and is asked for every second.
        Wait(3000),
        Asked,
        Terminate(1),
        Pause(2000),
        // The new machine alone is left.
        Terminate(2),
        Terminate(3),
        Pause(2000),
    ],
    replicas: 4,
    wiring: Wiring::Names,
    absent: &[NO_NAMES],
    ..Event::QUIET
};

const NXDOMAIN: Event = Event {
    name: "dns-nxdomain",
    what: "the name server says for 6 s that there are no such names",
    script: &[
        Says(Dns::NxDomain),
        Pause(6000),
        Asked,
        Says(Dns::Right),
        Pause(2000),
        Asked,
    ],
    wiring: Wiring::Names,
    absent: &[NO_NAMES],
    ..Event::QUIET
};

const SILENCE: Event = Event {
    name: "dns-silent",
    what: "the name server says nothing for 6 s",
    script: &[
        Says(Dns::Silent),
        Pause(6000),
        Asked,
        Says(Dns::Right),
        Pause(2000),
        Asked,
    ],
    wiring: Wiring::Names,
    absent: &[NO_NAMES],
    ..Event::QUIET
};

const RELOADED: Event = Event {
    name: "dns-nxdomain-reload",
    what: "as dns-nxdomain, and the balancer is reloaded three times meanwhile",
    script: &[
        Says(Dns::NxDomain),
        Repeat(3, &[Pause(1500), Reload(Change::Nothing)]),
        Pause(1500),
        Asked,
        Says(Dns::Right),
        Pause(2000),
        Asked,
    ],
    wiring: Wiring::Names,
    absent: &[NO_NAMES, NO_RELOAD],
    ..Event::QUIET
};

const SILENT_RELOADED: Event = Event {
    name: "dns-silent-reload",
    what: "as dns-silent, and the balancer is reloaded three times meanwhile",
    script: &[
        Says(Dns::Silent),
        Repeat(3, &[Pause(1500), Reload(Change::Nothing)]),
        Pause(1500),
        Asked,
        Says(Dns::Right),
        Pause(2000),
        Asked,
    ],
    wiring: Wiring::Names,
    absent: &[NO_NAMES, NO_RELOAD],
    ..Event::QUIET
};
