//! Connections and requests: what a guest reads and writes of them, and in
//! which order it is called.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use proxy_wasm_engine::{
    Action, Body, CallReply, ContextId, Direction, Effect, End, Finished, HttpInfo,
    ListenerDirection, Peer, Profile, TcpInfo, Upstream,
};
use serde_json::json;

use crate::guest::{Guest, L, N, R1, R2, Run, Step, call, s};
use crate::hostcalls::{connection, headers, pairs};

/// A connection of which everything is known.
fn settled() -> TcpInfo {
    TcpInfo {
        listener_metadata: Arc::new(json!({"filter_metadata": {"dtr": {
            "port": "443", "number": 7, "flag": true, "nothing": null, "list": ["a", "b"]
        }}})),
        listener_direction: ListenerDirection::Inbound,
        requested_server_name: Some("dtr.example.com".into()),
        time: Duration::from_secs(5),
        received: 10,
        sent: 20,
        attempts: 2,
        response_flags: 32,
        transport_failure: Some("delayed connect error: Connection refused".into()),
        upstream: Some(Upstream {
            cluster: "443/r1".into(),
            metadata: Arc::new(json!({"filter_metadata": {"dtr": {"name": "r1"}}})),
            address: "10.0.0.11:8443".parse().unwrap(),
            local_address: "10.0.0.1:50000".parse().unwrap(),
        }),
        ..connection()
    }
}

/// What a guest reads at each path in `proxy_on_new_connection`.
fn read_tcp(info: TcpInfo, paths: &[&str]) -> Run {
    let steps: Vec<Step> = paths
        .iter()
        .map(|path| call("proxy_get_property", [s(path), R1, R2]))
        .collect();
    let node = json!({"id": "n1", "cluster": "edge", "metadata": {"k": "v"},
        "locality": {"region": "eu", "zone": "a"}});
    let guest = Guest::new().config(|config| config.node = Arc::new(node));
    let mut run = guest.on("proxy_on_new_connection", steps).start();
    let context = run.vm.open_tcp(run.root, info).unwrap();
    run.vm.new_connection(context).unwrap();
    run
}

#[test]
fn properties_of_a_connection_are_encoded_as_in_envoy() {
    let cases: &[(&str, &[u8])] = &[
        ("source\0address", b"10.0.0.7:40000"),
        ("source\0address\0", b"10.0.0.7:40000"),
        ("source\0port", &40_000i64.to_le_bytes()),
        ("destination\0address", b"10.0.0.1:443"),
        ("destination\0port", &443i64.to_le_bytes()),
        ("connection\0id", &7u64.to_le_bytes()),
        ("connection_id", &7u64.to_le_bytes()),
        ("connection\0mtls", &[0]),
        ("connection\0requested_server_name", b"dtr.example.com"),
        ("upstream\0address", b"10.0.0.11:8443"),
        ("upstream\0port", &8443i64.to_le_bytes()),
        ("upstream\0local_address", b"10.0.0.1:50000"),
        ("upstream\0request_attempt_count", &2u64.to_le_bytes()),
        (
            "upstream\0transport_failure_reason",
            b"delayed connect error: Connection refused",
        ),
        ("response\0flags", &32u64.to_le_bytes()),
        ("xds\0cluster_name", b"443/r1"),
        ("cluster_name", b"443/r1"),
        (
            "xds\0upstream_host_metadata\0filter_metadata\0dtr\0name",
            b"r1",
        ),
        ("upstream_host_metadata\0filter_metadata\0dtr\0name", b"r1"),
        ("listener_metadata\0filter_metadata\0dtr\0port", b"443"),
        ("xds\0listener_metadata\0filter_metadata\0dtr\0port", b"443"),
        (
            "listener_metadata\0filter_metadata\0dtr\0number",
            &7f64.to_le_bytes(),
        ),
        ("listener_metadata\0filter_metadata\0dtr\0flag", &[1]),
        ("listener_metadata\0filter_metadata\0dtr\0list\x001", b"b"),
        ("listener_direction", &1i64.to_le_bytes()),
        ("plugin_name", b"test"),
        ("plugin_root_id", b"root"),
        ("plugin_vm_id", b"vm"),
        ("node\0id", b"n1"),
        ("xds\0node\0cluster", b"edge"),
        ("node\0metadata\0k", b"v"),
        ("node\0locality\0zone", b"a"),
        ("node\0locality", b"\x0a\x02eu\x12\x01a"),
        ("metadata\0filter_metadata", &[0, 0, 0, 0]),
        ("request\0headers", &[0, 0, 0, 0]),
        ("request\0size", &10u64.to_le_bytes()),
        ("response\0size", &20u64.to_le_bytes()),
        ("request\0time", &5_000_000_000u64.to_le_bytes()),
    ];
    let paths: Vec<&str> = cases.iter().map(|(path, _)| *path).collect();
    let run = read_tcp(settled(), &paths);
    for (index, (path, expected)) in cases.iter().enumerate() {
        let outcome = run.outcome(index as u8);
        assert_eq!(
            (outcome.status, &*outcome.bytes),
            (0, *expected),
            "{path:?}"
        );
    }
    let lists = read_tcp(
        settled(),
        &[
            "listener_metadata\0filter_metadata\0dtr\0list",
            "upstream_host_metadata\0filter_metadata",
            "upstream_host_metadata",
        ],
    );
    assert_eq!(lists.outcome(0).bytes, pairs(&[("a", ""), ("b", "")]));
    let inner = String::from_utf8(pairs(&[("name", "r1")])).unwrap();
    assert_eq!(lists.outcome(1).bytes, pairs(&[("dtr", &inner)]));
    let message = b"\x0a\x15\x0a\x03dtr\x12\x0e\x0a\x0c\x0a\x04name\x12\x04\x1a\x02r1";
    assert_eq!(lists.outcome(2).bytes, message);
}

