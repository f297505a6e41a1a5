//! Each host function: what it does, and what it refuses.

use std::time::Duration;

use bytes::BytesMut;
use proxy_wasm_engine::{
    CallReply, ContextId, Effect, End, HttpInfo, MetricKind, Profile, Shared, TcpInfo,
};

use crate::guest::{Arg, Guest, L, N, R1, R2, R3, Step, call, s};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const PARSE_FAILURE: u32 = 4;
const INVALID_MEMORY: u32 = 6;
const EMPTY: u32 = 7;
const CAS_MISMATCH: u32 = 8;
const UNIMPLEMENTED: u32 = 12;

/// An address far outside the four pages a test guest has.
const FAR: Arg = N(0x7fff_ffff);

/// Runs each call as one of `proxy_on_tick`, and compares the statuses.
#[track_caller]
fn statuses(cases: &[(&str, Step, u32)]) {
    let run = Guest::ticking(cases.iter().map(|(_, step, _)| step.clone()));
    for (index, (why, _, expected)) in cases.iter().enumerate() {
        assert_eq!(run.outcome(index as u8).status, *expected, "{why}");
    }
}

#[test]
fn logs_take_six_levels_and_readable_text() {
    statuses(&[
        ("a line", call("proxy_log", [N(2), s("hello")]), OK),
        ("an empty line", call("proxy_log", [N(0), s("")]), OK),
        ("critical", call("proxy_log", [N(5), s("no")]), OK),
        (
            "no such level",
            call("proxy_log", [N(6), s("x")]),
            BAD_ARGUMENT,
        ),
        (
            "a level below zero",
            call("proxy_log", [N(-1), s("x")]),
            BAD_ARGUMENT,
        ),
        (
            "text out of bounds",
            call("proxy_log", [N(2), FAR, N(1)]),
            INVALID_MEMORY,
        ),
        (
            "text of 4 GiB",
            call("proxy_log", [N(2), N(0), N(-1)]),
            INVALID_MEMORY,
        ),
        (
            "text that wraps around",
            call("proxy_log", [N(2), N(-4), N(8)]),
            INVALID_MEMORY,
        ),
        (
            "not even text",
            call("proxy_log", [N(2), s([0xff, 0xfe])]),
            OK,
        ),
    ]);
}

#[test]
fn time_is_told_in_nanoseconds() {
    let run = Guest::ticking([
        call("proxy_get_current_time_nanoseconds", [R1]),
        call("proxy_get_current_time_nanoseconds", [FAR]),
        call("proxy_get_log_level", [R1]),
        call("proxy_get_log_level", [FAR]),
    ]);
    let [low, high, ..] = run.outcome(0).words;
    let told = Duration::from_nanos(u64::from(high) << 32 | u64::from(low));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(
        now.abs_diff(told) < Duration::from_secs(60),
        "told {told:?}, it is {now:?}"
    );
    assert_eq!(run.statuses(4), [OK, INVALID_MEMORY, OK, INVALID_MEMORY]);
}

#[test]
fn ticks_are_set_per_root() {
    let mut run = Guest::ticking([
        call("proxy_set_tick_period_milliseconds", [N(250)]),
        call("proxy_set_tick_period_milliseconds", [N(0)]),
    ]);
    let root = run.root;
    let expected = vec![
        Effect::Tick {
            root,
            period: Some(Duration::from_millis(250)),
        },
        Effect::Tick { root, period: None },
    ];
    assert_eq!(run.effects(), expected);
}

#[test]
fn configurations_are_read_when_it_is_their_time() {
    let read = |kind| call("proxy_get_buffer_bytes", [N(kind), N(0), N(1000), R1, R2]);
    let run = Guest::new()
        .on("proxy_on_vm_start", [read(6), read(7)])
        .on(
            "proxy_on_configure",
            [read(6), read(7), call("proxy_get_configuration", [R1, R2])],
        )
        .start();
    assert_eq!(run.outcome(0).bytes, b"vm configuration");
    assert_eq!(
        run.outcome(1).status,
        NOT_FOUND,
        "no plugin is being configured"
    );
    assert_eq!(run.outcome(2).bytes, b"vm configuration");
    assert_eq!(run.outcome(3).bytes, b"plugin configuration");
    assert_eq!(
        run.outcome(4).bytes,
        b"plugin configuration",
        "as 0.1.0 asks for it"
    );
}

