//! Guests that mean no good, or know no better: each costs its own VM at most,
//! and the message says what an author can do.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use proxy_wasm_engine::{
    CallReply, Effect, End, HttpInfo, LoadError, Module, Peer, Shared, StartError, Trap, TrapReason,
};

use crate::guest::{ENGINE, Guest, N, R1, R2, Run, call, s};
use crate::hostcalls::{connection, headers, pairs};

/// A callback of one parameter with this body.
fn callback(name: &str, params: usize, result: &str, body: &str) -> String {
    let params = " i32".repeat(params);
    format!(r#"(func $bad (export "{name}") (param{params}) {result} {body})"#)
}

/// What becomes of a guest whose tick is this.
#[track_caller]
fn tick_of(body: &str, extra: &str) -> Trap {
    let wat = callback("proxy_on_tick", 1, "", body) + extra;
    let guest = Guest::new()
        .importing("proxy_log")
        .with(&wat)
        .config(|config| {
            config.callback_limit = Duration::from_millis(50);
            config.memory_limit = 1 << 20;
        });
    let mut run = guest.start();
    let trap = run.tick().expect_err("it must not return");
    assert_dead(&mut run, &trap);
    trap
}

/// After a trap nothing more is asked of the guest, and nothing it asked for is done.
#[track_caller]
fn assert_dead(run: &mut Run, trap: &Trap) {
    assert_eq!(
        run.vm.trap().map(ToString::to_string),
        Some(trap.to_string())
    );
    let again = run.tick().expect_err("dead is dead");
    assert_eq!(again.to_string(), trap.to_string());
    assert!(run.vm.open_tcp(run.root, connection()).is_err());
    assert_eq!(run.vm.next_effect(), None);
}

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
fn a_panic_leaves_its_last_words() {
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
        "words of another callback: {trap}"
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
    let trap = tick_of("(loop $on (br $on))", "");
    assert_eq!(trap.reason, TrapReason::Time);
    assert!(trap.to_string().contains("longer than 50 ms"), "{trap}");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(50),
        "cut short after {took:?}"
    );
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
fn a_trap_while_starting_names_the_function() {
    let cases = [
        (
            "_initialize",
            r#"(func (export "_initialize") unreachable)"#,
        ),
        ("_start", r#"(func (export "_start") unreachable)"#),
        (
            "main",
            r#"(func (export "_initialize")) (func (export "main") (param i32 i32) (result i32) unreachable)"#,
        ),
        ("start section", "(func $now unreachable) (start $now)"),
        (
            "proxy_on_context_create",
            r#"(func (export "proxy_on_context_create") (param i32 i32) unreachable)"#,
        ),
        (
            "proxy_on_vm_start",
            r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) unreachable)"#,
        ),
        (
            "proxy_on_configure",
            r#"(func (export "proxy_on_configure") (param i32 i32) (result i32) unreachable)"#,
        ),
    ];
    for (name, wat) in cases {
        match Guest::new().with(wat).try_start() {
            Err(StartError::Trap(trap)) => assert_eq!(trap.callback, name),
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name}: it starts"),
        }
    }
}