#[test]
fn what_is_not_known_of_a_connection_is_not_found() {
    let paths = [
        "upstream\0address",
        "upstream\0local_address",
        "xds\0cluster_name",
        "xds\0upstream_host_metadata\0filter_metadata\0dtr\0name",
        "response\0code",
        "route_name",
        "request\0time",
        "request\0path",
        "connection\0termination_details",
        "connection\0tls_version",
        "listener_metadata\0filter_metadata\0dtr\0port",
        "filter_state\0envoy.tcp_proxy.cluster",
        "nonsense",
        "source\0address\0deeper",
        "node\0no_such_field",
        "plugin_name\0deeper",
    ];
    let run = read_tcp(connection(), &paths);
    for (index, path) in paths.iter().enumerate() {
        assert_eq!(run.outcome(index as u8).status, 1, "{path:?}");
    }
    let run = read_tcp(
        settled(),
        &["", "listener_metadata\0filter_metadata\0dtr\0nothing"],
    );
    assert_eq!(run.statuses(2), [3, 3], "null has no encoding");
    let groups = [
        "source",
        "connection",
        "upstream",
        "request",
        "response",
        "xds",
        "filter_state",
    ];
    let run = read_tcp(settled(), &groups);
    assert_eq!(run.statuses(7), [3; 7], "nor have groups as a whole");
}

#[test]
fn a_root_has_no_connection_to_read_of() {
    let paths = [
        "source\0address",
        "connection_id",
        "response\0flags",
        "listener_metadata",
        "x",
    ];
    let steps = paths.map(|path| call("proxy_get_property", [s(path), R1, R2]));
    let known = [
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "listener_direction",
    ];
    let known = known.map(|path| call("proxy_get_property", [s(path), R1, R2]));
    let run = Guest::ticking(steps.into_iter().chain(known));
    assert_eq!(run.statuses(9), [1, 1, 1, 1, 1, 0, 0, 0, 0]);
}

