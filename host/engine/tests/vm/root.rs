//! Logs, time, ticks, configurations, and for whom a guest speaks.

use std::time::Duration;

use bytes::BytesMut;
use proxy_wasm_engine::{Action, ContextId, Effect, End, HttpInfo};

use crate::fixture::{
    BAD_ARGUMENT, FAR, INVALID_MEMORY, NOT_FOUND, OK, connection, headers, statuses,
};
use crate::guest::{Guest, L, N, R1, R2, call, s};

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
fn time_is_in_nanoseconds() {
    let run = Guest::ticking([
        call("proxy_get_current_time_nanoseconds", [R1]),
        call("proxy_get_current_time_nanoseconds", [FAR]),
        call("proxy_get_log_level", [R1]),
        call("proxy_get_log_level", [FAR]),
    ]);
    let [low, high, ..] = run.outcome(0).numbers;
    let read = Duration::from_nanos(u64::from(high) << 32 | u64::from(low));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(
        now.abs_diff(read) < Duration::from_secs(60),
        "read {read:?}, it is {now:?}"
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
fn a_vm_can_move_to_another_thread() {
    fn moves<T: Send>(_: &T) {}
    moves(&Guest::new().start().vm);
}
