//! Where Envoy and the written specification differ, and both behave as named.

use bytes::BytesMut;
use proxy_wasm_engine::{Effect, End, Profile};

use crate::fixture::connection;
use crate::guest::{Guest, L, N, R1, R2, Step, call, s};
use crate::run::Run;

/// Runs the calls on a connection's first bytes.
fn run(profile: Profile, steps: Vec<Step>) -> Run {
    let define = call("proxy_define_metric", [N(0), s("c"), R1]);
    let steps = std::iter::once(define).chain(steps);
    let guest = Guest::new().on("proxy_on_downstream_data", steps);
    let mut run = guest.config(|config| config.profile = profile).start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    run.vm
        .downstream_data(context, &mut BytesMut::from("0123456789"), End::More)
        .unwrap();
    run
}

#[test]
fn statuses_differ_where_envoy_deviates() {
    let buffer = |kind, start, most| {
        call(
            "proxy_get_buffer_bytes",
            [N(kind), N(start), N(most), R1, R2],
        )
    };
    let cases = [
        ("reading past the end", buffer(2, 11, 1), 0, 2),
        ("reading beyond all numbers", buffer(2, -1, 2), 0, 2),
        (
            "replacing the first",
            call("proxy_set_buffer_bytes", [N(2), N(0), N(1), s("x")]),
            0,
            0,
        ),
        ("reading at the end", buffer(2, 10, 1), 0, 0),
        ("a buffer that is not there", buffer(0, 0, 1), 0, 1),
        ("no gRPC message", buffer(5, 0, 1), 0, 1),
        (
            "continuing the replica's bytes",
            call("proxy_continue_stream", [N(3)]),
            12,
            0,
        ),
        (
            "a map that is not there",
            call("proxy_get_header_map_pairs", [N(0), R1, R2]),
            0,
            2,
        ),
        (
            "its size",
            call("proxy_get_header_map_size", [N(0), R1]),
            2,
            2,
        ),
        (
            "a value of it",
            call("proxy_get_header_map_value", [N(0), s("k"), R1, R2]),
            2,
            2,
        ),
        (
            "replacing in the middle",
            call("proxy_set_buffer_bytes", [N(2), N(5), N(1), s("x")]),
            2,
            0,
        ),
        (
            "a property of one's own, in parts",
            call("proxy_set_property", [s("a\0b"), s("x")]),
            0,
            0,
        ),
        (
            "reading it back",
            call("proxy_get_property", [s("a\0b"), R1, R2]),
            1,
            0,
        ),
    ];
    for (profile, expected) in [(Profile::Envoy, 0), (Profile::Spec, 1)] {
        let steps = cases.iter().map(|(_, step, ..)| step.clone()).collect();
        let run = run(profile, steps);
        for (index, (why, _, envoy, spec)) in cases.iter().enumerate() {
            let status = [*envoy, *spec][expected];
            assert_eq!(
                run.outcome(index as u8 + 1).status,
                status,
                "{profile:?}: {why}"
            );
        }
    }
}

#[test]
fn recording_on_a_counter_adds_in_envoy_and_sets_by_the_specification() {
    let record = |value| call("proxy_record_metric", [N(4), L(value)]);
    for (profile, expected) in [(Profile::Envoy, 7), (Profile::Spec, 4)] {
        let run = run(profile, vec![record(3), record(4)]);
        assert_eq!(run.shared.metric("c"), Some(expected), "{profile:?}");
    }
}

#[test]
fn the_replicas_bytes_go_on_by_the_specification() {
    let mut run = run(Profile::Spec, vec![call("proxy_continue_stream", [N(3)])]);
    let effects = run.effects();
    assert!(
        matches!(effects.as_slice(), [Effect::ContinueUpstream(_)]),
        "{effects:?}"
    );
}
