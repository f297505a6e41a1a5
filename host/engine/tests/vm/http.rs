//! Requests: their header maps, and responses of the guest.

use bytes::BytesMut;
use proxy_wasm_engine::{Action, Effect, End, HttpInfo, Profile};

use crate::fixture::{connection, headers, pairs, request};
use crate::guest::{Guest, N, R1, R2, call, s};

#[test]
fn the_guest_answers_a_request_itself() {
    let respond = |status, body: &str| {
        let headers = pairs(&[("Content-Type", "application/json")]);
        let details = s("by the filter");
        call(
            "proxy_send_local_response",
            [N(status), details, s(body), s(headers), N(-1)],
        )
    };
    let bad = call(
        "proxy_send_local_response",
        [N(200), s(""), N(-1), N(5), s(""), N(0)],
    );
    let guest = Guest::new().on(
        "proxy_on_request_headers",
        [
            respond(503, r#"{"Healthy":false}"#),
            respond(200, "again"),
            bad,
        ],
    );
    let mut run = guest.start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    let action = run.vm.request_headers(context, End::Last).unwrap();
    assert_eq!(action, Action::Pause, "though the callback said to go on");
    assert_eq!(run.statuses(3), [0, 0, 6]);
    let expected = Effect::LocalResponse {
        context,
        status: 503,
        headers: headers(&[("content-type", "application/json")]),
        body: br#"{"Healthy":false}"#.to_vec(),
        details: "by the filter".into(),
        grpc_status: None,
    };
    assert_eq!(run.effects(), [expected], "only the first answer counts");
}

#[test]
fn on_a_connection_there_is_nothing_to_answer() {
    let respond = call(
        "proxy_send_local_response",
        [N(200), s(""), s(""), s(""), N(-1)],
    );
    let mut run = Guest::new()
        .on("proxy_on_new_connection", [respond])
        .start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    assert_eq!(run.vm.new_connection(context).unwrap(), Action::Continue);
    assert_eq!(run.outcome(0).status, 0);
    assert_eq!(run.effects(), []);
}

#[test]
fn request_headers_are_read_and_changed() {
    let map = |name, args: Vec<crate::guest::Arg>| call(name, std::iter::once(N(0)).chain(args));
    let steps = [
        map("proxy_get_header_map_value", vec![s(":path"), R1, R2]),
        map("proxy_get_header_map_value", vec![s("ACCEPT"), R1, R2]),
        map("proxy_get_header_map_value", vec![s("absent"), R1, R2]),
        map("proxy_add_header_map_value", vec![s("X-Added"), s("1")]),
        map(
            "proxy_replace_header_map_value",
            vec![s("Accept"), s("*/*")],
        ),
        map("proxy_replace_header_map_value", vec![s("x-new"), s("2")]),
        map("proxy_remove_header_map_value", vec![s("User-Agent")]),
        map("proxy_remove_header_map_value", vec![s("absent")]),
        map("proxy_get_header_map_size", vec![R1]),
        map("proxy_get_header_map_pairs", vec![R1, R2]),
        call("proxy_get_header_map_value", [N(8), s("x"), R1, R2]),
        call("proxy_get_header_map_value", [N(2), s("x"), R1, R2]),
        call("proxy_add_header_map_value", [N(1), s("x"), s("y")]),
        map("proxy_get_header_map_value", vec![N(-1), N(9), R1, R2]),
        map("proxy_add_header_map_value", vec![N(-1), N(9), s("x")]),
        map("proxy_remove_header_map_value", vec![N(-1), N(9)]),
        map("proxy_get_header_map_size", vec![N(-1)]),
        map("proxy_get_header_map_pairs", vec![N(-1), R2]),
        map("proxy_set_header_map_pairs", vec![N(-1), N(9)]),
    ];
    let mut run = Guest::new().on("proxy_on_request_headers", steps).start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    run.vm.request_headers(context, End::More).unwrap();
    let statuses = run.statuses(19);
    assert_eq!(
        statuses,
        [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 6, 6, 6, 6, 6, 6]
    );
    assert_eq!(run.outcome(0).bytes, b"/replicas/r1?x=1#f");
    assert_eq!(run.outcome(1).bytes, b"text/html", "the first of two");
    let expected = [
        (":method", "PUT"),
        (":path", "/replicas/r1?x=1#f"),
        (":authority", "lb.example.com"),
        (":scheme", "http"),
        ("accept", "*/*"),
        ("x-added", "1"),
        ("x-new", "2"),
    ];
    assert_eq!(run.outcome(9).bytes, pairs(&expected));
    let size: usize = expected
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert_eq!(
        run.outcome(8).numbers[0] as usize,
        size,
        "Envoy counts the contents alone"
    );
    assert_eq!(
        run.vm.http_mut(context).unwrap().request_headers,
        headers(&expected)
    );
}

#[test]
fn pairs_that_lie_clear_the_map_as_in_envoy() {
    let set = |bytes: Vec<u8>| call("proxy_set_header_map_pairs", [N(0), s(bytes)]);
    let good = pairs(&[(":Path", "/new")]);
    let mut run = Guest::new()
        .on("proxy_on_request_headers", [set(good.clone())])
        .on("proxy_on_request_body", [set(good.clone())])
        .start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    run.vm.request_headers(context, End::More).unwrap();
    let map = &run.vm.http_mut(context).unwrap().request_headers;
    assert_eq!(*map, headers(&[(":path", "/new")]));
    run.vm
        .request_body(context, &mut BytesMut::new(), End::Last)
        .unwrap();
    assert_eq!(run.outcome(1).status, 2, "the headers went on their way");

    let lies = || {
        Guest::new().on(
            "proxy_on_request_headers",
            [set(b"\xff\xff\xff\xff".to_vec())],
        )
    };
    let mut run = lies().start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    run.vm.request_headers(context, End::More).unwrap();
    assert_eq!(run.outcome(0).status, 0);
    assert_eq!(run.vm.http_mut(context).unwrap().request_headers, []);

    let mut run = lies()
        .config(|config| config.profile = Profile::Spec)
        .start();
    let context = run.vm.open_http(run.root, request()).unwrap();
    run.vm.request_headers(context, End::More).unwrap();
    assert_eq!(run.outcome(0).status, 2, "the specification refuses them");
    assert_eq!(
        run.vm.http_mut(context).unwrap().request_headers,
        request().request_headers
    );
}

#[test]
fn maps_are_there_in_their_callbacks_and_in_the_log() {
    let read = |map| call("proxy_get_header_map_value", [N(map), s("k"), R1, R2]);
    let write = |map| call("proxy_add_header_map_value", [N(map), s("x"), s("y")]);
    let all = || (0..4).map(read).collect::<Vec<_>>();
    let guest = Guest::new()
        .on("proxy_on_request_headers", all())
        .answering("proxy_on_request_trailers", all(), 1)
        .on("proxy_on_response_headers", all())
        .on("proxy_on_response_trailers", all())
        .on(
            "proxy_on_log",
            [read(0), read(1), read(2), read(3), write(0)],
        )
        .on("proxy_on_done", all());
    let mut run = guest.start();
    let mut info = HttpInfo::new(connection(), headers(&[("k", "0")]));
    info.request_trailers = Some(headers(&[("k", "1")]));
    let context = run.vm.open_http(run.root, info).unwrap();
    let none = &mut BytesMut::new();
    run.vm.request_headers(context, End::More).unwrap();
    assert_eq!(
        run.vm.request_trailers(context, none).unwrap(),
        Action::Pause
    );
    run.vm.http_mut(context).unwrap().response_headers = Some(headers(&[("k", "2")]));
    run.vm.response_headers(context, End::More).unwrap();
    run.vm.http_mut(context).unwrap().response_trailers = Some(headers(&[("k", "3")]));
    run.vm.response_trailers(context, none).unwrap();
    run.vm.finish(context).unwrap();
    let cases: [(&str, &[u32]); 6] = [
        ("request headers", &[0, 2, 2, 2]),
        ("request trailers", &[2, 0, 2, 2]),
        (
            "response headers, while the request's trailers are held",
            &[2, 0, 0, 2],
        ),
        ("response trailers", &[2, 0, 2, 0]),
        ("the log: all that is known, to read", &[0, 0, 0, 0, 2]),
        ("done", &[2, 2, 2, 2]),
    ];
    let mut index = 0;
    for (when, expected) in cases {
        let statuses: Vec<u32> = (index..index + expected.len() as u8)
            .map(|at| run.outcome(at).status)
            .collect();
        assert_eq!(statuses, expected, "{when}");
        index += expected.len() as u8;
    }
}

#[test]
fn an_answer_to_nothing_does_not_hold_the_next_request() {
    let respond = call(
        "proxy_send_local_response",
        [N(200), s(""), s(""), s(""), N(-1)],
    );
    let guest = Guest::new().on("proxy_on_configure", [respond.clone()]);
    let guest = guest
        .on("proxy_on_tick", [respond])
        .on("proxy_on_request_headers", []);
    let mut run = guest.start();
    run.tick().unwrap();
    let context = run.vm.open_http(run.root, request()).unwrap();
    assert_eq!(
        run.vm.request_headers(context, End::Last).unwrap(),
        Action::Continue
    );
}
