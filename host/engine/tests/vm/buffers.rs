//! Buffers: what is read of them, and what is written.

use bytes::BytesMut;
use proxy_wasm_engine::{Action, Body, CallReply, Effect, End, HttpInfo, Profile};

use crate::fixture::{
    BAD_ARGUMENT, FAR, INVALID_MEMORY, NOT_FOUND, OK, connection, pairs, request, statuses,
};
use crate::guest::{Arg, Guest, N, R1, R2, call, s};

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
        run.outcome(2).numbers[..2],
        [0, 0],
        "at the end: nothing, at address 0"
    );
    assert_eq!(
        run.outcome(3).numbers[..2],
        [0, 0],
        "past the end: nothing, as in Envoy"
    );
    assert_eq!(
        run.outcome(4).numbers[..2],
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
    assert_eq!(run.outcome(11).numbers[..2], [16, 0]);
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
fn bodies_are_read_and_changed_in_their_callbacks() {
    let read = |kind| call("proxy_get_buffer_bytes", [N(kind), N(0), N(99), R1, R2]);
    let append = |kind| call("proxy_set_buffer_bytes", [N(kind), N(99), N(0), s("!")]);
    let guest = Guest::new()
        .answering("proxy_on_request_body", [read(0), append(0), read(1)], 1)
        .on("proxy_on_response_body", [read(1), append(1)])
        .on("proxy_on_request_trailers", [read(0)]);
    let mut run = guest.start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    let mut body = BytesMut::from("hello");
    assert_eq!(
        run.vm.request_body(context, &mut body, End::More).unwrap(),
        Action::Pause
    );
    assert_eq!(
        (run.outcome(0).bytes.as_slice(), &body[..]),
        (&b"hello"[..], &b"hello!"[..])
    );
    assert_eq!(run.outcome(2).bytes, b"", "the other body is not there");
    run.vm.request_trailers(context, &mut body).unwrap();
    assert_eq!(
        run.outcome(5).bytes,
        b"hello!",
        "the held body comes with the trailers"
    );
    let mut body = BytesMut::from("bye");
    run.vm.response_body(context, &mut body, End::Last).unwrap();
    assert_eq!(&body[..], b"bye!");
}

#[test]
fn a_held_body_can_be_read_when_a_call_is_answered() {
    let request = pairs(&[(":method", "GET"), (":path", "/"), (":authority", "x")]);
    let dispatch = call(
        "proxy_http_call",
        [s("ping/r1"), s(request), s(""), s(""), N(0), R1],
    );
    let read = call("proxy_get_buffer_bytes", [N(0), N(0), N(99), R1, R2]);
    let guest = Guest::new()
        .answering("proxy_on_request_body", [dispatch], 1)
        .on(
            "proxy_on_http_call_response",
            [
                read.clone(),
                call("proxy_set_effective_context", [N(2)]),
                read,
                call("proxy_set_buffer_bytes", [N(0), N(0), N(99), s("changed")]),
                call("proxy_set_buffer_bytes", [N(1), N(0), N(99), s("changed")]),
                call("proxy_get_buffer_status", [N(0), R1, R2]),
            ],
        );
    let mut run = guest.start();
    let context = run
        .vm
        .open_http(run.root, HttpInfo::new(connection(), vec![]))
        .unwrap();
    let mut body = BytesMut::from("hello");
    assert_eq!(
        run.vm.request_body(context, &mut body, End::Last).unwrap(),
        Action::Pause
    );
    run.vm.hold_body(context, Body::Request, body);
    let effects = run.effects();
    let [Effect::HttpCall(sent)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    run.vm
        .http_call_response(run.root, sent.token, CallReply::default())
        .unwrap();
    assert_eq!(run.outcome(1).bytes, b"", "the root has no body");
    assert_eq!(run.outcome(3).bytes, b"hello");
    assert_eq!([run.outcome(4).status, run.outcome(5).status], [0, 2]);
    assert_eq!(run.outcome(6).numbers[0], 7);
    assert_eq!(run.vm.release_body(context, Body::Request), "changed");
    assert_eq!(
        run.vm.release_body(context, Body::Request),
        "",
        "it was taken back"
    );
}