#[test]
fn the_filter_chooses_a_route_through_filter_state() {
    let set = |arguments: &[u8]| {
        call(
            "proxy_call_foreign_function",
            [s("set_envoy_filter_state"), s(arguments), R1, R2],
        )
    };
    let steer = |key: &str, value: &str| {
        let mut message = vec![0x0a, key.len() as u8];
        message.extend(key.as_bytes());
        message.extend([0x12, value.len() as u8]);
        message.extend(value.as_bytes());
        message.extend([0x18, 2]);
        set(&message)
    };
    let cluster = "envoy.tcp_proxy.cluster";
    let steps = [
        steer(cluster, "443/r1"),
        steer(cluster, "443/r1>r3"),
        steer("no.factory.for.this", "x"),
        steer("envoy.upstream.dynamic_port", "many"),
        set(b"\x0a\xff"),
        set(b"\x0a\x01\xff"),
        call(
            "proxy_get_property",
            [s(format!("filter_state\0{cluster}")), R1, R2],
        ),
        call(
            "proxy_call_foreign_function",
            [s("no_such_function"), s(""), R1, R2],
        ),
        call(
            "proxy_call_foreign_function",
            [s("set_envoy_filter_state"), s(""), N(0), N(0)],
        ),
        call(
            "proxy_call_foreign_function",
            [N(0x7fff_ffff), N(1), s(""), R1, R2],
        ),
        call(
            "proxy_call_foreign_function",
            [s("clear_route_cache"), N(-1), N(-1), R1, R2],
        ),
    ];
    let guest = Guest::new()
        .on("proxy_on_new_connection", steps)
        .on("proxy_on_tick", [steer(cluster, "443/r1")]);
    let mut run = guest.start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    assert_eq!(run.vm.new_connection(context).unwrap(), Action::Continue);
    assert_eq!(run.statuses(11), [0, 0, 1, 2, 2, 2, 0, 1, 1, 6, 6]);
    assert_eq!(run.outcome(6).bytes, b"443/r1>r3");
    assert_eq!(
        run.vm.filter_state(context, cluster),
        Some("443/r1>r3"),
        "the last one counts"
    );
    assert_eq!(run.vm.filter_state(run.root, cluster), None);
    run.tick().unwrap();
    assert_eq!(run.outcome(11).status, 1, "a root has no filter state");
    run.vm.finish(context).unwrap();
    assert_eq!(
        run.vm.filter_state(context, cluster),
        None,
        "it ends with the connection"
    );
}

#[test]
fn a_guest_sets_properties_of_its_own() {
    let get = |path: &str| call("proxy_get_property", [s(path), R1, R2]);
    let set = |path: &str, value: &str| call("proxy_set_property", [s(path), s(value)]);
    let declare = |name: &str, readonly: u8| {
        let mut message = vec![0x0a, name.len() as u8];
        message.extend(name.as_bytes());
        message.extend([0x10, readonly]);
        call(
            "proxy_call_foreign_function",
            [s("declare_property"), s(message), R1, R2],
        )
    };
    let guest = Guest::new()
        .on(
            "proxy_on_configure",
            [declare("once", 1), declare("once", 0), set("mine", "x")],
        )
        .on(
            "proxy_on_new_connection",
            [
                set("mine", "one"),
                set("mine", "two"),
                get("mine"),
                get("filter_state\0wasm.mine"),
                set("once", "one"),
                set("once", "two"),
                get("once"),
                set("source\0address", "lies"),
                get("source\0address"),
                set("a\0b", "x"),
                get("a\0b"),
                call("proxy_set_property", [s("x"), N(-1), N(-1)]),
                call("proxy_set_property", [N(-1), N(1), s("x")]),
                call("proxy_get_property", [N(-1), N(1), R1, R2]),
                call("proxy_get_property", [s("plugin_name"), N(-1), R2]),
            ],
        );
    let mut run = guest.start();
    assert_eq!(
        run.statuses(3),
        [0, 2, 1],
        "declared once; a root has nothing to set"
    );
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    run.vm.new_connection(context).unwrap();
    let statuses: Vec<u32> = (3..18).map(|index| run.outcome(index).status).collect();
    assert_eq!(statuses, [0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 6, 6, 6, 6]);
    assert_eq!(run.outcome(5).bytes, b"two");
    assert_eq!(run.outcome(6).bytes, b"two");
    assert_eq!(
        run.outcome(9).bytes,
        b"one",
        "read-only after the first time"
    );
    assert_eq!(
        run.outcome(11).bytes,
        b"10.0.0.7:40000",
        "what is the proxy's stays so"
    );
}

