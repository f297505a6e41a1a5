//! HTTP streams.

use proxy_wasm_testkit::{answers, hangs, millis, refuses, resets, secs};

use crate::{load, logs};

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
fn a_client_that_goes_away_ends_the_stream() {
    let mut kit = load("http_body").start().unwrap();
    let mut exchange = kit.http().post("/").open();
    exchange.send("half");
    exchange.reset();
    assert!(exchange.is_reset());
    kit.assert_no_leaks();
}

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
