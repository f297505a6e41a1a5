//! Starting a guest, and modules that do not start.

use proxy_wasm_engine::{LoadError, Module, Shared, StartError, TrapReason};

use crate::guest::{ENGINE, Guest, N, R1, call, s};

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
        run.outcome(0).numbers[0]
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
    let no_clusters = std::sync::Arc::new(|_: &str| false);
    let started = proxy_wasm_engine::Vm::start(&module, &config, &Shared::new(), no_clusters);
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
