//! HTTP filters of `tests/guests`, tried with the testkit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proxy_wasm_testkit::{
    Build, Builder, Guest, OnTrap, TestKit, accepts, answers, breaks_off, cas_lost, decides,
    grpc_answers, grpc_fails, hangs, millis, refuses, resets, secs, trap_in,
};

fn guest(name: &str) -> Guest {
    Build::new("../../tests/guests")
        .example(name)
        .run()
        .unwrap()
}

fn load(name: &str) -> Builder {
    TestKit::load(guest(name))
}

/// Messages the guest logged, in order.
fn logs(kit: &TestKit) -> Vec<String> {
    kit.logs().into_iter().map(|line| line.message).collect()
}

#[test]
fn headers_are_read_and_changed_both_ways() {
    let upstream = answers(200, "hi")
        .header("server", "nginx")
        .header("x-own", "kept");
    let mut kit = load("http_headers")
        .cluster("default", upstream)
        .start()
        .unwrap();
    let mut exchange = kit
        .http()
        .get("/page")
        .header("X-Many", "one")
        .header("x-replace", "old")
        .header("x-remove", "gone")
        .send();

    let request = exchange.upstream_request().unwrap();
    assert_eq!(request.path, "/rewritten");
    assert_eq!(request.header("x-replace"), Some("new"));
    assert_eq!(request.header("x-remove"), None);
    let many = request.headers.iter().filter(|(name, _)| name == "x-many");
    assert_eq!(
        many.map(|(_, value)| &value[..]).collect::<Vec<_>>(),
        [b"one", b"two"]
    );

    assert_eq!(exchange.status(), Some(200));
    assert_eq!(exchange.header("server"), None);
    assert_eq!(exchange.header("x-own"), Some("kept"));
    assert_eq!(exchange.header("x-filter"), Some("seen"));
    assert_eq!(exchange.body(), "hi");
    assert!(kit.logged("request headers 7 end true"));
    assert!(kit.logged("response headers 5 end false"));

    let callbacks = kit
        .transcript()
        .callbacks_of(exchange.context_id().unwrap())
        .join(" ");
    assert_eq!(
        callbacks,
        "proxy_on_context_create proxy_on_request_headers proxy_on_response_headers \
         proxy_on_response_body proxy_on_response_body proxy_on_log proxy_on_done proxy_on_delete",
        "Envoy logs before it is done"
    );
    assert_eq!(logs(&kit).last().unwrap(), "done");
    assert!(kit.logged("log /rewritten 200"));
    kit.assert_no_leaks();
}

#[test]
fn bodies_are_gathered_and_pieces_come_one_by_one() {
    let upstream = answers(200, "abcdefgh").in_chunks_of(3);
    let mut kit = load("http_body")
        .cluster("default", upstream)
        .start()
        .unwrap();
    let mut exchange = kit.http().post("/").header("content-length", "10").open();
    exchange.send("hello");
    assert!(exchange.request_is_paused());
    assert_eq!(exchange.upstream_request().unwrap().body, b"");
    exchange.send_last("world");
    let request = exchange.upstream_request().unwrap();
    assert_eq!(request.text(), "HELLOWORLD.");
    assert_eq!(request.header("content-length"), None);
    assert_eq!(exchange.body(), "[1]abc[2]def[3]gh");
    assert!(exchange.is_complete());
    assert!(
        kit.logged("request body 10 end true"),
        "the whole of what was held"
    );
}

#[test]
fn trailers_pass_and_let_the_body_go() {
    let upstream = answers(200, "body").trailer("sum", "2");
    let mut kit = load("http_trailers")
        .cluster("default", upstream)
        .start()
        .unwrap();
    let mut exchange = kit.http().post("/").open();
    exchange.send("held");
    assert_eq!(exchange.upstream_request().unwrap().body, b"");
    exchange.send_trailers(&[("Sum", "1")]);
    let request = exchange.upstream_request().unwrap();
    assert_eq!(
        (request.text().as_str(), request.trailer("x-seen")),
        ("held", Some("yes"))
    );
    assert!(kit.logged("request trailers 1 sum 1"));
    assert_eq!(exchange.trailer("x-seen"), Some("yes"));
    assert_eq!(exchange.trailer("sum"), Some("2"));
    assert!(exchange.is_complete());
}

