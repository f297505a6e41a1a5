//! Guests that trap: what the message says, and that nothing else is harmed.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use proxy_wasm_engine::{CallReply, Effect, End, HttpInfo, Module, Peer, Shared, Trap, TrapReason};

use crate::fixture::{assert_dead, callback, connection, headers, pairs, tick_of, tick_within};
use crate::guest::{Guest, N, R1, call, s};
use crate::run::Run;

#[test]
fn a_crash_says_where_and_why() {
    let cases = [
        ("unreachable", "(unreachable)", "unreachable"),
        (
            "division by zero",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "divide by zero",
        ),
        (
            "reading past the end",
            "(drop (i32.load (i32.const -4)))",
            "out of bounds memory",
        ),
        (
            "a function that is not there",
            "(call_indirect (i32.const 3))",
            "undefined element",
        ),
    ];
    for (why, body, message) in cases {
        let trap = tick_of(body, "(table 1 funcref)");
        assert_eq!(trap.reason, TrapReason::Crash, "{why}");
        assert_eq!(trap.callback, "proxy_on_tick", "{why}");
        let text = trap.to_string();
        assert!(text.starts_with("proxy_on_tick: "), "{why}: {text}");
        assert!(text.contains(message), "{why}: {text}");
        assert!(
            text.contains("; in bad"),
            "{why}: the function is named in: {text}"
        );
    }
}

