//! HTTP and gRPC calls of a guest, and their replies.

use std::time::Duration;

use proxy_wasm_engine::{CallReply, Effect};

use crate::fixture::{
    BAD_ARGUMENT, FAR, INVALID_MEMORY, NOT_FOUND, OK, PARSE_FAILURE, headers, pairs,
};
use crate::guest::{Guest, N, R1, R2, R3, call, s};

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
    assert_eq!(first.token.0, run.outcome(0).numbers[0]);
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
fn grpc_calls_and_streams_have_different_tokens() {
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
    let tokens: Vec<u32> = [0, 1, 3]
        .map(|index| run.outcome(index).numbers[0])
        .to_vec();
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
    let seen: Vec<Vec<u8>> = (1..=4).map(|index| run.outcome(index).bytes).collect();
    assert_eq!(
        seen,
        [
            b"v".to_vec(),
            b"one".to_vec(),
            b"u".to_vec(),
            b"gone".to_vec()
        ]
    );
    assert_eq!(run.outcome(4).numbers[2], 14);
    assert!(run.vm.open_calls().is_empty(), "closed is closed");
    run.vm.grpc_message(token, b"two".to_vec()).unwrap();
    assert_eq!(run.outcome(2).bytes, b"one", "and stays so");
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