#[test]
fn buffers_are_read_in_part() {
    let read = |start, most| call("proxy_get_buffer_bytes", [N(6), N(start), N(most), R1, R2]);
    let run = Guest::ticking([
        read(3, 6),
        read(3, 1000),
        read(16, 5),
        read(1000, 5),
        read(-1, 5),
        read(0, -1),
        call("proxy_get_buffer_bytes", [N(9), N(0), N(1), R1, R2]),
        call("proxy_get_buffer_bytes", [N(6), N(0), N(1), FAR, R2]),
        call("proxy_get_buffer_bytes", [N(6), N(0), N(1), R1, FAR]),
        call("proxy_get_buffer_bytes", [N(2), N(0), N(1), R1, R2]),
        call("proxy_get_buffer_bytes", [N(4), N(0), N(1), R1, R2]),
        call("proxy_get_buffer_status", [N(6), R1, R2]),
        call("proxy_get_buffer_status", [N(6), FAR, R2]),
        call("proxy_get_buffer_status", [N(77), R1, R2]),
    ]);
    assert_eq!(run.outcome(0).bytes, b"config");
    assert_eq!(run.outcome(1).bytes, b"configuration");
    assert_eq!(
        run.outcome(2).words[..2],
        [0, 0],
        "at the end: nothing, at address 0"
    );
    assert_eq!(
        run.outcome(3).words[..2],
        [0, 0],
        "past the end: nothing, as in Envoy"
    );
    assert_eq!(
        run.outcome(4).words[..2],
        [0, 0],
        "far past the end: nothing"
    );
    assert_eq!(
        run.outcome(5).bytes,
        b"vm configuration",
        "as much as there is"
    );
    assert_eq!(run.outcome(6).status, BAD_ARGUMENT, "no such buffer");
    assert_eq!(run.outcome(7).status, INVALID_MEMORY);
    assert_eq!(run.outcome(8).status, INVALID_MEMORY);
    assert_eq!(
        run.outcome(9).status,
        OK,
        "no connection: empty, as in Envoy"
    );
    assert_eq!(
        run.outcome(10).status,
        NOT_FOUND,
        "no HTTP call was answered"
    );
    assert_eq!(run.outcome(11).words[..2], [16, 0]);
    assert_eq!(run.outcome(12).status, INVALID_MEMORY);
    assert_eq!(run.outcome(13).status, BAD_ARGUMENT);
}

/// Data of a connection after the guest set part of it.
fn data_after(profile: Profile, start: i64, len: i64, new: &str) -> (u32, String) {
    let set = call("proxy_set_buffer_bytes", [N(2), N(start), N(len), s(new)]);
    let guest = Guest::new().on("proxy_on_downstream_data", [set]);
    let mut run = guest.config(|config| config.profile = profile).start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    let mut data = BytesMut::from("0123456789");
    run.vm
        .downstream_data(context, &mut data, End::More)
        .unwrap();
    (
        run.outcome(0).status,
        String::from_utf8(data.to_vec()).unwrap(),
    )
}

#[test]
fn data_is_changed_at_its_ends_or_as_a_whole() {
    let cases = [
        ("at the front", 0, 0, "ab", OK, "ab0123456789"),
        ("all of it", 0, 10, "ab", OK, "ab"),
        ("more than all of it", 0, -1, "ab", OK, "ab"),
        ("at the end", 10, 0, "ab", OK, "0123456789ab"),
        ("beyond the end", 999, 5, "ab", OK, "0123456789ab"),
        ("in place of the first five", 0, 5, "ab", OK, "ab56789"),
        ("in the middle", 5, 0, "ab", BAD_ARGUMENT, "0123456789"),
        ("nothing instead of all", 0, 10, "", OK, ""),
    ];
    for (why, start, len, new, status, data) in cases {
        let expected = (status, data.to_owned());
        assert_eq!(
            data_after(Profile::Envoy, start, len, new),
            expected,
            "{why}"
        );
    }
}

#[test]
fn the_specification_lets_data_be_changed_anywhere() {
    let cases = [
        ("a part of it", 0, 5, "ab", "ab56789"),
        ("in the middle", 5, 0, "ab", "01234ab56789"),
        ("a part in the middle", 2, 3, "ab", "01ab56789"),
        ("beyond the end", 999, 5, "ab", "0123456789ab"),
    ];
    for (why, start, len, new, data) in cases {
        let expected = (OK, data.to_owned());
        assert_eq!(
            data_after(Profile::Spec, start, len, new),
            expected,
            "{why}"
        );
    }
}

