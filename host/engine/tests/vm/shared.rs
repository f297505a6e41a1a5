//! What VMs share: data, queues and metrics.

use proxy_wasm_engine::{MetricKind, Shared};

use crate::fixture::{
    BAD_ARGUMENT, CAS_MISMATCH, EMPTY, FAR, INVALID_MEMORY, NOT_FOUND, OK, statuses,
};
use crate::guest::{Guest, L, N, R1, R2, R3, call, s};

#[test]
fn shared_data_is_written_by_compare_and_swap() {
    let shared = Shared::new();
    let get = |key: &str| call("proxy_get_shared_data", [s(key), R1, R2, R3]);
    let set =
        |key: &str, value: &str, cas| call("proxy_set_shared_data", [s(key), s(value), N(cas)]);
    let first = Guest::new().on(
        "proxy_on_tick",
        [
            get("k"),
            set("k", "one", 0),
            get("k"),
            set("k", "two", 999_999),
            get("k"),
        ],
    );
    let mut run = first.start_in(&shared).unwrap();
    run.tick().unwrap();
    assert_eq!(run.outcome(0).status, NOT_FOUND);
    assert_eq!(run.outcome(2).bytes, b"one");
    assert_ne!(run.outcome(2).numbers[2], 0, "a value always has a version");
    assert_eq!(run.outcome(3).status, CAS_MISMATCH);
    assert_eq!(run.outcome(4).bytes, b"one");

    // A second VM of the same id sees it, and swaps it by its version.
    let cas = i64::from(run.outcome(4).numbers[2]);
    drop(run);
    let second = Guest::new().on(
        "proxy_on_tick",
        [
            get("k"),
            set("k", "three", cas),
            get("k"),
            set("k", "", cas),
            set("new", "x", 12345),
        ],
    );
    let mut run = second.start_in(&shared).unwrap();
    run.tick().unwrap();
    assert_eq!(
        run.outcome(0).bytes,
        b"one",
        "it outlived the VM that wrote it"
    );
    assert_eq!(run.outcome(1).status, OK);
    assert_eq!(run.outcome(2).bytes, b"three");
    assert_eq!(run.outcome(3).status, CAS_MISMATCH, "that version is gone");
    assert_eq!(
        run.outcome(4).status,
        OK,
        "a key that is not there takes any version"
    );

    // A VM of another id does not.
    let other = Guest::new().config(|config| config.vm_id = "other".into());
    let mut run = other
        .on("proxy_on_tick", [get("k")])
        .start_in(&shared)
        .unwrap();
    run.tick().unwrap();
    assert_eq!(run.outcome(0).status, NOT_FOUND);
}

#[test]
fn shared_data_checks_every_address() {
    let key = || s("k");
    statuses(&[
        (
            "written",
            call("proxy_set_shared_data", [key(), s(""), N(0)]),
            OK,
        ),
        (
            "empty",
            call("proxy_get_shared_data", [key(), R1, R2, R3]),
            OK,
        ),
        (
            "no key",
            call("proxy_get_shared_data", [FAR, N(1), R1, R2, R3]),
            INVALID_MEMORY,
        ),
        (
            "no address",
            call("proxy_get_shared_data", [key(), FAR, R2, R3]),
            INVALID_MEMORY,
        ),
        (
            "no length",
            call("proxy_get_shared_data", [key(), R1, FAR, R3]),
            INVALID_MEMORY,
        ),
        (
            "no version",
            call("proxy_get_shared_data", [key(), R1, R2, FAR]),
            INVALID_MEMORY,
        ),
        (
            "no key to set",
            call("proxy_set_shared_data", [FAR, N(9), s("v"), N(0)]),
            INVALID_MEMORY,
        ),
        (
            "no value",
            call("proxy_set_shared_data", [key(), FAR, N(9), N(0)]),
            INVALID_MEMORY,
        ),
    ]);
}