#[test]
fn a_guest_answers_by_itself() {
    let mut kit = load("http_local").start().unwrap();
    let mut teapot = kit.http().get("/teapot").send();
    assert_eq!(
        (teapot.status(), teapot.header("x-pot")),
        (Some(418), Some("tea"))
    );
    assert_eq!(teapot.body(), "short and stout");
    assert!(teapot.local_reply().is_some());
    assert_eq!(teapot.upstream_request(), None, "it never went further");
    assert!(
        kit.logged("response headers of /teapot"),
        "its own answer passes it, too"
    );

    let late = kit.http().get("/late").send();
    assert_eq!(
        (late.status(), late.body().as_ref()),
        (Some(502), &b"changed my mind"[..])
    );
    assert!(late.upstream_request().is_some());

    let reset = kit.http().get("/reset").send();
    assert!(reset.is_reset() && reset.status().is_none());

    let plain = kit.http().get("/").send();
    assert_eq!((plain.status(), plain.local_reply()), (Some(200), None));
    kit.assert_no_leaks();
}

#[test]
fn a_request_waits_for_its_call() {
    let cases = [
        ("allowed", answers(200, "alice").after(millis(50)), 200, ""),
        ("denied by the service", answers(401, ""), 403, "denied"),
        ("refused", refuses(), 403, "no answer"),
        ("reset", resets(), 403, "no answer"),
        ("timed out", hangs(), 403, "no answer"),
        (
            "answered too late",
            answers(200, "").after(secs(1)),
            403,
            "no answer",
        ),
    ];
    for (why, auth, status, body) in cases {
        let mut kit = load("http_call").cluster("auth", auth).start().unwrap();
        let exchange = kit.http().get("/").header("authorization", "secret").send();
        kit.advance(millis(300));
        assert_eq!(exchange.status(), Some(status), "{why}");
        assert_eq!(exchange.body(), body, "{why}");
        let call = &kit.requests_to("auth")[0];
        assert_eq!(
            (call.method.as_str(), call.text().as_str()),
            ("POST", "who?")
        );
        assert_eq!(call.header("authorization"), Some("secret"));
        assert_eq!(call.trailer("x-sum"), Some("1"));
        if status == 200 {
            let request = exchange.upstream_request().unwrap();
            assert_eq!(request.header("x-user"), Some("alice"));
        }
        kit.advance(secs(5));
        kit.assert_no_leaks();
    }

    let mut kit = load("http_call").start().unwrap();
    let exchange = kit.http().send();
    assert_eq!(
        (exchange.status(), exchange.body().as_ref()),
        (Some(500), &b"BadArgument"[..])
    );
}

#[test]
fn a_cluster_decides_by_request() {
    let auth = decides(|call| match call.header("authorization") {
        Some("alice") => answers(200, "alice"),
        _ => answers(401, ""),
    });
    let mut kit = load("http_call").cluster("auth", auth).start().unwrap();
    let status = |kit: &mut TestKit, who| kit.http().header("authorization", who).send().status();
    assert_eq!(status(&mut kit, "alice"), Some(200));
    assert_eq!(status(&mut kit, "mallory"), Some(403));
}

#[test]
fn properties_come_from_the_request_the_kit_and_the_guest() {
    let mut kit = load("properties")
        .property("xds.made_up", "everywhere")
        .start()
        .unwrap();
    let mut read = |path: &str| {
        let request = kit
            .http()
            .get("/p?q=1")
            .from("10.0.0.7:4000")
            .header("x-read", path);
        let mut exchange = request.property("of.this.request", "mine").send();
        exchange.header("x-value").unwrap().to_owned()
    };
    assert_eq!(read("source.address"), "10.0.0.7:4000");
    assert_eq!(read("request.path"), "/p?q=1");
    assert_eq!(read("request.method"), "GET");
    assert_eq!(
        read("source.port"),
        "\\xa0\\x0f\\x00\\x00\\x00\\x00\\x00\\x00"
    );
    assert_eq!(read("of.this.request"), "mine");
    assert_eq!(read("xds.made_up"), "everywhere");
    assert_eq!(read("nowhere"), "nothing");
    kit.set_property("nowhere", "somewhere");
    let mut exchange = kit.http().header("x-read", "nowhere").send();
    assert_eq!(exchange.header("x-value"), Some("somewhere"));
    let mut exchange = kit
        .http()
        .header("x-read", "own")
        .header("x-write", "set")
        .send();
    assert_eq!(exchange.header("x-value"), Some("set"));
}