/// A guest that logs the name of each callback, and the log.
fn callbacks_of(kind: &str, drive: impl FnOnce(&mut Run)) -> Vec<u8> {
    // Each callback appends a letter to the shared data under "order".
    let callbacks = [
        ("proxy_on_context_create", "c", 2, false),
        ("proxy_on_new_connection", "n", 1, true),
        ("proxy_on_downstream_data", "d", 3, true),
        ("proxy_on_upstream_data", "u", 3, true),
        ("proxy_on_downstream_connection_close", "x", 2, false),
        ("proxy_on_upstream_connection_close", "y", 2, false),
        ("proxy_on_request_headers", "h", 3, true),
        ("proxy_on_done", "o", 1, true),
        ("proxy_on_log", "l", 1, false),
        ("proxy_on_delete", "z", 1, false),
    ];
    let mut wat = String::from(
        r#"(global $written (mut i32) (i32.const 512))
        (func $letter (param $letter i32)
            (i32.store8 (global.get $written) (local.get $letter))
            (global.set $written (i32.add (global.get $written) (i32.const 1)))
            (drop (call $proxy_set_shared_data (i32.const 8) (i32.const 1) (i32.const 512)
                (i32.sub (global.get $written) (i32.const 512)) (i32.const 0))))"#,
    );
    for (name, letter, params, answers) in callbacks {
        let letter = letter.as_bytes()[0];
        let params = " i32".repeat(params);
        let (result, zero) = if answers {
            ("(result i32)", "(i32.const 0)")
        } else {
            ("", "")
        };
        wat += &format!(
            "(func (export \"{name}\") (param{params}) {result} \
             (i32.store8 (i32.const 8) (i32.const 111)) \
             (call $letter (i32.const {letter})) {zero})"
        );
    }
    let profile = if kind == "spec" {
        Profile::Spec
    } else {
        Profile::Envoy
    };
    let mut run = Guest::new()
        .with(&wat)
        .config(|config| config.profile = profile)
        .start();
    drive(&mut run);
    run.shared.data("vm", b"o").unwrap()
}

#[test]
fn a_connection_is_called_back_in_envoys_order() {
    let order = callbacks_of("envoy", |run| {
        let context = run.vm.open_tcp(run.root, connection()).unwrap();
        run.vm.new_connection(context).unwrap();
        let mut data = BytesMut::from("x");
        run.vm
            .downstream_data(context, &mut data, End::More)
            .unwrap();
        run.vm.upstream_data(context, &mut data, End::Last).unwrap();
        run.vm.upstream_close(context, Peer::Unknown).unwrap();
        run.vm.downstream_close(context, Peer::Remote).unwrap();
        run.vm.finish(context).unwrap();
        assert_eq!(run.vm.context_count(), 1, "only the root is left");
        run.vm.finish(context).unwrap();
        run.vm.downstream_close(context, Peer::Remote).unwrap();
        assert_eq!(run.vm.new_connection(context).unwrap(), Action::Continue);
    });
    // The first "c" is the root's.
    assert_eq!(String::from_utf8(order).unwrap(), "ccnduyxolz");
}

#[test]
fn a_request_is_logged_before_it_is_done() {
    let drive = |run: &mut Run| {
        let info = HttpInfo::new(connection(), headers(&[(":path", "/")]));
        let context = run.vm.open_http(run.root, info).unwrap();
        run.vm.request_headers(context, End::Last).unwrap();
        run.vm.finish(context).unwrap();
        assert_eq!(run.vm.context_count(), 1);
    };
    assert_eq!(callbacks_of("envoy", drive), b"cchloz", "in Envoy");
    assert_eq!(
        callbacks_of("spec", drive),
        b"ccholz",
        "by the specification"
    );
}

#[test]
fn a_root_that_is_not_done_yet_is_deleted_once_it_says_so() {
    let guest = |answer| {
        Guest::new()
            .answering("proxy_on_done", [call("proxy_done", [])], 0)
            .answering("proxy_on_vm_start", [call("proxy_done", [])], answer)
            .on(
                "proxy_on_delete",
                [call("proxy_set_tick_period_milliseconds", [N(1)])],
            )
    };
    let mut run = guest(1).start();
    assert_eq!(run.outcome(1).status, 1, "nobody asked it to be done");
    assert_eq!(
        run.vm.finish_root(run.root).unwrap(),
        Finished::Now,
        "it said so at once"
    );
    assert!(run.vm.roots().is_empty());

    let later = Guest::new()
        .answering("proxy_on_done", [], 0)
        .on(
            "proxy_on_tick",
            [call("proxy_done", []), call("proxy_done", [])],
        )
        .on("proxy_on_delete", [call("proxy_get_log_level", [R1])]);
    let mut run = later.start();
    assert_eq!(run.vm.finish_root(run.root).unwrap(), Finished::Later);
    assert_eq!(run.vm.finish_root(run.root).unwrap(), Finished::Later);
    assert!(!run.done(2), "not deleted yet");
    run.tick().unwrap();
    assert_eq!(run.statuses(3), [0, 1, 0], "deleted after the callback");
    assert!(run.vm.roots().is_empty());
    run.tick().unwrap();

    let mut at_once = Guest::new().on("proxy_on_done", []).start();
    assert_eq!(at_once.vm.finish_root(at_once.root).unwrap(), Finished::Now);
}

