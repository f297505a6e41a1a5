//! One of three replicas fails, in each way there is.

use super::Act::{
    BlackHole, Certificate as Has, Continue, Fault as Does, Heal, Kill, Pause, Reload, Repeat,
    Sees, Start, Stop,
};
use super::{
    BOTH, Certificate, Change, ENVOY, ENVOY_SENDS_ONCE, Event, HOST, NO_CHECKS, NO_RELOAD, Sight,
    Wiring,
};
use crate::load::Mix;
use crate::replica::Fault;

pub(super) const ALL: &[&Event] = &[
    &KILLED,
    &STOPPED,
    &BLACK_HOLE,
    &FULL_BACKLOG,
    &RESETS,
    &CLOSES,
    &RESETS_REQUESTS,
    &CLOSES_REQUESTS,
    &RESETS_TLS,
    &CLOSES_TLS,
    &SLOW,
    &SICK,
    &HANGS,
    &FLAPS,
    &SICK_FLAPS,
    &WRONG_NAME,
    &EXPIRED,
    &SELF_SIGNED,
    &KILLED_RELOADED,
];

const KILLED: Event = Event {
    name: "replica-killed",
    what: "one of three is killed, and started again after 3 s",
    script: &[Kill(1), Pause(3000), Start(1), Pause(2000)],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const STOPPED: Event = Event {
    name: "replica-stopped",
    what: "one of three is stopped for 4 s: its kernel accepts, nobody answers",
    script: &[Stop(1), Pause(4000), Continue(1), Pause(2000)],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const BLACK_HOLE: Event = Event {
    name: "black-hole",
    what: "every packet of one of three is dropped for 4 s",
    script: &[BlackHole(1), Pause(4000), Heal(1), Pause(2000)],
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const FULL_BACKLOG: Event = Event {
    name: "full-backlog",
    what: "one of three accepts nothing for 4 s, and its queue is full",
    script: &[
        Does(1, Fault::FullBacklog),
        Pause(4000),
        Does(1, Fault::None),
        Pause(2000),
    ],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const RESETS: Event = Event {
    name: "resets-on-accept",
    what: "one of three resets whatever it accepts, for 4 s; probes too",
    script: &[
        Does(1, Fault::ResetsOnAccept),
        Pause(4000),
        Does(1, Fault::None),
        Pause(2000),
    ],
    excused: &[ENVOY_SENDS_ONCE],
    proven: HOST,
    ..Event::QUIET
};

const CLOSES: Event = Event {
    name: "closes-on-accept",
    what: "one of three closes whatever it accepts, for 4 s; probes too",
    script: &[
        Does(1, Fault::ClosesOnAccept),
        Pause(4000),
        Does(1, Fault::None),
        Pause(2000),
    ],
    excused: &[ENVOY_SENDS_ONCE],
    proven: HOST,
    ..Event::QUIET
};

const RESETS_REQUESTS: Event = Event {
    name: "resets-requests",
    what: "one of three resets when it has read a request, for 4 s; its probes are well",
    script: &[
        Does(1, Fault::ResetsRequests),
        Pause(4000),
        Does(1, Fault::None),
        Pause(2000),
    ],
    excused: &[ENVOY_SENDS_ONCE],
    proven: HOST,
    ..Event::QUIET
};

const CLOSES_REQUESTS: Event = Event {
    name: "closes-requests",
    what: "one of three closes when it has read a request, for 4 s; its probes are well",
    script: &[
        Does(1, Fault::ClosesRequests),
        Pause(4000),
        Does(1, Fault::None),
        Pause(2000),
    ],
    excused: &[ENVOY_SENDS_ONCE],
    ..Event::QUIET
};

const RESETS_TLS: Event = Event {
    name: "resets-tls",
    what: "as resets-on-accept; every fourth client speaks TLS",
    script: RESETS.script,
    mix: Mix::GetsAndTls,
    excused: &[ENVOY_SENDS_ONCE],
    ..Event::QUIET
};

const CLOSES_TLS: Event = Event {
    name: "closes-tls",
    what: "as closes-on-accept; every fourth client speaks TLS",
    script: CLOSES.script,
    mix: Mix::GetsAndTls,
    excused: &[ENVOY_SENDS_ONCE],
    proven: HOST,
    ..Event::QUIET
};

const SLOW: Event = Event {
    name: "slow-answers",
    what: "one of three answers everything 400 ms late, for 4 s",
    script: &[
        Does(1, Fault::Slow(400)),
        Pause(4000),
        Does(1, Fault::None),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    ..Event::QUIET
};

const SICK: Event = Event {
    name: "ping-503",
    what: "one of three says 503 to its probes for 5 s, and serves its clients",
    script: &[
        Does(1, Fault::Sick),
        Pause(5000),
        Sees(1, Sight::Unhealthy),
        Does(1, Fault::None),
        Pause(2000),
        Sees(1, Sight::Healthy),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_CHECKS],
    proven: BOTH,
    ..Event::QUIET
};

const HANGS: Event = Event {
    name: "ping-hangs",
    what: "one of three does not answer its probes for 5 s, and serves its clients",
    script: &[
        Does(1, Fault::HangsPing),
        Pause(5000),
        Sees(1, Sight::Unhealthy),
        Does(1, Fault::None),
        Pause(2000),
        Sees(1, Sight::Healthy),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_CHECKS],
    ..Event::QUIET
};

const FLAPS: Event = Event {
    name: "replica-flaps",
    what: "one of three is killed and started eight times, every 0.2 s",
    script: &[
        Repeat(8, &[Kill(1), Pause(200), Start(1), Pause(200)]),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const SICK_FLAPS: Event = Event {
    name: "ping-flaps",
    what: "the probes of one of three say 503 and 200 by turns, six times every 1.8 s",
    script: &[
        Repeat(
            6,
            &[
                Does(1, Fault::Sick),
                Pause(900),
                Does(1, Fault::None),
                Pause(900),
            ],
        ),
        // Most turns are over before a third probe.
        Does(1, Fault::Sick),
        Sees(1, Sight::FailedProbe),
        Does(1, Fault::None),
        Pause(1000),
        Sees(1, Sight::Healthy),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_CHECKS],
    ..Event::QUIET
};

const WRONG_NAME: Event = Event {
    name: "certificate-wrong-name",
    what: "the certificate of one of three is for another name, for 5 s",
    script: &[
        Has(1, Certificate::WrongName),
        Pause(5000),
        Sees(1, Sight::Unhealthy),
        Has(1, Certificate::Right),
        Pause(2000),
        Sees(1, Sight::Healthy),
    ],
    wiring: Wiring::Certificates,
    absent: &[NO_CHECKS],
    proven: HOST,
    ..Event::QUIET
};

const EXPIRED: Event = Event {
    name: "certificate-expired",
    what: "the certificate of one of three has expired, for 5 s",
    script: &[
        Has(1, Certificate::Expired),
        Pause(5000),
        Sees(1, Sight::Unhealthy),
        Has(1, Certificate::Right),
        Pause(2000),
        Sees(1, Sight::Healthy),
    ],
    proven: ENVOY,
    ..WRONG_NAME_AS_BASE
};

const SELF_SIGNED: Event = Event {
    name: "certificate-self-signed",
    what: "the certificate of one of three is signed by itself, for 5 s",
    script: &[
        Has(1, Certificate::SelfSigned),
        Pause(5000),
        Sees(1, Sight::Unhealthy),
        Has(1, Certificate::Right),
        Pause(2000),
        Sees(1, Sight::Healthy),
    ],
    ..WRONG_NAME_AS_BASE
};

const WRONG_NAME_AS_BASE: Event = Event {
    proven: &[],
    ..WRONG_NAME
};

const KILLED_RELOADED: Event = Event {
    name: "replica-killed-reload",
    what: "one of three is killed, and the balancer reloaded 0.3 s later, twice",
    script: &[Repeat(
        2,
        &[
            Kill(1),
            Pause(300),
            Reload(Change::Nothing),
            Pause(1500),
            Start(1),
            Pause(300),
            Reload(Change::Nothing),
            Pause(1500),
        ],
    )],
    mix: Mix::GetsAndPosts,
    absent: &[NO_RELOAD],
    ..Event::QUIET
};