#[test]
fn buffers_that_are_not_for_writing_are_not_written() {
    let set = |kind, at: Arg, len| call("proxy_set_buffer_bytes", [N(kind), N(0), N(0), at, len]);
    statuses(&[
        ("the VM's configuration", set(6, N(0), N(1)), BAD_ARGUMENT),
        (
            "a connection there is none of",
            set(2, N(0), N(1)),
            BAD_ARGUMENT,
        ),
        ("an answer there is none of", set(4, N(0), N(1)), NOT_FOUND),
        ("no such buffer", set(9, N(0), N(1)), BAD_ARGUMENT),
        ("bytes out of bounds", set(2, FAR, N(1)), INVALID_MEMORY),
    ]);
}

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
    assert_ne!(run.outcome(2).words[2], 0, "a value always has a version");
    assert_eq!(run.outcome(3).status, CAS_MISMATCH);
    assert_eq!(run.outcome(4).bytes, b"one");

    // A second VM of the same id sees it, and swaps it by its version.
    let cas = i64::from(run.outcome(4).words[2]);
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
    let ids: Vec<u32> = (0..4).map(|index| run.outcome(index).words[0]).collect();
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
    assert_eq!(run.outcome(9).words[0], 7, "recording on a counter adds");
    assert_eq!(run.outcome(12).words[0], 7);
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
fn an_http_call_names_a_cluster_and_what_it_wants() {
    let request = [
        (":method", "GET"),
        (":path", "/_ping"),
        (":authority", "dtr.example.com"),
    ];
    let dispatch = |cluster: &str, headers: &[(&str, &str)], body: &str, timeout| {
        call(
            "proxy_http_call",
            [
                s(cluster),
                s(pairs(headers)),
                s(body),
                s(""),
                N(timeout),
                R1,
            ],
        )
    };
    let mut run = Guest::ticking([
        dispatch("ping/r1", &request, "", 2000),
        dispatch("ping/r1", &request, "body", 0),
        dispatch("ping/unknown", &request, "", 2000),
        dispatch("ping/r1", &request[1..], "", 2000),
        dispatch("ping/r1", &[request[0], request[2]], "", 2000),
        dispatch("ping/r1", &request[..2], "", 2000),
        dispatch("ping/r1", &request, "", -1),
        call(
            "proxy_http_call",
            [s("ping/r1"), s("lies"), s(""), s(""), N(0), R1],
        ),
        call(
            "proxy_http_call",
            [s("ping/r1"), FAR, N(9), s(""), s(""), N(0), R1],
        ),
        call(
            "proxy_http_call",
            [s("ping/r1"), s(pairs(&request)), s(""), s(""), N(0), FAR],
        ),
    ]);
    let statuses = run.statuses(10);
    let mut expected = [BAD_ARGUMENT; 10];
    expected[..2].fill(OK);
    expected[8..].fill(INVALID_MEMORY);
    assert_eq!(statuses, expected);
    let effects = run.effects();
    assert_eq!(effects.len(), 2, "what is refused has no effect");
    let [Effect::HttpCall(first), Effect::HttpCall(second)] = effects.as_slice() else {
        panic!("two HTTP calls, not {effects:?}");
    };
    assert_eq!(first.token.0, run.outcome(0).words[0]);
    assert_ne!(first.token, second.token);
    assert_eq!((first.root, first.cluster.as_str()), (run.root, "ping/r1"));
    assert_eq!(first.timeout, Some(Duration::from_secs(2)));
    assert_eq!(first.headers, headers(&request));
    assert_eq!(second.timeout, None, "0 is no limit");
    assert_eq!(second.body, b"body");
    assert_eq!(
        second.headers[3],
        ("content-length".to_owned(), b"4".to_vec())
    );
}

