//! What a guest may not do: take memory without end, use what it was denied, break the host.

use std::time::Duration;

use proxy_wasm_engine::TrapReason;

use crate::fixture::connection;
use crate::guest::{Guest, N, R1, R2, call, s};
use crate::run::Run;

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
        let steps: Vec<_> = crate::abi::FUNCTIONS
            .iter()
            .map(|(_, name, params)| {
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
    assert_eq!((run.outcome(0).status, run.outcome(0).numbers[0]), (10, 8));
    assert_eq!(run.effects().len(), 8);

    let tick = "(call $proxy_set_tick_period_milliseconds (i32.const 1))";
    let run = greedy(&["proxy_set_tick_period_milliseconds"], tick);
    assert_eq!(
        (run.outcome(0).status, run.outcome(0).numbers[0]),
        (10, 65_536)
    );

    // A property of 100 KiB under ever new names: the name is the time.
    let set = "(i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1))) \
         (call $proxy_set_property (i32.const 600) (i32.const 4) (i32.const 1024) \
         (i32.const 102400))";
    let run = greedy(&["proxy_set_property"], set);
    assert_eq!((run.outcome(0).status, run.outcome(0).numbers[0]), (10, 10));

    // An item of 128 KiB in a queue nobody reads.
    let enqueue = "(drop (call $proxy_register_shared_queue (i32.const 512) (i32.const 1) \
         (i32.const 24))) (call $proxy_enqueue_shared_queue (i32.load (i32.const 24)) \
         (i32.const 1024) (i32.const 131072))";
    let run = greedy(
        &["proxy_register_shared_queue", "proxy_enqueue_shared_queue"],
        enqueue,
    );
    assert_eq!(
        (run.outcome(0).status, run.outcome(0).numbers[0]),
        (10, 2048)
    );
}