#[test]
fn workers_count_together() {
    let mut kit = load("shared_data").workers(3).start().unwrap();
    let mut numbers = Vec::new();
    for worker in [0, 1, 2, 1] {
        let exchange = kit.http().on_worker(worker).send();
        let request = exchange.upstream_request().unwrap();
        numbers.push(request.header("x-number").unwrap().to_owned());
    }
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    assert_eq!(kit.shared_data("count").as_deref(), Some(&b"4"[..]));

    kit.set_shared_data("count", "100");
    kit.fault(cas_lost().times(2));
    assert_eq!(kit.http().send().status(), Some(200), "the third try wins");
    assert_eq!(kit.shared_data("count").as_deref(), Some(&b"101"[..]));
    kit.fault(cas_lost().times(3));
    assert_eq!(kit.http().send().status(), Some(503));
}

#[test]
fn queues_reach_the_worker_that_registered_last() {
    let mut kit = load("queues").workers(2).start().unwrap();
    kit.http().get("/a").on_worker(0).send();
    kit.http().get("/b").on_worker(1).send();
    kit.enqueue("paths", "/from-the-test");
    let lines = kit
        .logs()
        .into_iter()
        .map(|line| (line.worker, line.message));
    let expected = ["item /a", "item /b", "item /from-the-test"].map(|item| (1, item.to_owned()));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn metrics_can_be_read() {
    let mut kit = load("metrics").start().unwrap();
    kit.http().post("/").open().send_last("12345");
    let open = kit.http().post("/").open();
    assert_eq!(kit.metric("guest.requests"), Some(2));
    assert_eq!(kit.metric("guest.active"), Some(1), "one is under way");
    assert_eq!(kit.metric("guest.unknown"), None);
    assert!(open.status().is_none());
    let metrics = kit.metrics();
    let bytes = metrics
        .iter()
        .find(|metric| metric.name == "guest.bytes")
        .unwrap();
    assert_eq!((bytes.value, bytes.sum), (1, 5));
    assert!(
        kit.logged("Ok(()) Ok(()) Err(BadArgument)"),
        "{:?}",
        logs(&kit)
    );
}

#[test]
fn grpc_calls_and_streams_are_answered() {
    let mut kit = load("grpc")
        .cluster("greeter", grpc_answers("hello"))
        .start()
        .unwrap();
    let answers_to = |kit: &mut TestKit, path: &str| {
        let exchange = kit.http().get(path).send();
        let request = exchange.upstream_request().unwrap();
        request.header("x-answers").unwrap().to_owned()
    };
    assert_eq!(answers_to(&mut kit, "/call"), "hello");
    let call = &kit.requests_to("greeter")[0];
    assert_eq!(
        (call.path.as_str(), call.text().as_str()),
        ("/hello.Greeter/Say", "hi")
    );
    assert_eq!(call.header("x-who"), Some("guest"));

    let echo = decides(|call| grpc_answers(call.text().to_uppercase()));
    kit.cluster("greeter", echo);
    assert_eq!(answers_to(&mut kit, "/stream"), "ONE TWO");
    assert!(kit.logged("stream: closed with 0"));

    kit.cluster("greeter", grpc_fails(7, "not you"));
    assert_eq!(answers_to(&mut kit, "/call"), "failed-7");
    kit.cluster("greeter", refuses());
    assert_eq!(answers_to(&mut kit, "/call"), "failed-14");
    kit.cluster("greeter", hangs());
    let exchange = kit.http().get("/call").send();
    assert!(exchange.request_is_paused());
    kit.advance(secs(1));
    let request = exchange.upstream_request().unwrap();
    assert_eq!(request.header("x-answers"), Some("failed-4"));
    kit.assert_no_leaks();
}

#[test]
fn foreign_functions_work_and_unknown_ones_say_so() {
    let mut kit = load("foreign").start().unwrap();
    kit.http().get(&format!("/{}", "a".repeat(1000))).send();
    assert!(kit.logged("and the same again: true"), "{:?}", logs(&kit));
    assert!(kit.logged("Err(NotFound)"), "{:?}", logs(&kit));
}

#[test]
fn an_upstream_that_fails_is_answered_for_as_envoy_does() {
    let cases = [
        (refuses(), 503, "remote connection failure"),
        (resets(), 503, "connection termination"),
        (hangs(), 504, "upstream request timeout"),
    ];
    for (upstream, status, body) in cases {
        let mut kit = load("http_headers")
            .cluster("default", upstream)
            .start()
            .unwrap();
        let mut exchange = kit.http().send();
        kit.advance(secs(15));
        assert_eq!(exchange.status(), Some(status));
        let text = String::from_utf8(exchange.body().to_vec()).unwrap();
        assert!(text.contains(body), "{text}");
        assert_eq!(
            exchange.header("x-filter"),
            Some("seen"),
            "it passes the filter"
        );
    }
    let mut kit = load("http_headers")
        .cluster("default", hangs())
        .start()
        .unwrap();
    let mut exchange = kit.http().send();
    exchange.respond(answers(202, "in the end"));
    assert_eq!(
        (exchange.status(), exchange.body().as_ref()),
        (Some(202), &b"in the end"[..])
    );
}

#[test]
fn a_response_may_come_piece_by_piece() {
    let mut kit = load("http_body")
        .cluster("default", hangs())
        .start()
        .unwrap();
    let mut exchange = kit.http().send();
    exchange.respond_headers(200, &[("x-own", "kept")]);
    assert_eq!(exchange.header("x-own"), Some("kept"));
    exchange.respond_chunk("one");
    assert_eq!(exchange.body(), "[1]one");
    kit.advance(secs(20));
    assert!(
        !exchange.is_complete(),
        "a response that began does not time out"
    );
    exchange.respond_last("two");
    assert_eq!(exchange.body(), "[1]one[2]two");
    assert!(exchange.is_complete());

    let mut exchange = kit.http().send();
    exchange.respond_headers(200, &[]);
    exchange.reset_upstream();
    assert!(exchange.is_reset());
    let mut exchange = kit.http().send();
    exchange.reset_upstream();
    assert_eq!(exchange.status(), Some(503));
}

#[test]
fn an_upstream_may_speak_first_on_a_grpc_stream() {
    let mut kit = load("grpc").cluster("greeter", hangs()).start().unwrap();
    let exchange = kit.http().get("/stream").send();
    let sent: Vec<_> = kit
        .requests_to("greeter")
        .iter()
        .map(|call| call.text())
        .collect();
    assert_eq!(sent, ["one", "two"]);
    let mut stream = kit.grpc_stream("greeter").unwrap();
    stream.send("first");
    assert!(stream.is_open() && exchange.request_is_paused());
    stream.close(5, "enough");
    assert!(!stream.is_open() && kit.logged("stream: closed with 5"));
    let request = exchange.upstream_request().unwrap();
    assert_eq!(request.header("x-answers"), Some("first"));
}

#[test]
fn a_client_that_goes_away_ends_the_stream() {
    let mut kit = load("http_body").start().unwrap();
    let mut exchange = kit.http().post("/").open();
    exchange.send("half");
    exchange.reset();
    assert!(exchange.is_reset());
    kit.assert_no_leaks();
}

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
        ("/panic", "as told"),
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
    assert!(kit.traps()[0].to_string().contains("as told"));
    let transcript = kit.transcript().to_string();
    assert!(transcript.contains("the VM is dead"), "{transcript}");
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
        .args(["--exact", "fails_when_asked"])
        .env(FAIL, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "left: Some(200)",
        "--- what guest and host said to each other ---",
        " asks GET /page",
        "proxy_on_request_headers(count 4, end last)",
        "proxy_add_header_map_value(map request headers, \"x-many\", \"two\") -> OK",
        "= continue",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

const FAIL: &str = "TESTKIT_TEST_FAILS";

/// Envoy's option, and what it is by default.
#[test]
fn a_guest_that_paused_at_the_headers_may_see_the_body() {
    for allow in [false, true] {
        let auth = answers(200, "alice").after(secs(1));
        let kit = load("http_call").cluster("auth", auth);
        let kit = kit.allow_on_headers_stop_iteration(allow);
        let mut kit = kit.start().unwrap();
        let exchange = kit.http().post("/").send_body("form");
        let shown = kit
            .transcript()
            .callbacks()
            .contains(&"proxy_on_request_body");
        assert_eq!(shown, allow);
        // The guest says nothing against the body, so headers go with it.
        assert_eq!(exchange.upstream_request().is_some(), allow);
        kit.advance(millis(300));
        assert_eq!(exchange.status(), Some(if allow { 200 } else { 403 }));
    }
}
