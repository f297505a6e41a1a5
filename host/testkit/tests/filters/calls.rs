//! HTTP and gRPC calls of the guest.

use proxy_wasm_testkit::{
    TestKit, answers, decides, grpc_answers, grpc_fails, hangs, millis, refuses, resets, secs,
};

use crate::load;

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
