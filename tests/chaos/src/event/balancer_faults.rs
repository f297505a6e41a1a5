//! Something happens to the balancer itself.

use super::Act::{
    AllDown, BalancerEnded, Clients, ClientsServed, ContinueBalancer, ContinueWorker, Counted,
    EndBalancer, EndLoad, FillLog, FloodAdmin, Idle, IdleOnAdmin, Pause, Release, Reload, Repeat,
    StopBalancer, StopWorker, Up,
};
use super::{BOTH, Change, Event, Excuse, Expected, HOST, NO_RELOAD};
use crate::load::{Mix, Outcome, Request};
use crate::proxy::{Kind, Log};

pub(super) const ALL: &[&Event] = &[
    &RELOADS,
    &RELOAD_ROUNDS,
    &REPLICAS_COME_AND_GO,
    &LISTENERS_COME_AND_GO,
    &CRASHES,
    &STOPPED,
    &WORKER_STOPPED,
    &FULL,
    &FULL_ADMIN,
    &FLOODED,
    &LOG_FULL,
    &DISK_FULL,
    &ENDS,
];

const RELOADS: Event = Event {
    name: "reloads",
    what: "twenty reloads of the same configuration, 0.2 s apart",
    script: &[
        Repeat(20, &[Reload(Change::Nothing), Pause(200)]),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_RELOAD],
    ..Event::QUIET
};

const RELOAD_ROUNDS: Event = Event {
    name: "reload-rounds",
    what: "a hundred rounds of thirty reloads of the same configuration, 20 ms apart",
    script: &[Repeat(
        100,
        &[
            Repeat(30, &[Reload(Change::Nothing), Pause(20)]),
            Pause(200),
        ],
    )],
    absent: &[NO_RELOAD],
    ..Event::QUIET
};

const REPLICAS_COME_AND_GO: Event = Event {
    name: "reloads-replicas",
    what: "one of three is taken out of the configuration and put back, eight times every 0.3 s",
    script: &[
        Repeat(
            8,
            &[
                Reload(Change::Without(1)),
                Pause(300),
                Reload(Change::All),
                Pause(300),
            ],
        ),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_RELOAD],
    ..Event::QUIET
};

const LISTENERS_COME_AND_GO: Event = Event {
    name: "reloads-listeners",
    what: "a listener beside the clients' is added and removed, eight times every 0.3 s",
    script: &[
        Repeat(
            8,
            &[
                Reload(Change::OneMoreListener),
                Pause(300),
                Reload(Change::OneListenerLess),
                Pause(300),
            ],
        ),
        Pause(1000),
    ],
    mix: Mix::GetsAndPosts,
    absent: &[NO_RELOAD],
    ..Event::QUIET
};

const CRASHES: Event = Event {
    name: "filter-crashes",
    what: "a filter of the chain crashes at each new connection that meets it",
    script: &[Pause(4000), Counted("dtr_lb_host_vm_failures_total")],
    mix: Mix::GetsAndPosts,
    fields: r#"{ "filters": [{ "wasm": "crash.wasm" }] }"#,
    absent: &[
        (
            Kind::Envoy,
            "a crash closes all connections of its worker; see docs/envoy-differences.md",
        ),
        (Kind::Haproxy, "it has no such filters"),
        (Kind::Nginx, "it has no such filters"),
    ],
    proven: HOST,
    ..Event::QUIET
};

const STOPPED: Event = Event {
    name: "balancer-stopped",
    what: "the balancer is stopped for 2 s, twice",
    script: &[Repeat(
        2,
        &[StopBalancer, Pause(2000), ContinueBalancer, Pause(1500)],
    )],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const WORKER_STOPPED: Event = Event {
    name: "worker-stopped",
    what: "one worker of the balancer is stopped for 3 s",
    script: &[StopWorker, Pause(3000), ContinueWorker, Pause(2000)],
    mix: Mix::GetsAndPosts,
    proven: BOTH,
    ..Event::QUIET
};

const FULL: Event = Event {
    name: "few-descriptors",
    what: "400 open files and 150 connections at most, and 300 clients who say nothing for 2 s",
    fields: r#"{ "max_connections": 150 }"#,
    script: &[AllDown, Idle(300), Pause(2000), Release, Up, Pause(3000)],
    expected: Expected::NoErrorOnce("there is room", 500),
    descriptors: Some(400),
    proven: BOTH,
    ..Event::QUIET
};

const FULL_ADMIN: Event = Event {
    name: "admin-idle",
    what: "400 open files at most, and 500 clients of the admin pages who say nothing for 3 s",
    script: &[IdleOnAdmin(500), Pause(3000), Release, Pause(2000)],
    descriptors: Some(400),
    proven: BOTH,
    absent: &[
        (
            Kind::Haproxy,
            "its pages are on a socket that its operator alone opens",
        ),
        (Kind::Nginx, "it has no such pages"),
    ],
    ..Event::QUIET
};

const FLOODED: Event = Event {
    name: "admin-flooded",
    what: "100 clients ask for /status as fast as they can, for 3 s",
    script: &[FloodAdmin(100), Pause(3000), Release, Pause(1000)],
    absent: FULL_ADMIN.absent,
    proven: HOST,
    ..Event::QUIET
};

const LOG_FULL: Event = Event {
    name: "log-pipe-full",
    what: "the pipe of the log is full, and nobody reads it; then the balancer is asked to end",
    script: &[FillLog, Pause(3000), EndLoad, EndBalancer, BalancerEnded],
    log: Log::UnreadPipe,
    excused: &[Excuse {
        kind: Kind::Envoy,
        why: "its end waits for its log",
        errors: &[],
        one_in: 1,
        left: &["asked to end, "],
    }],
    proven: HOST,
    ..Event::QUIET
};

const DISK_FULL: Event = Event {
    name: "log-disk-full",
    what: "the log's disk is full; the balancer is reloaded, and then asked to end",
    script: &[
        Pause(1500),
        Reload(Change::Nothing),
        Pause(1500),
        EndLoad,
        EndBalancer,
        BalancerEnded,
    ],
    log: Log::FullDisk,
    proven: HOST,
    absent: &[NO_RELOAD],
    ..Event::QUIET
};

const ENDS: Event = Event {
    name: "ends-gracefully",
    what: "the balancer is asked to end while 4 slow clients read 20 MB each",
    script: &[
        // More than lies in the kernel's buffers, which outlive a balancer.
        Clients(4, Request::Slow(20_000_000, 1)),
        Pause(300),
        EndLoad,
        EndBalancer,
        ClientsServed,
        BalancerEnded,
    ],
    excused: &[Excuse {
        kind: Kind::Envoy,
        why: "SIGTERM ends it at once",
        errors: &[
            Outcome::ClosedUnserved,
            Outcome::ResetUnserved,
            Outcome::ClosedEarly,
            Outcome::Reset,
        ],
        // The four transfers, of some fifty connections in the short form.
        one_in: 10,
        left: &[],
    }],
    proven: HOST,
    ..Event::QUIET
};
