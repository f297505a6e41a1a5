//! Properties: what a guest reads of its streams, and what it sets.

use std::sync::Arc;

use proxy_wasm_engine::{Action, End, HttpInfo, Profile, TcpInfo};
use serde_json::json;

use crate::fixture::{connection, headers, pairs, request, settled};
use crate::guest::{Guest, N, R1, R2, Step, call, s};
use crate::run::Run;

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