#[test]
fn an_answer_is_read_in_its_callback_only() {
    let request = pairs(&[(":method", "GET"), (":path", "/"), (":authority", "x")]);
    let dispatch = call(
        "proxy_http_call",
        [s("ping/r1"), s(request), s(""), s(""), N(0), R1],
    );
    let read = [
        call("proxy_get_buffer_bytes", [N(4), N(0), N(999), R1, R2]),
        call("proxy_get_header_map_value", [N(6), s(":status"), R1, R2]),
        call("proxy_get_header_map_pairs", [N(7), R1, R2]),
        call("proxy_get_header_map_value", [N(6), s("absent"), R1, R2]),
        call("proxy_replace_header_map_value", [N(6), s("a"), s("b")]),
    ];
    let mut steps = vec![dispatch];
    steps.extend(read.clone());
    let guest = Guest::new()
        .on("proxy_on_tick", steps)
        .on("proxy_on_http_call_response", read);
    let mut run = guest.start();
    run.tick().unwrap();
    assert_eq!(
        run.statuses(6),
        [OK, NOT_FOUND, BAD_ARGUMENT, OK, BAD_ARGUMENT, BAD_ARGUMENT],
        "before the answer"
    );
    let effects = run.effects();
    let [Effect::HttpCall(sent)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let reply = CallReply {
        headers: headers(&[(":status", "200")]),
        body: b"{}".to_vec(),
        trailers: headers(&[("a", "b")]),
    };
    run.vm
        .http_call_response(run.root, sent.token, reply.clone())
        .unwrap();
    assert_eq!(run.outcome(6).bytes, b"{}");
    assert_eq!(run.outcome(7).bytes, b"200");
    assert_eq!(run.outcome(8).bytes, pairs(&[("a", "b")]));
    assert_eq!(run.outcome(9).status, NOT_FOUND);
    assert_eq!(
        run.outcome(10).status,
        BAD_ARGUMENT,
        "an answer cannot be changed"
    );

    assert!(run.vm.open_calls().is_empty());
    run.vm
        .http_call_response(run.root, sent.token, reply)
        .unwrap();
    assert_eq!(
        run.vm.trap().map(ToString::to_string),
        None,
        "a second answer is left out"
    );
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
    assert_eq!(reader.outcome(0).words[0], 1);
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

#[test]
fn a_guest_speaks_for_any_context_of_its_vm() {
    let effective = |id| call("proxy_set_effective_context", [N(id)]);
    let guest = Guest::new().on(
        "proxy_on_tick",
        [
            effective(999),
            effective(2),
            call("proxy_get_property", [s("source\0port"), R1, R2]),
            call("proxy_set_tick_period_milliseconds", [N(5)]),
        ],
    );
    let mut run = guest.start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    assert_eq!(context, ContextId(2));
    run.tick().unwrap();
    assert_eq!(run.statuses(4), [BAD_ARGUMENT, OK, OK, OK]);
    assert_eq!(run.outcome(2).bytes, 40_000i64.to_le_bytes());
    let root = run.root;
    assert_eq!(
        run.effects(),
        [Effect::Tick {
            root,
            period: Some(Duration::from_millis(5))
        }],
        "ticks are the root's"
    );
}

#[test]
fn grpc_calls_and_streams_are_told_apart() {
    let open = |name, cluster: &str| {
        call(
            name,
            [
                s(cluster),
                s("svc"),
                s("Method"),
                s(pairs(&[("k", "v")])),
                R1,
            ],
        )
    };
    let unary = |cluster: Vec<u8>| {
        let rest = [s("svc"), s("Method"), s(""), s("message"), N(700), R1];
        call("proxy_grpc_call", std::iter::once(s(cluster)).chain(rest))
    };
    let mut run = Guest::ticking([
        unary(b"443/r1".to_vec()),
        unary(b"\x0a\x08\x0a\x06443/r1".to_vec()),
        unary(b"unknown".to_vec()),
        open("proxy_grpc_stream", "443/r1"),
        call("proxy_grpc_send", [N(2), s("a"), N(0)]),
        call("proxy_grpc_send", [N(1), s("a"), N(0)]),
        call("proxy_grpc_send", [N(4), s("a"), N(0)]),
        call("proxy_grpc_send", [N(4), FAR, N(1), N(0)]),
        call("proxy_grpc_close", [N(99)]),
        call("proxy_grpc_close", [N(4)]),
        call("proxy_grpc_cancel", [N(1)]),
        call("proxy_grpc_cancel", [N(1)]),
    ]);
    let tokens: Vec<u32> = [0, 1, 3].map(|index| run.outcome(index).words[0]).to_vec();
    assert_eq!(tokens, [1, 3, 4], "calls are odd, streams are even");
    let statuses = run.statuses(12);
    let expected = [
        OK,
        OK,
        PARSE_FAILURE,
        OK,
        NOT_FOUND,
        BAD_ARGUMENT,
        OK,
        INVALID_MEMORY,
        NOT_FOUND,
        OK,
        OK,
        NOT_FOUND,
    ];
    assert_eq!(statuses, expected);
    let effects = run.effects();
    let names: Vec<&str> = effects
        .iter()
        .map(|effect| match effect {
            Effect::GrpcCall(call) => call.cluster.as_str(),
            Effect::GrpcStream(_) => "stream",
            Effect::GrpcSend { .. } => "send",
            Effect::GrpcClose(_) => "close",
            Effect::GrpcCancel(_) => "cancel",
            _ => "else",
        })
        .collect();
    assert_eq!(
        names,
        ["443/r1", "443/r1", "stream", "send", "close", "cancel"]
    );
}

#[test]
fn grpc_answers_arrive_at_their_root() {
    let open = call(
        "proxy_grpc_stream",
        [s("443/r1"), s("svc"), s("M"), s(""), R1],
    );
    let guest = Guest::new()
        .on("proxy_on_tick", [open])
        .on(
            "proxy_on_grpc_receive_initial_metadata",
            [call("proxy_get_header_map_value", [N(4), s("k"), R1, R2])],
        )
        .on(
            "proxy_on_grpc_receive",
            [call("proxy_get_buffer_bytes", [N(5), N(0), N(99), R1, R2])],
        )
        .on(
            "proxy_on_grpc_receive_trailing_metadata",
            [call("proxy_get_header_map_value", [N(5), s("t"), R1, R2])],
        )
        .on(
            "proxy_on_grpc_close",
            [call("proxy_get_status", [R3, R1, R2])],
        );
    let mut run = guest.start();
    run.tick().unwrap();
    let effects = run.effects();
    let [Effect::GrpcStream(stream)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let token = stream.token;
    run.vm
        .grpc_initial_metadata(token, headers(&[("k", "v")]))
        .unwrap();
    run.vm.grpc_message(token, b"one".to_vec()).unwrap();
    run.vm
        .grpc_trailing_metadata(token, headers(&[("t", "u")]))
        .unwrap();
    run.vm.grpc_close(token, 14, "gone").unwrap();
    let told: Vec<Vec<u8>> = (1..=4).map(|index| run.outcome(index).bytes).collect();
    assert_eq!(
        told,
        [
            b"v".to_vec(),
            b"one".to_vec(),
            b"u".to_vec(),
            b"gone".to_vec()
        ]
    );
    assert_eq!(run.outcome(4).words[2], 14);
    assert!(run.vm.open_calls().is_empty(), "closed is closed");
    run.vm.grpc_message(token, b"two".to_vec()).unwrap();
    assert_eq!(run.outcome(2).bytes, b"one", "and stays so");
}

#[test]
fn wasi_offers_a_clock_randomness_and_a_log() {
    let iovec = |at: u32, len: u32| [at.to_le_bytes(), len.to_le_bytes()].concat();
    // The first argument's bytes lie at 1024: two pieces of text within themselves.
    let mut pieces = iovec(1024 + 16, 3);
    pieces.extend(iovec(1024 + 19, 3));
    pieces.extend(b"abcde\n");
    let cases = [
        ("the pieces, kept", call("proxy_log", [N(1), s(&pieces)]), 0),
        (
            "to standard output",
            call("fd_write", [N(1), N(1024), N(2), R1]),
            0,
        ),
        (
            "to standard error",
            call("fd_write", [N(2), N(1024), N(2), R1]),
            0,
        ),
        ("to a file", call("fd_write", [N(3), N(1024), N(2), R1]), 8),
        (
            "pieces out of bounds",
            call("fd_write", [N(1), N(-16), N(9), R1]),
            21,
        ),
        (
            "too many pieces",
            call("fd_write", [N(1), N(1024), N(-1), R1]),
            21,
        ),
        ("the time", call("clock_time_get", [N(0), L(1), R1]), 0),
        (
            "the other time",
            call("clock_time_get", [N(1), L(1), R1]),
            0,
        ),
        (
            "a process's time",
            call("clock_time_get", [N(2), L(1), R1]),
            58,
        ),
        (
            "time to nowhere",
            call("clock_time_get", [N(0), L(1), FAR]),
            21,
        ),
        ("its resolution", call("clock_res_get", [N(0), R1]), 0),
        ("some randomness", call("random_get", [R1, N(8)]), 0),
        (
            "too much randomness",
            call("random_get", [N(0), N(65_537)]),
            28,
        ),
        ("randomness to nowhere", call("random_get", [FAR, N(8)]), 21),
        ("no arguments", call("args_sizes_get", [R1, R2]), 0),
        ("no environment", call("environ_sizes_get", [R1, R2]), 0),
        (
            "standard output's state",
            call("fd_fdstat_get", [N(1), R1]),
            0,
        ),
        ("a file's state", call("fd_fdstat_get", [N(5), R1]), 8),
        ("no reading", call("fd_read", [N(0), N(0), N(0), R1]), 52),
        (
            "no directories opened",
            call("fd_prestat_get", [N(3), R1]),
            8,
        ),
        (
            "no directories",
            call("fd_readdir", [N(3), N(0), N(0), L(0), R1]),
            20,
        ),
        (
            "no files",
            call(
                "path_open",
                [N(3), N(0), N(0), N(0), N(0), L(0), L(0), N(0), R1],
            ),
            44,
        ),
        (
            "no deleting",
            call("path_unlink_file", [N(3), N(0), N(0)]),
            58,
        ),
        (
            "no sockets",
            call("sock_send", [N(3), N(0), N(0), N(0), R1]),
            58,
        ),
        ("yielding", call("sched_yield", []), 0),
        (
            "waiting for nothing",
            call("poll_oneoff", [N(0), N(0), N(0), R1]),
            0,
        ),
        ("what nobody knows", call("a_name_of_no_wasi", [N(0)]), 52),
    ];
    statuses(&cases);
}

#[test]
fn functions_of_old_versions_are_there() {
    let old = [
        call("proxy_continue_request", []),
        call("proxy_continue_response", []),
        call("proxy_clear_route_cache", []),
        call("proxy_get_header_map_value", [N(0), s("absent"), R1, R2]),
    ];
    let guest = Guest::new().marker("proxy_abi_version_0_1_0").with(
        r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (i32.const 1))"#,
    );
    let mut run = guest
        .on("proxy_on_tick", [])
        .on("proxy_on_request_body", old)
        .start();
    let info = HttpInfo::new(connection(), headers(&[(":path", "/")]));
    let context = run.vm.open_http(run.root, info).unwrap();
    let held = run.vm.request_headers(context, End::More).unwrap();
    assert_eq!(
        held,
        proxy_wasm_engine::Action::Pause,
        "the callback of two arguments ran"
    );
    run.vm
        .request_body(context, &mut BytesMut::new(), End::Last)
        .unwrap();
    assert_eq!(
        run.statuses(4),
        [OK; 4],
        "an absent header is empty in 0.1.0"
    );
    let expected = [
        Effect::ContinueRequest(context),
        Effect::ContinueResponse(context),
        Effect::ClearRouteCache(context),
    ];
    assert_eq!(run.effects(), expected);
}

#[test]
fn streams_are_continued_and_closed_after_the_callback() {
    let all = |name| (0..5).map(move |kind| call(name, [N(kind)]));
    let steps: Vec<Step> = all("proxy_continue_stream")
        .chain(all("proxy_close_stream"))
        .collect();
    let guest = Guest::new().on("proxy_on_new_connection", steps);
    let mut run = guest.start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    run.vm.new_connection(context).unwrap();
    let expected = [
        OK,
        OK,
        OK,
        UNIMPLEMENTED,
        BAD_ARGUMENT,
        OK,
        OK,
        OK,
        OK,
        BAD_ARGUMENT,
    ];
    assert_eq!(run.statuses(10), expected);
    let expected = [
        Effect::ContinueDownstream(context),
        Effect::CloseStream(context),
        Effect::CloseStream(context),
    ];
    assert_eq!(run.effects(), expected);
}

pub(crate) fn connection() -> TcpInfo {
    TcpInfo::new(
        7,
        "10.0.0.7:40000".parse().unwrap(),
        "10.0.0.1:443".parse().unwrap(),
    )
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// The wire form of pairs.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[test]
fn a_message_ends_a_unary_call() {
    let rest = [s("svc"), s("M"), s(""), s(""), N(0), R1];
    let open = call("proxy_grpc_call", std::iter::once(s("443/r1")).chain(rest));
    let mut run = Guest::ticking([open]);
    let effects = run.effects();
    let [Effect::GrpcCall(unary)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(run.vm.open_calls(), [unary.token]);
    run.vm
        .grpc_message(unary.token, b"answer".to_vec())
        .unwrap();
    assert_eq!(run.vm.open_calls(), []);
}

#[test]
fn a_vm_can_move_to_another_thread() {
    fn moves<T: Send>(_: &T) {}
    moves(&Guest::new().start().vm);
}