#[test]
fn start_functions_run_in_order_and_main_only_beside_initialize() {
    // Each multiplies by ten and adds its digit.
    let digit = |digit: u32| {
        format!(
            "(global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) \
             (i32.const {digit})))"
        )
    };
    let order = |exports: &[(&str, u32)]| {
        let mut wat = String::from("(global $order (mut i32) (i32.const 0))");
        for (name, number) in exports {
            let (shape, answer) = match *name {
                "main" => ("(param i32 i32) (result i32)", "(i32.const 0)"),
                "__main_void" => ("(result i32)", "(i32.const 0)"),
                _ => ("", ""),
            };
            wat += &format!(
                "(func (export \"{name}\") {shape} {} {answer})",
                digit(*number)
            );
        }
        wat += r#"(func (export "proxy_on_tick") (param i32)
            (i32.store (i32.const 16) (global.get $order)) (call $report (i32.const 0)))"#;
        let mut run = Guest::new().with(&wat).start();
        run.tick().unwrap();
        run.outcome(0).words[0]
    };
    let (initialize, main, void, start) = (
        ("_initialize", 1),
        ("main", 2),
        ("__main_void", 3),
        ("_start", 4),
    );
    let cases = [
        ("_initialize alone", order(&[initialize]), 1),
        ("then main", order(&[initialize, main]), 12),
        ("or what stands for it", order(&[initialize, void]), 13),
        ("main before that", order(&[initialize, main, void]), 12),
        (
            "_start only without _initialize",
            order(&[initialize, main, start]),
            12,
        ),
        ("_start alone", order(&[start]), 4),
        ("no main without _initialize", order(&[start, main]), 4),
        ("main alone is not called", order(&[main]), 0),
    ];
    for (why, called, expected) in cases {
        assert_eq!(called, expected, "{why}");
    }
}

#[test]
fn while_starting_a_guest_may_log_and_no_more() {
    let log = call("proxy_log", [N(2), s("hello")]);
    let time = call("clock_time_get", [N(0), crate::guest::L(0), R1]);
    // A guest's own way of keeping results is not allowed here either, so these
    // are written out.
    let quiet = |body: &str, name: &str| format!(r#"(func (export "{name}") {body})"#);
    let log_body = "(drop (call $proxy_log (i32.const 2) (i32.const 1024) (i32.const 5)))";
    let good = Guest::new()
        .on("proxy_on_tick", [log.clone(), time])
        .with(&quiet(log_body, "_initialize"))
        .start();
    assert!(good.vm.trap().is_none());

    for start in ["_initialize", "_start"] {
        let body = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 5)))";
        let guest = Guest::new()
            .on(
                "proxy_on_tick",
                [call("proxy_set_tick_period_milliseconds", [N(1)])],
            )
            .with(&quiet(body, start));
        let Err(StartError::Trap(trap)) = guest.try_start() else {
            panic!("{start} went well")
        };
        assert_eq!((trap.callback, trap.reason), (start, TrapReason::Forbidden));
        let text = trap.to_string();
        assert!(
            text.contains("proxy_set_tick_period_milliseconds may not be called"),
            "{text}"
        );
    }
}

