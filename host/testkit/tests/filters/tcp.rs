//! TCP connections and ticks.

use proxy_wasm_testkit::{
    Peer, accepts, answers, first_of, hangs, json, millis, refuses, resets, secs,
};

use crate::{load, logs};

#[test]
fn a_clock_ticks_in_virtual_time_and_stops_itself() {
    let mut kit = load("clock").plugin(json!(3)).start().unwrap();
    kit.advance(secs(10));
    let expected = ["tick after 250 ms"; 3];
    assert_eq!(logs(&kit)[..3], expected);
    assert_eq!(logs(&kit)[3..], ["no more ticks"]);
    assert_eq!(kit.logs()[3].level, "warn");
    assert_eq!(kit.logs()[3].at, millis(750));
}

#[test]
fn a_refused_configuration_shows_what_the_guest_logged() {
    let error = load("clock").plugin("soon").start().err().unwrap();
    let text = error.to_string();
    assert!(text.contains("refused the configuration"), "{text}");
    assert!(text.contains("how many ticks, as a number"), "{text}");
    assert_eq!(error.logs().len(), 1);
}

#[test]
fn lines_are_held_until_complete_and_marked_both_ways() {
    let mut kit = load("tcp_lines").start().unwrap();
    let mut client = kit.tcp().connect();
    client.send("hel");
    assert!(client.is_paused());
    assert_eq!(client.held(), 3);
    assert_eq!(client.upstream().received(), "");
    client.send("lo\n");
    assert_eq!(client.upstream().received(), "6:hello\n");
    client.upstream().send("ok");
    assert_eq!(client.received(), "ok!");

    client.upstream().finish();
    client.finish();
    assert_eq!(
        logs(&kit),
        [
            "new connection",
            "downstream 3 end false",
            "downstream 6 end false",
            "upstream 2 end false",
            "upstream 0 end true",
            "upstream close Unknown",
            "downstream 0 end true",
            "downstream close Remote",
            "done",
            "log",
        ]
    );
    kit.assert_no_leaks();
}

#[test]
fn a_guest_may_close_the_connection() {
    let mut kit = load("tcp_lines").start().unwrap();
    let mut client = kit.tcp().connect();
    let upstream = client.upstream();
    client.send("quit");
    assert_eq!(client.closed_by(), Some(Peer::Local));
    assert_eq!(upstream.received(), "", "what is held back never arrives");
    let closes = kit
        .transcript()
        .callbacks_of(client.context_id().unwrap())
        .join(" ");
    let expected = "proxy_on_context_create proxy_on_new_connection proxy_on_downstream_data \
                    proxy_on_downstream_connection_close proxy_on_done proxy_on_log proxy_on_delete";
    assert_eq!(closes, expected);
}

/// In this order it was seen in Envoy 1.40.
#[test]
fn whose_end_comes_last_closes() {
    let mut kit = load("tcp_lines").start().unwrap();
    let mut client = kit.tcp().connect();
    client.finish();
    client.upstream().finish();
    let client_first = logs(&kit);
    let expected = [
        "new connection",
        "downstream 0 end true",
        "upstream 0 end true",
        "upstream close Unknown",
        "downstream close Local",
        "done",
        "log",
    ];
    assert_eq!(client_first, expected);

    let mut client = kit.tcp().connect();
    client.upstream().send_last("x");
    client.finish();
    let expected = [
        "new connection",
        "upstream 1 end true",
        "upstream close Unknown",
        "downstream 0 end true",
        "downstream close Remote",
        "done",
        "log",
    ];
    assert_eq!(logs(&kit)[client_first.len()..], expected);
}

#[test]
fn steering_and_what_the_filter_learns_of_each_outcome() {
    let cases = [
        ("served", accepts(), "attempts 1", "flags 0 because -"),
        (
            "a refused replica, then another",
            first_of(["dead", "well"]),
            "attempts 2",
            "flags 32 because delayed connect error: Connection refused",
        ),
        (
            "a black hole, then another",
            first_of(["hole", "well"]),
            "attempts 2",
            "flags 32 because -",
        ),
        (
            "nobody",
            refuses(),
            "",
            "flags 32800 because delayed connect error: Connection refused",
        ),
        ("a black hole", hangs(), "", "flags 32800 because -"),
        (
            "reset at the first bytes",
            resets(),
            "attempts 1",
            "flags 16 because -",
        ),
    ];
    for (why, behaviour, attempts, end) in cases {
        let mut kit = load("tcp_steer")
            .plugin("target")
            .cluster("target", behaviour)
            .cluster("dead", refuses())
            .cluster("hole", hangs())
            .cluster("well", accepts())
            .start()
            .unwrap();
        let mut client = kit.tcp().connect();
        assert_eq!(
            client.filter_state("envoy.tcp_proxy.cluster"),
            Some("target"),
            "{why}"
        );
        client.send("hello");
        kit.advance(secs(2));
        client.close();
        if attempts.is_empty() {
            assert!(!kit.logged("attempts"), "{why}: no data was ever read");
        } else {
            assert!(kit.logged(attempts), "{why}: {:?}", logs(&kit));
        }
        assert_eq!(logs(&kit).last().map(String::as_str), Some(end), "{why}");
    }
}

#[test]
fn a_held_connection_waits_for_a_call() {
    let start = |gate| {
        let kit = load("tcp_gate").cluster("gate", gate);
        kit.start().unwrap()
    };
    let mut kit = start(answers(200, "").after(millis(100)));
    let mut client = kit.tcp().from("10.0.0.7:4000").connect();
    client.send("hello");
    assert!(client.is_paused() && !client.is_connected());
    kit.advance(millis(100));
    assert_eq!(client.upstream().received(), "hello");
    assert_eq!(kit.requests_to("gate")[0].path, "/may/10.0.0.7:4000");

    let mut kit = start(answers(403, ""));
    assert_eq!(kit.tcp().connect().closed_by(), Some(Peer::Local));
    assert!(kit.logged("kept out: 403"));

    let mut kit = start(hangs());
    let client = kit.tcp().connect();
    kit.advance(millis(1999));
    assert!(client.is_paused());
    kit.advance(millis(1));
    assert_eq!(client.closed_by(), Some(Peer::Local));
    assert!(kit.logged("kept out: 504"));

    let mut kit = start(refuses());
    kit.remove_cluster("gate");
    assert_eq!(kit.tcp().connect().closed_by(), Some(Peer::Local));
    assert!(kit.logged("no call: BadArgument"));
}

#[test]
fn a_call_that_outlives_its_connection_is_harmless() {
    let gate = answers(200, "").after(secs(1));
    let mut kit = load("tcp_gate").cluster("gate", gate).start().unwrap();
    let mut client = kit.tcp().connect();
    client.reset();
    kit.advance(secs(2));
    assert!(kit.is_alive());
    kit.assert_no_leaks();
}

#[test]
fn connections_do_not_grow_the_guest() {
    let mut kit = load("tcp_lines").start().unwrap();
    let growth = kit.growth_per_round(300, |kit| {
        let mut client = kit.tcp().connect();
        client.send("a line\n");
        client.close();
    });
    assert_eq!(growth, 0);
}