#[test]
fn metrics_count_as_envoys_do() {
    let define = |kind, name: &str| call("proxy_define_metric", [N(kind), s(name), R1]);
    let counter = 1 << 2;
    let gauge = 1 << 2 | 1;
    let histogram = 1 << 2 | 2;
    let run = Guest::ticking([
        define(0, "c"),
        define(1, "g"),
        define(2, "h"),
        define(0, "c"),
        define(3, "x"),
        call("proxy_increment_metric", [N(counter), L(3)]),
        call("proxy_increment_metric", [N(counter), L(0)]),
        call("proxy_increment_metric", [N(counter), L(-1)]),
        call("proxy_record_metric", [N(counter), L(4)]),
        call("proxy_get_metric", [N(counter), R1]),
        call("proxy_record_metric", [N(gauge), L(10)]),
        call("proxy_increment_metric", [N(gauge), L(-3)]),
        call("proxy_get_metric", [N(gauge), R1]),
        call("proxy_increment_metric", [N(histogram), L(1)]),
        call("proxy_record_metric", [N(histogram), L(7)]),
        call("proxy_get_metric", [N(histogram), R1]),
        call("proxy_get_metric", [N(99 << 2), R1]),
        call("proxy_increment_metric", [N(99 << 2 | 1), L(1)]),
        call("proxy_record_metric", [N(99 << 2 | 2), L(1)]),
        call("proxy_get_metric", [N(0), R1]),
        call("proxy_get_metric", [N(counter), FAR]),
        call("proxy_define_metric", [N(0), FAR, N(1), R1]),
        call("proxy_define_metric", [N(0), s("n"), FAR]),
    ]);
    let ids: Vec<u32> = (0..4).map(|index| run.outcome(index).numbers[0]).collect();
    assert_eq!(
        ids,
        [4, 5, 6, 4],
        "the low bits tell the kind; a name keeps its id"
    );
    let rest: Vec<u32> = (4..23).map(|index| run.outcome(index).status).collect();
    let expected = [
        BAD_ARGUMENT,
        OK,
        BAD_ARGUMENT,
        BAD_ARGUMENT,
        OK,
        OK,
        OK,
        OK,
        OK,
        BAD_ARGUMENT,
        OK,
        BAD_ARGUMENT,
        NOT_FOUND,
        NOT_FOUND,
        NOT_FOUND,
        NOT_FOUND,
        INVALID_MEMORY,
        INVALID_MEMORY,
        INVALID_MEMORY,
    ];
    assert_eq!(rest, expected);
    assert_eq!(run.outcome(9).numbers[0], 7, "recording on a counter adds");
    assert_eq!(run.outcome(12).numbers[0], 7);
    assert_eq!(run.shared.metric("g"), Some(7));
    let metrics = run.shared.metrics();
    let known: Vec<_> = metrics
        .iter()
        .map(|m| (m.name.as_str(), m.kind, m.value))
        .collect();
    let expected = [
        ("c", MetricKind::Counter, 7),
        ("g", MetricKind::Gauge, 7),
        ("h", MetricKind::Histogram, 1),
    ];
    assert_eq!(known, expected);
    let histogram = metrics.last().unwrap();
    assert_eq!((histogram.sum, histogram.buckets[1]), (7, (5, 0)));
    assert_eq!(histogram.buckets[2], (10, 1));
}

#[test]
fn queues_tell_who_registered_them() {
    let shared = Shared::new();
    let take = call("proxy_dequeue_shared_queue", [N(1), R1, R2]);
    let reader = Guest::new()
        .on(
            "proxy_on_tick",
            [
                call("proxy_register_shared_queue", [s("q"), R1]),
                take.clone(),
            ],
        )
        .on("proxy_on_queue_ready", [take]);
    let mut reader = reader.start_in(&shared).unwrap();
    reader.tick().unwrap();
    assert_eq!(reader.outcome(0).numbers[0], 1);
    assert_eq!(reader.outcome(1).status, EMPTY);

    let resolve = |vm: &str, name: &str| call("proxy_resolve_shared_queue", [s(vm), s(name), R1]);
    let writer = Guest::new()
        .config(|config| config.vm_id = "writer".into())
        .on(
            "proxy_on_tick",
            [
                resolve("vm", "q"),
                resolve("", "q"),
                resolve("vm", "other"),
                call("proxy_enqueue_shared_queue", [N(1), s("hello")]),
                call("proxy_enqueue_shared_queue", [N(2), s("hello")]),
                call("proxy_dequeue_shared_queue", [N(9), R1, R2]),
                call("proxy_enqueue_shared_queue", [N(1), FAR, N(1)]),
            ],
        );
    let mut writer = writer.start_in(&shared).unwrap();
    writer.tick().unwrap();
    assert_eq!(
        writer.statuses(7),
        [
            OK,
            NOT_FOUND,
            NOT_FOUND,
            OK,
            NOT_FOUND,
            NOT_FOUND,
            INVALID_MEMORY
        ]
    );
    assert!(!reader.done(2), "nobody is called from elsewhere");
    reader.vm.deliver().unwrap();
    assert_eq!(reader.outcome(2).bytes, b"hello");
}