/// A guest that gets bytes by this allocator.
fn allocator(body: &str) -> Guest {
    let wat = format!(r#"(func (export "malloc") (param i32) (result i32) {body})"#);
    let get = call("proxy_get_property", [s("plugin_name"), R1, R2]);
    Guest::new().with(&wat).on("proxy_on_tick", [get])
}

#[test]
fn an_allocator_that_fails_gets_a_status() {
    let cases = [
        ("no memory", "(i32.const 0)"),
        ("memory that is not there", "(i32.const 0x7fffffff)"),
        ("memory at the very end", "(i32.const -1)"),
        ("memory that ends too soon", "(i32.const 262143)"),
    ];
    for (why, body) in cases {
        let mut run = allocator(body).start();
        run.tick().unwrap();
        assert_eq!(run.outcome(0).status, 6, "{why}");
    }
}

#[test]
fn an_allocator_may_log_and_not_call_back() {
    let logs =
        "(drop (call $proxy_log (i32.const 2) (i32.const 1024) (i32.const 4))) (i32.const 65536)";
    let mut run = allocator(logs).importing("proxy_log").start();
    run.tick().unwrap();
    assert_eq!(run.outcome(0).bytes, b"test");

    let calls_back = "(drop (call $proxy_get_property (i32.const 1024) (i32.const 11) \
                      (i32.const 16) (i32.const 20))) (i32.const 65536)";
    let mut run = allocator(calls_back).start();
    let trap = run.tick().unwrap_err();
    assert_eq!(
        (trap.callback, trap.reason),
        ("proxy_on_tick", TrapReason::Forbidden)
    );
    assert!(trap.to_string().contains("inside the allocator"), "{trap}");

    let mut run = allocator("unreachable").start();
    let trap = run.tick().unwrap_err();
    assert_eq!(
        (trap.callback, trap.reason),
        ("proxy_on_tick", TrapReason::Crash)
    );

    let config = |config: &mut proxy_wasm_engine::VmConfig| {
        config.callback_limit = Duration::from_millis(30);
    };
    let mut run = allocator("(loop $on (br $on)) (i32.const 1)")
        .config(config)
        .start();
    assert_eq!(run.tick().unwrap_err().reason, TrapReason::Time);
}

#[test]
fn memory_that_grows_in_the_allocator_is_found_again() {
    let body = "(drop (memory.grow (i32.const 2))) (i32.mul (memory.size) (i32.const 65536)) \
                (i32.const 65536) (i32.sub)";
    let mut run = allocator(body).start();
    run.tick().unwrap();
    assert_eq!(run.outcome(0).bytes, b"test");
}

#[test]
fn modules_that_do_not_fit_are_refused_with_the_reason() {
    let marked = r#"(func (export "proxy_abi_version_0_2_0"))"#;
    let module = |body: &str| format!("(module {body} {marked})");
    let cases = [
        ("nothing", String::new(), "not a usable wasm module"),
        ("no module", "hello".to_owned(), "not a usable wasm module"),
        (
            "no marker",
            "(module)".to_owned(),
            "no proxy-wasm ABI marker",
        ),
        (
            "an unknown marker",
            r#"(module (func (export "proxy_abi_version_0_3_0")))"#.to_owned(),
            "but it exports proxy_abi_version_0_3_0",
        ),
        (
            "an import nobody has",
            module(r#"(import "env" "proxy_make_coffee" (func))"#),
            "env.proxy_make_coffee",
        ),
        (
            "an import from elsewhere",
            module(r#"(import "go" "debug" (func (param i32)))"#),
            "go.debug",
        ),
        (
            "an import of another shape",
            module(r#"(import "env" "proxy_log" (func (param i32) (result i32)))"#),
            "proxy_log",
        ),
        (
            "a WASI import without an errno",
            module(r#"(import "wasi_snapshot_preview1" "strange" (func))"#),
            "wasi_snapshot_preview1.strange",
        ),
        (
            "a callback of another shape",
            module(r#"(func (export "proxy_on_tick") (param i32 i32))"#),
            "proxy_on_tick has the wrong shape",
        ),
        (
            "a callback that answers with 64 bits",
            module(r#"(func (export "proxy_on_done") (param i32) (result i64) (i64.const 1))"#),
            "proxy_on_done has the wrong shape",
        ),
        (
            "a callback that is no function",
            module(r#"(memory (export "proxy_on_log") 1)"#),
            "proxy_on_log has the wrong shape",
        ),
        (
            "an allocator of another shape",
            module(r#"(func (export "malloc") (param i64) (result i32) (i32.const 0))"#),
            "malloc has the wrong shape",
        ),
    ];
    for (why, wat, message) in cases {
        let error = match Module::compile(&ENGINE, wat.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{why}: it compiles"),
        };
        assert!(error.contains(message), "{why}: {error}");
    }
    let several = Module::compile(
        &ENGINE,
        module(r#"(import "env" "one" (func)) (import "x" "two" (memory 1))"#).as_bytes(),
    );
    let Err(LoadError::Import(text)) = several else {
        panic!("it compiles")
    };
    assert!(
        text.contains("env.one, x.two"),
        "all of them are named: {text}"
    );
}

#[test]
fn a_guest_without_an_allocator_or_a_memory_is_no_danger() {
    let Err(StartError::NoAllocator) = Guest::new().with("(; no allocator ;)").try_start() else {
        panic!("it starts without an allocator");
    };
    let wat = r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) (i32.const 8))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (i32.eq (call $log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 6))))"#;
    let module = Module::compile(&ENGINE, wat.as_bytes()).unwrap();
    let config = Guest::new().config;
    let nobody = std::sync::Arc::new(|_: &str| false);
    let started = proxy_wasm_engine::Vm::start(&module, &config, &Shared::new(), nobody);
    assert!(
        started.is_ok(),
        "its log call gets INVALID_MEMORY_ACCESS, and it goes on"
    );
}

#[test]
fn a_configuration_that_is_refused_is_an_error_of_that_plugin() {
    let refusing = |callback| {
        Guest::new()
            .answering(callback, [], 0)
            .try_start()
            .unwrap_err()
    };
    let error = refusing("proxy_on_configure").to_string();
    assert_eq!(
        error,
        r#"plugin "test": proxy_on_configure refused the configuration"#
    );
    let error = refusing("proxy_on_vm_start").to_string();
    assert_eq!(
        error,
        r#"plugin "test": proxy_on_vm_start refused the VM configuration"#
    );
    assert!(matches!(
        refusing("proxy_validate_configuration"),
        StartError::PluginRefused { plugin } if plugin == "test"
    ));
}

#[test]
fn capabilities_taken_away_are_refused_and_not_called() {
    let guest = Guest::new()
        .on(
            "proxy_on_tick",
            [
                call("proxy_get_log_level", [R1]),
                call("proxy_get_property", [s("plugin_name"), R1, R2]),
                call("random_get", [R1, N(4)]),
                call("sched_yield", []),
            ],
        )
        .answering(
            "proxy_on_new_connection",
            [call("proxy_get_log_level", [R1])],
            1,
        )
        .config(|config| {
            let some = [
                "proxy_on_tick",
                "proxy_set_shared_data",
                "proxy_get_log_level",
            ];
            let some = some.into_iter().chain(["sched_yield"]).map(String::from);
            config.capabilities = Some(some.collect());
        });
    let mut run = guest.start();
    run.tick().unwrap();
    assert_eq!(run.statuses(4), [0, 10, 76, 0]);
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    let action = run.vm.new_connection(context).unwrap();
    assert_eq!(
        action,
        proxy_wasm_engine::Action::Continue,
        "that callback is never called"
    );
    assert!(!run.done(4));
}

/// Throws what numbers there are at every host function, in every position: the
/// guest gets a status, and the host stays in one piece.
#[test]
fn no_number_breaks_a_host_function() {
    let numbers: [i64; 9] = [0, 1, 4, 7, 1024, 262_143, 262_144, 0x7fff_ffff, -1];
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        numbers[(seed >> 32) as usize % numbers.len()]
    };
    for round in 0..40 {
        let steps: Vec<_> = crate::guest::IMPORTS
            .iter()
            .map(|(name, params)| {
                let args = params.chars().map(|kind| match kind {
                    'l' => crate::guest::L(next()),
                    _ => N(next()),
                });
                call(name, args.collect::<Vec<_>>())
            })
            .collect();
        let count = steps.len() as u8;
        let guest = Guest::new()
            .with(r#"(func (export "proxy_on_log") (param i32))"#)
            .on("proxy_on_new_connection", steps);
        let mut run = guest.start();
        let context = run.vm.open_tcp(run.root, connection()).unwrap();
        run.vm
            .new_connection(context)
            .unwrap_or_else(|trap| panic!("round {round}: {trap}"));
        // What was written over the guest's own notes is not looked at.
        let known = [0, 1, 2, 3, 4, 6, 7, 8, 10, 12, 20, 21, 28, 44, 52, 58, 76];
        let seen = (0..count).filter(|index| run.done(*index));
        let strange: Vec<u32> = seen
            .map(|index| run.outcome(index).status)
            .filter(|status| !known.contains(status))
            .collect();
        assert!(strange.is_empty(), "round {round}: statuses {strange:?}");
        run.vm.finish(context).unwrap();
    }
}

/// A tick that does something again and again until it is refused, and keeps how
/// often it went well.
fn greedy(functions: &[&'static str], again: &str) -> Run {
    let wat = format!(
        r#"(func $again (result i32) {again})
        (func (export "proxy_on_new_connection") (param i32) (result i32)
            (local $times i32)
            (loop $on
                (i32.store (i32.const 40) (call $again))
                (if (i32.eqz (i32.load (i32.const 40))) (then
                    (local.set $times (i32.add (local.get $times) (i32.const 1)))
                    (br $on))))
            (i32.store (i32.const 16) (local.get $times))
            (i32.store (i32.const 20) (i32.const 0))
            (call $report (i32.const 0))
            (i32.const 0))
        (data (i32.const 512) "ping/r1"
            "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00"
            ":method\00GET\00:path\00/\00:authority\00x\00")"#
    );
    let guest = functions
        .iter()
        .fold(Guest::new(), |guest, name| guest.importing(name));
    let guest = guest.with(&wat).config(|config| {
        config.callback_limit = Duration::from_secs(20);
        config.memory_limit = 1 << 20;
    });
    let mut run = guest.start();
    let context = run.vm.open_tcp(run.root, connection()).unwrap();
    run.vm
        .new_connection(context)
        .unwrap_or_else(|trap| panic!("{functions:?}: {trap}"));
    run
}

#[test]
fn a_guest_cannot_fill_the_hosts_memory() {
    // Bodies of 128 KiB, with a memory limit of 1 MiB.
    let dispatch = "(call $proxy_http_call (i32.const 512) (i32.const 7) (i32.const 519) \
         (i32.const 61) (i32.const 1024) (i32.const 131072) (i32.const 0) (i32.const 0) \
         (i32.const 0) (i32.const 24))";
    let mut run = greedy(&["proxy_http_call"], dispatch);
    assert_eq!((run.outcome(0).status, run.outcome(0).words[0]), (10, 8));
    assert_eq!(run.effects().len(), 8);

    let tick = "(call $proxy_set_tick_period_milliseconds (i32.const 1))";
    let run = greedy(&["proxy_set_tick_period_milliseconds"], tick);
    assert_eq!(
        (run.outcome(0).status, run.outcome(0).words[0]),
        (10, 65_536)
    );

    // A property of 100 KiB under ever new names: the name is the time.
    let set = "(i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1))) \
         (call $proxy_set_property (i32.const 600) (i32.const 4) (i32.const 1024) \
         (i32.const 102400))";
    let run = greedy(&["proxy_set_property"], set);
    assert_eq!((run.outcome(0).status, run.outcome(0).words[0]), (10, 10));

    // An item of 128 KiB in a queue nobody reads.
    let enqueue = "(drop (call $proxy_register_shared_queue (i32.const 512) (i32.const 1) \
         (i32.const 24))) (call $proxy_enqueue_shared_queue (i32.load (i32.const 24)) \
         (i32.const 1024) (i32.const 131072))";
    let run = greedy(
        &["proxy_register_shared_queue", "proxy_enqueue_shared_queue"],
        enqueue,
    );
    assert_eq!((run.outcome(0).status, run.outcome(0).words[0]), (10, 2048));
}

#[test]
fn time_is_kept_though_the_engine_is_gone() {
    let wat = callback("proxy_on_tick", 1, "", "(loop $on (br $on))");
    let guest = Guest::new().with(&wat).config(|config| {
        config.callback_limit = Duration::from_millis(20);
    });
    let engine = proxy_wasm_engine::Engine::new().unwrap();
    let module = Module::compile(&engine, guest.wat().as_bytes()).unwrap();
    let nobody = std::sync::Arc::new(|_: &str| false);
    let vm = proxy_wasm_engine::Vm::start(&module, &guest.config, &Shared::new(), nobody);
    drop((engine, module));
    let mut vm = vm.unwrap();
    let root = vm.root("root").unwrap();
    assert_eq!(vm.tick(root).unwrap_err().reason, TrapReason::Time);
}