#[test]
fn a_panic_leaves_its_last_log_line() {
    let log = call("proxy_log", [N(5), s("panicked at src/lib.rs:7: oh no")]);
    let guest = Guest::new()
        .on("proxy_on_tick", [log])
        .with(r#"(func (export "proxy_on_new_connection") (param i32) (result i32) unreachable)"#);
    let mut run = guest.start();
    run.tick().unwrap();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    let trap = run.vm.new_connection(context).unwrap_err();
    assert!(
        !trap.to_string().contains("oh no"),
        "a line of another callback: {trap}"
    );

    let trap = tick_of(
        "(drop (call $proxy_log (i32.const 5) (i32.const 600) (i32.const 5))) (unreachable)",
        r#"(data (i32.const 600) "oh no")"#,
    );
    assert!(trap.to_string().contains("last words: oh no"), "{trap}");
}

#[test]
fn an_endless_loop_ends_in_time() {
    let begun = Instant::now();
    let limit = Duration::from_millis(50);
    let trap = tick_within(limit, "(loop $on (br $on))", "");
    assert_eq!(trap.reason, TrapReason::Time);
    assert!(trap.to_string().contains("longer than 50 ms"), "{trap}");
    let took = begun.elapsed();
    assert!(took >= limit, "cut short after {took:?}");
    assert!(took < Duration::from_secs(10), "went on for {took:?}");
}

#[test]
fn endless_recursion_ends_at_the_stack() {
    let trap = tick_of("(call $bad (i32.const 0))", "");
    assert_eq!(trap.reason, TrapReason::Stack);
    assert!(
        trap.to_string().contains("< ..."),
        "only the first frames are named: {trap}"
    );
}

#[test]
fn memory_ends_at_its_limit() {
    // 4 of 16 pages are taken.
    let grow = |pages: u32| format!("(memory.grow (i32.const {pages}))");
    let within = format!(
        "(if (i32.ne {} (i32.const 4)) (then unreachable))",
        grow(12)
    );
    let wat = callback("proxy_on_tick", 1, "", &within);
    let mut run = Guest::new()
        .with(&wat)
        .config(|config| config.memory_limit = 1 << 20)
        .start();
    run.tick().unwrap();
    assert_eq!(run.vm.memory_size(), 1 << 20);

    let beyond = format!(
        "(if (i32.eq {} (i32.const -1)) (then unreachable))",
        grow(13)
    );
    let trap = tick_of(&beyond, "");
    assert_eq!(trap.reason, TrapReason::Memory);
    assert!(
        trap.to_string().contains("limit of 1048576 bytes"),
        "{trap}"
    );

    let error = Guest::new()
        .config(|config| config.memory_limit = 1 << 16)
        .try_start();
    let error = error.expect_err("four pages do not fit one").to_string();
    assert!(error.contains("memory"), "{error}");
}

#[test]
fn a_trap_in_any_callback_ends_the_vm_and_nothing_else() {
    type Drive = fn(&mut Run) -> Result<(), Trap>;
    fn http(run: &mut Run) -> Result<proxy_wasm_engine::ContextId, Trap> {
        let mut info = HttpInfo::new(connection(), headers(&[(":path", "/")]));
        info.response_headers = Some(headers(&[(":status", "200")]));
        info.request_trailers = Some(headers(&[]));
        info.response_trailers = Some(headers(&[]));
        run.vm.open_http(run.root, info)
    }
    fn tcp(run: &mut Run) -> Result<proxy_wasm_engine::ContextId, Trap> {
        run.vm.open_tcp(run.root, connection())
    }
    let data = || BytesMut::from("some bytes");
    let _ = data;
    let i32_result = "(result i32)";
    let cases: Vec<(&str, usize, &str, Drive)> = vec![
        ("proxy_on_tick", 1, "", |run| run.tick()),
        ("proxy_on_new_connection", 1, i32_result, |run| {
            let context = tcp(run)?;
            run.vm.new_connection(context).map(drop)
        }),
        ("proxy_on_downstream_data", 3, i32_result, |run| {
            let context = tcp(run)?;
            let mut data = BytesMut::from("kept");
            let result = run
                .vm
                .downstream_data(context, &mut data, End::More)
                .map(drop);
            assert_eq!(data, "kept", "a crash loses no bytes");
            result
        }),
        ("proxy_on_upstream_data", 3, i32_result, |run| {
            let context = tcp(run)?;
            let mut data = BytesMut::from("kept");
            let result = run
                .vm
                .upstream_data(context, &mut data, End::More)
                .map(drop);
            assert_eq!(data, "kept", "a crash loses no bytes");
            result
        }),
        ("proxy_on_downstream_connection_close", 2, "", |run| {
            let context = tcp(run)?;
            run.vm.downstream_close(context, Peer::Remote)
        }),
        ("proxy_on_upstream_connection_close", 2, "", |run| {
            let context = tcp(run)?;
            run.vm.upstream_close(context, Peer::Unknown)
        }),
        ("proxy_on_done", 1, i32_result, |run| {
            let context = tcp(run)?;
            run.vm.finish(context)
        }),
        ("proxy_on_log", 1, "", |run| {
            let context = tcp(run)?;
            run.vm.finish(context)
        }),
        ("proxy_on_delete", 1, "", |run| {
            let context = http(run)?;
            run.vm.finish(context)
        }),
        ("proxy_on_request_headers", 3, i32_result, |run| {
            let context = http(run)?;
            run.vm.request_headers(context, End::Last).map(drop)
        }),
        ("proxy_on_request_body", 3, i32_result, |run| {
            let context = http(run)?;
            run.vm
                .request_body(context, &mut BytesMut::new(), End::Last)
                .map(drop)
        }),
        ("proxy_on_request_trailers", 2, i32_result, |run| {
            let context = http(run)?;
            run.vm
                .request_trailers(context, &mut BytesMut::new())
                .map(drop)
        }),
        ("proxy_on_response_headers", 3, i32_result, |run| {
            let context = http(run)?;
            run.vm.response_headers(context, End::Last).map(drop)
        }),
        ("proxy_on_response_body", 3, i32_result, |run| {
            let context = http(run)?;
            run.vm
                .response_body(context, &mut BytesMut::new(), End::Last)
                .map(drop)
        }),
        ("proxy_on_response_trailers", 2, i32_result, |run| {
            let context = http(run)?;
            run.vm
                .response_trailers(context, &mut BytesMut::new())
                .map(drop)
        }),
        ("proxy_on_foreign_function", 3, "", |run| {
            run.vm.foreign_function(run.root, 1, b"x")
        }),
    ];
    let shared = Shared::new();
    let mut witness = Guest::new()
        .config(|config| config.vm_id = "witness".into())
        .on("proxy_on_tick", [call("proxy_get_log_level", [R1])])
        .start_in(&shared)
        .unwrap();
    for (name, params, result, drive) in cases {
        let wat = callback(name, params, result, "unreachable");
        let mut run = Guest::new().with(&wat).start_in(&shared).unwrap();
        let trap = drive(&mut run).expect_err(name);
        assert_eq!((trap.callback, trap.reason), (name, TrapReason::Crash));
        assert_dead(&mut run, &trap);
        witness
            .tick()
            .unwrap_or_else(|error| panic!("after {name} another VM fails: {error}"));
    }
}

#[test]
fn a_trap_in_an_answer_ends_the_vm() {
    let request = pairs(&[(":method", "GET"), (":path", "/"), (":authority", "x")]);
    let dispatch = call(
        "proxy_http_call",
        [s("ping/r1"), s(request), s(""), s(""), N(0), R1],
    );
    let wat = callback("proxy_on_http_call_response", 5, "", "unreachable");
    let mut run = Guest::new()
        .on("proxy_on_tick", [dispatch])
        .with(&wat)
        .start();
    run.tick().unwrap();
    let effects = run.effects();
    let [Effect::HttpCall(sent)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let reply = CallReply {
        headers: headers(&[(":status", "200")]),
        ..CallReply::default()
    };
    let trap = run
        .vm
        .http_call_response(run.root, sent.token, reply)
        .unwrap_err();
    assert_eq!(trap.callback, "proxy_on_http_call_response");
    assert_dead(&mut run, &trap);
}

#[test]
fn time_is_kept_though_the_engine_is_gone() {
    let wat = callback("proxy_on_tick", 1, "", "(loop $on (br $on))");
    let guest = Guest::new().with(&wat).config(|config| {
        config.callback_limit = Duration::from_millis(20);
    });
    let engine = proxy_wasm_engine::Engine::new().unwrap();
    let module = Module::compile(&engine, guest.wat().as_bytes()).unwrap();
    let no_clusters = std::sync::Arc::new(|_: &str| false);
    let vm = proxy_wasm_engine::Vm::start(&module, &guest.config, &Shared::new(), no_clusters);
    drop((engine, module));
    let mut vm = vm.unwrap();
    let root = vm.root("root").unwrap();
    assert_eq!(vm.tick(root).unwrap_err().reason, TrapReason::Time);
}