#[test]
fn a_guest_may_hold_a_connection_and_say_that_it_has_seen_enough() {
    let skip = call(
        "proxy_call_foreign_function",
        [s("dtr_lb_skip_data"), s(""), N(0), N(0)],
    );
    let guest = Guest::new()
        .answering("proxy_on_new_connection", [], 1)
        .answering("proxy_on_downstream_data", [skip], 1);
    let mut run = guest.start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    assert_eq!(run.vm.new_connection(context).unwrap(), Action::Pause);
    assert!(run.vm.wants_data(context, Direction::Downstream));
    assert!(
        !run.vm.wants_data(context, Direction::Upstream),
        "it has no such callback"
    );
    let mut data = BytesMut::from("hello");
    assert_eq!(
        run.vm
            .downstream_data(context, &mut data, End::More)
            .unwrap(),
        Action::Pause
    );
    assert_eq!(data, "hello");
    assert!(!run.vm.wants_data(context, Direction::Downstream));
    assert_eq!(run.effects(), [Effect::SkipData(context)]);
}

/// A request with a body, and its maps as the guest sees them.
fn request() -> HttpInfo {
    let request = [
        (":method", "PUT"),
        (":path", "/replicas/r1?x=1#f"),
        (":authority", "lb.example.com"),
        (":scheme", "http"),
        ("accept", "text/html"),
        ("accept", "text/plain"),
        ("user-agent", "curl"),
    ];
    HttpInfo::new(connection(), headers(&request))
}

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
        run.outcome(8).words[0] as usize,
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
fn properties_of_a_request_are_encoded_as_in_envoy() {
    let cases: &[(&str, &[u8])] = &[
        ("request\0path", b"/replicas/r1?x=1#f"),
        ("request\0url_path", b"/replicas/r1"),
        ("request\0query", b"x=1"),
        ("request\0host", b"lb.example.com"),
        ("request\0scheme", b"http"),
        ("request\0method", b"PUT"),
        ("request\0useragent", b"curl"),
        ("request\0headers\0Accept", b"text/html,text/plain"),
        ("request\0protocol", b"HTTP/1.1"),
        ("request\0time", &1_500_000_000i64.to_le_bytes()),
        ("request\0size", &5u64.to_le_bytes()),
        ("response\0code", &200i64.to_le_bytes()),
        ("response\0headers\0server", b"dtr"),
        ("response\0code_details", b"via_upstream"),
        ("response\0grpc_status", &4i64.to_le_bytes()),
        ("source\0port", &40_000i64.to_le_bytes()),
    ];
    let steps: Vec<Step> = cases
        .iter()
        .map(|(path, _)| call("proxy_get_property", [s(path), R1, R2]))
        .collect();
    let absent = [
        "request\0referer",
        "request\0id",
        "request\0duration",
        "request\0headers\0x",
    ];
    let steps = steps
        .into_iter()
        .chain(absent.map(|path| call("proxy_get_property", [s(path), R1, R2])));
    let mut run = Guest::new().on("proxy_on_log", steps).start();
    let mut info = request();
    info.time = std::time::Duration::from_millis(1500);
    info.request_size = 5;
    info.code_details = Some("via_upstream".into());
    let response = [(":status", "200"), ("server", "dtr"), ("grpc-status", "4")];
    info.response_headers = Some(headers(&response));
    let context = run.vm.open_http(run.root, info).unwrap();
    run.vm.finish(context).unwrap();
    for (index, (path, expected)) in cases.iter().enumerate() {
        let outcome = run.outcome(index as u8);
        assert_eq!(
            (outcome.status, &*outcome.bytes),
            (0, *expected),
            "{path:?}"
        );
    }
    for (index, path) in absent.iter().enumerate() {
        assert_eq!(
            run.outcome((cases.len() + index) as u8).status,
            1,
            "{path:?}"
        );
    }
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
fn several_plugins_share_one_vm() {
    let roots = Guest::new()
        .config(|config| {
            let mut second = config.plugins[0].clone();
            second.name = "second".into();
            second.root_id = "other".into();
            second.configuration = b"its own".to_vec();
            config.plugins.push(second);
        })
        .on(
            "proxy_on_configure",
            [call("proxy_get_buffer_bytes", [N(7), N(0), N(99), R1, R2])],
        )
        .on(
            "proxy_on_tick",
            [call("proxy_get_property", [s("plugin_root_id"), R1, R2])],
        );
    let mut run = roots.start();
    assert_eq!(
        run.outcome(0).bytes,
        b"its own",
        "each is configured with its own"
    );
    let other = run.vm.root("other").unwrap();
    assert_eq!(run.vm.roots(), [run.root, other]);
    run.vm.tick(other).unwrap();
    assert_eq!(run.outcome(1).bytes, b"other");
    run.tick().unwrap();
    assert_eq!(run.outcome(1).bytes, b"root");
    assert_eq!(run.vm.root("nobody"), None);
    run.vm.tick(ContextId(99)).unwrap();
    let stray = run.vm.open_tcp(ContextId(99), connection()).unwrap();
    assert_eq!(
        run.vm.new_connection(stray).unwrap(),
        Action::Continue,
        "no root, no callbacks"
    );
}

#[test]
fn a_guest_that_lacks_a_callback_lets_everything_pass() {
    let mut run = Guest::new().start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    assert_eq!(run.vm.new_connection(context).unwrap(), Action::Continue);
    let mut data = BytesMut::from("x");
    assert_eq!(
        run.vm
            .downstream_data(context, &mut data, End::Last)
            .unwrap(),
        Action::Continue
    );
    run.vm.finish(context).unwrap();
    let http = run.vm.open_http(run.root, request()).unwrap();
    assert_eq!(
        run.vm.request_headers(http, End::More).unwrap(),
        Action::Continue
    );
    assert_eq!(
        run.vm.request_body(http, &mut data, End::Last).unwrap(),
        Action::Continue
    );
    assert_eq!(
        run.vm.request_trailers(http, &mut data).unwrap(),
        Action::Continue
    );
    run.vm.finish(http).unwrap();
    run.tick().unwrap();
    assert_eq!((data, run.vm.context_count()), (BytesMut::from("x"), 1));
}

#[test]
fn the_host_calls_a_function_of_the_guest() {
    let read = call("proxy_get_buffer_bytes", [N(8), N(0), N(99), R1, R2]);
    let mut run = Guest::new()
        .on(
            "proxy_on_foreign_function",
            [read, call("proxy_record_metric", [N(0), L(1)])],
        )
        .start();
    run.vm.foreign_function(run.root, 7, b"arguments").unwrap();
    assert_eq!(run.outcome(0).bytes, b"arguments");
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
    assert_eq!(run.outcome(6).words[0], 7);
    assert_eq!(run.vm.release_body(context, Body::Request), "changed");
    assert_eq!(
        run.vm.release_body(context, Body::Request),
        "",
        "it was taken back"
    );
}

#[test]
fn attributes_of_a_request_are_there_as_long_as_in_envoy() {
    let get = |path: &str| call("proxy_get_property", [s(path), R1, R2]);
    let steps = || {
        [
            get("request\0path"),
            get("request\0headers"),
            get("response\0grpc_status"),
        ]
    };
    let late = [
        get("source\0port"),
        call("proxy_set_property", [s("a"), s("b")]),
    ];
    let guest = Guest::new()
        .on("proxy_on_request_headers", steps())
        .on("proxy_on_response_headers", steps())
        .on(
            "proxy_on_log",
            [call("proxy_set_property", [s("a"), s("b")])],
        )
        .on("proxy_on_done", late.clone())
        .config(|config| config.profile = Profile::Envoy);
    let drive = |guest: &Guest| {
        let mut run = guest.start();
        let mut info = HttpInfo::new(connection(), headers(&[(":path", "/")]));
        info.response_headers = None;
        let context = run.vm.open_http(run.root, info).unwrap();
        run.vm.request_headers(context, End::Last).unwrap();
        let response = headers(&[(":status", "503")]);
        run.vm.http_mut(context).unwrap().response_headers = Some(response);
        run.vm.response_headers(context, End::Last).unwrap();
        run.vm.finish(context).unwrap();
        run
    };
    let run = drive(&guest);
    assert_eq!(run.statuses(9), [0, 0, 1, 1, 0, 0, 0, 1, 1]);
    assert_eq!(
        run.outcome(4).bytes,
        [0; 4],
        "the headers went on their way"
    );
    assert_eq!(
        run.outcome(5).bytes,
        14i64.to_le_bytes(),
        "503 is unavailable"
    );
    let spec = drive(&guest.config(|config| config.profile = Profile::Spec));
    assert_eq!(
        spec.statuses(9),
        [0, 0, 1, 0, 0, 0, 0, 0, 0],
        "the specification has no such end"
    );
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
