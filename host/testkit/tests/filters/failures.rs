//! Traps, leaks, and what a failed test shows.

use proxy_wasm_testkit::{OnTrap, accepts, breaks_off, hangs, millis, secs, trap_in};

use crate::load;

#[test]
fn a_trap_fails_the_requests_of_that_vm() {
    let mut kit = load("http_headers")
        .cluster("default", hangs())
        .start()
        .unwrap();
    let waiting = kit.http().get("/waiting").send();
    kit.fault(trap_in("proxy_on_request_headers"));
    let failed = kit.http().send();
    assert_eq!((failed.status(), waiting.status()), (Some(503), Some(503)));
    assert_eq!(kit.http().send().status(), Some(503), "no VM yet");
    kit.cluster("default", accepts());
    kit.advance(secs(1));
    assert_eq!(kit.http().send().status(), Some(200), "built again");
}

/// The message of the panic that this test body ends in.
fn panic_of(body: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(body).unwrap_err();
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => panic!("the panic has no text"),
    }
}

#[test]
fn a_call_that_fails_without_headers_is_the_death_of_a_careless_guest() {
    // So it is in Envoy: there is no map to read the status from.
    let text = panic_of(|| {
        let kit = load("http_call").cluster("auth", breaks_off());
        kit.start().unwrap().http().get("/").send();
    });
    assert!(
        text.contains("map http call headers, \":status\") -> BAD_ARGUMENT"),
        "{text}"
    );
    assert!(text.contains("only if the call got an answer"), "{text}");
}

#[test]
fn a_panic_on_an_unexpected_status_is_explained() {
    let cases = [
        ("/panic", "on request"),
        (
            "/status",
            "proxy_get_header_map_value(map response headers, \"too-early\") -> BAD_ARGUMENT",
        ),
        ("/status", "This map does not exist at this moment"),
        ("/resume", "Envoy cannot resume bytes of the upstream"),
        (
            "/metric",
            "proxy_increment_metric(metric 4000000000, value 1) -> NOT_FOUND",
        ),
    ];
    for (path, expected) in cases {
        let text = panic_of(|| {
            let mut kit = load("careless").start().unwrap();
            kit.http().get(path).send();
        });
        assert!(
            text.starts_with("the guest trapped in proxy_on_request_headers"),
            "{text}"
        );
        assert!(
            text.contains(expected),
            "{path}: no {expected:?} in: {text}"
        );
    }
}

#[test]
fn a_test_may_go_on_after_a_trap() {
    let mut kit = load("careless").on_trap(OnTrap::GoOn).start().unwrap();
    assert_eq!(kit.http().get("/panic").send().status(), Some(503));
    assert!(kit.traps()[0].to_string().contains("on request"));
    let transcript = kit.transcript().to_string();
    assert!(transcript.contains("the VM trapped"), "{transcript}");
    assert!(
        transcript.contains("why: the guest panicked"),
        "{transcript}"
    );
}

#[test]
fn an_endless_loop_is_stopped() {
    let kit = load("careless")
        .callback_limit(millis(50))
        .on_trap(OnTrap::GoOn);
    let mut kit = kit.start().unwrap();
    kit.http().get("/loop").send();
    assert!(
        kit.traps()[0].to_string().contains("ran longer than 50 ms"),
        "{:?}",
        kit.traps()
    );
}

#[test]
fn leaks_are_found() {
    let mut kit = load("careless").cluster("void", hangs()).start().unwrap();
    let growth = kit.growth_per_round(300, |kit| {
        kit.http().get("/leak").send();
    });
    assert!(growth >= 500, "{growth} bytes a round");
    kit.assert_no_leaks();

    kit.http().get("/forget").send();
    assert_eq!(kit.leaks().calls, ["void"]);

    let mut kit = load("careless").start().unwrap();
    let mut exchange = kit.http().get("/hold").send();
    assert_eq!(kit.leaks().held, 1, "{}", kit.leaks());
    exchange.reset();
    kit.assert_no_leaks();
    kit.shut_down();
    assert_eq!(kit.leaks().contexts, 1, "{}", kit.leaks());

    let mut kit = load("http_headers").start().unwrap();
    kit.shut_down();
    kit.assert_no_leaks();
}

/// Fails when it is asked to; for the test below.
#[test]
fn fails_when_asked() {
    let mut kit = load("http_headers").start().unwrap();
    let exchange = kit.http().get("/page").send();
    let wanted = if std::env::var_os(FAIL).is_some() {
        404
    } else {
        200
    };
    assert_eq!(exchange.status(), Some(wanted));
}

#[test]
fn a_failed_assertion_shows_the_transcript() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let output = again
        .args(["--exact", "failures::fails_when_asked"])
        .env(FAIL, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "left: Some(200)",
        "--- transcript of callbacks and host functions ---",
        " asks GET /page",
        "proxy_on_request_headers(count 4, end last)",
        "proxy_add_header_map_value(map request headers, \"x-many\", \"two\") -> OK",
        "= continue",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

const FAIL: &str = "TESTKIT_TEST_FAILS";
