//! In which order a guest is called, and what holds a stream.

use bytes::BytesMut;
use proxy_wasm_engine::{Action, Direction, Effect, End, Finished, HttpInfo, Peer, Profile};

use crate::fixture::{BAD_ARGUMENT, OK, UNIMPLEMENTED, connection, headers, request};
use crate::guest::{Guest, N, R1, Step, call, s};
use crate::run::Run;

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
