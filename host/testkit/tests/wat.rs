//! The testkit, tried with one small guest in text form.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proxy_wasm_testkit::{
    Builder, EntryKind, Peer, Status, TestKit, accepts, answers, cas_lost, decides, first_of,
    hangs, memory_exhausted, millis, next_call, refuses, returns, secs, trap_in, unknown_cluster,
};

/// See the comment in the file.
const PROBER: &str = include_str!("prober.wat");

fn kit() -> Builder {
    TestKit::load(PROBER)
        .plugin("")
        .cluster("ping:r1", answers(200, "well"))
        .cluster("r1:443", accepts())
}

#[test]
fn time_moves_only_by_advance_and_ticks_come_in_order() {
    let mut kit = kit().start().unwrap();
    assert_eq!(kit.metric("ticks"), Some(0));
    kit.advance(millis(999));
    assert_eq!(kit.metric("ticks"), Some(0));
    kit.advance(millis(1));
    assert_eq!(kit.metric("ticks"), Some(1));
    kit.advance(secs(4));
    assert_eq!(kit.metric("ticks"), Some(5));
    let times: Vec<_> = kit
        .requests_to("ping:r1")
        .iter()
        .map(|request| request.at)
        .collect();
    assert_eq!(times, [1, 2, 3, 4, 5].map(secs));
}

#[test]
fn calls_are_answered_as_their_cluster_behaves_at_that_moment() {
    let mut kit = kit().start().unwrap();
    let mut seen = Vec::new();
    let behaviours = [
        answers(200, ""),
        answers(503, "sick"),
        refuses(),
        hangs(),
        answers(204, "").after(millis(400)),
        answers(204, "").after(millis(600)),
        decides(|request| answers(if request.path == "/_ping" { 418 } else { 500 }, "")),
    ];
    for behaviour in behaviours {
        kit.cluster("ping:r1", behaviour);
        // Each second one call is made; the slowest is over half a second later.
        kit.advance(millis(1500));
        seen.push(String::from_utf8(kit.shared_data("status").unwrap()).unwrap());
        kit.advance(millis(500));
    }
    assert_eq!(seen, ["200", "503", "503", "504", "204", "504", "418"]);
    assert!(
        kit.requests()
            .iter()
            .all(|request| request.authority == "dtr")
    );
}

#[test]
fn a_connection_is_steered_and_carries_bytes_both_ways() {
    let mut kit = kit().start().unwrap();
    let mut client = kit.tcp().from("10.0.0.7:4000").connect();
    assert_eq!(
        client.filter_state("envoy.tcp_proxy.cluster"),
        Some("r1:443")
    );
    let mut upstream = client.upstream();
    assert_eq!(upstream.cluster(), "r1:443");
    client.send("hello");
    upstream.send("good day");
    assert_eq!(upstream.received(), "hello");
    assert_eq!(client.received(), "good day");
    client.finish();
    assert!(upstream.saw_end() && client.is_open(), "half-close passes");
    upstream.send_last("bye");
    assert_eq!(client.received(), "good daybye");
    assert_eq!(client.closed_by(), Some(Peer::Local), "both ends are done");
    assert_eq!(
        client.filter_state("envoy.tcp_proxy.cluster"),
        Some("r1:443"),
        "known after the end"
    );
    kit.assert_no_leaks();
}

#[test]
fn connect_failures_go_to_the_next_of_an_aggregate() {
    let mut kit = kit()
        .cluster("dead", refuses())
        .cluster("hole", hangs())
        .cluster("well", accepts())
        .cluster("r1:443", first_of(["dead", "hole", "well"]))
        .start()
        .unwrap();
    let mut client = kit.tcp().connect();
    assert!(!client.is_connected());
    kit.advance(secs(1));
    assert!(
        client.is_connected(),
        "the black hole is given up after a second"
    );
    assert_eq!((client.attempts(), client.response_flags()), (3, 32));
    assert_eq!(client.upstream().cluster(), "well");

    kit.cluster("well", refuses());
    let client = kit.tcp().connect();
    kit.advance(secs(1));
    assert_eq!(client.closed_by(), Some(Peer::Local));
    assert_eq!(client.response_flags(), 32 | 32768);
}

#[test]
fn an_unknown_cluster_closes_the_connection_and_the_transcript_says_so() {
    let mut kit = kit().start().unwrap();
    kit.remove_cluster("r1:443");
    let client = kit.tcp().connect();
    assert_eq!(client.closed_by(), Some(Peer::Local));
    let transcript = kit.transcript().to_string();
    assert!(
        transcript.contains("there is no cluster \"r1:443\""),
        "{transcript}"
    );
}

#[test]
fn resets_are_seen_from_both_ends() {
    let mut kit = kit().start().unwrap();
    let mut client = kit.tcp().connect();
    let upstream = client.upstream();
    client.reset();
    assert!(!upstream.is_open());
    assert_eq!(client.closed_by(), Some(Peer::Remote));

    let mut client = kit.tcp().connect();
    client.upstream().reset();
    assert_eq!(
        (client.closed_by(), client.response_flags()),
        (Some(Peer::Local), 16)
    );
}

#[test]
fn a_trap_costs_the_vm_and_nothing_else() {
    let mut kit = kit().start().unwrap();
    let mut client = kit.tcp().connect();
    kit.fault(trap_in("proxy_on_tick").nth(2));
    kit.advance(millis(2500));
    assert!(!kit.is_alive());
    assert_eq!(kit.traps().len(), 1);
    client.send("still here");
    assert_eq!(client.upstream().received(), "still here");
    let mut meanwhile = kit.tcp().connect();
    assert_eq!(
        meanwhile.upstream().cluster(),
        "default",
        "without a filter"
    );
    kit.advance(secs(1));
    assert!(kit.is_alive(), "built again after a second");
    assert_eq!(kit.tcp().connect().upstream().cluster(), "r1:443");
    kit.advance(secs(2));
    assert!(kit.metric("ticks").unwrap() >= 3, "ticks live on");
}

#[test]
fn faults_are_one_line_each() {
    let mut kit = kit().start().unwrap();
    kit.advance(secs(1));

    kit.fault(unknown_cluster());
    kit.advance(secs(1));
    assert!(kit.logged("call refused"));

    kit.fault(cas_lost());
    kit.advance(secs(1));
    assert!(kit.logged("lost"));

    kit.fault(next_call(refuses()));
    kit.advance(secs(1));
    assert_eq!(kit.shared_data("status").as_deref(), Some(&b"503"[..]));

    kit.fault(returns("proxy_increment_metric", Status::NOT_FOUND));
    let before = kit.metric("ticks");
    kit.advance(secs(1));
    assert_eq!(kit.metric("ticks"), before);

    kit.fault(memory_exhausted());
    // The allocator takes page after page as answers come in.
    for _ in 0..2000 {
        kit.advance(secs(1));
        if !kit.is_alive() {
            return;
        }
    }
    panic!("the guest never ran out of memory");
}

#[test]
fn the_transcript_names_arguments() {
    let mut kit = kit().start().unwrap();
    kit.advance(secs(1));
    kit.tcp().from("10.0.0.7:4000").connect().close();
    let transcript = kit.transcript();
    let text = transcript.to_string();
    for line in [
        "proxy_define_metric(kind counter, \"ticks\") -> OK metric ",
        "proxy_set_tick_period_milliseconds(milliseconds 1000) -> OK",
        "1.000s #1 proxy_on_tick()",
        "proxy_http_call(\"ping:r1\", headers [:method: GET, :path: /_ping, :authority: dtr], \"\", \
         trailers [], timeout ms 500) -> OK token 1",
        "proxy_on_http_call_response(token 1, headers ",
        "proxy_get_header_map_value(map http call headers, \":status\") -> OK \"200\"",
        "proxy_get_shared_data(\"status\") -> NOT_FOUND",
        "· client 10.0.0.7:4000 connects",
    ] {
        assert!(text.contains(line), "no line {line:?} in\n{text}");
    }
    let call = transcript.hostcalls("proxy_http_call").next().unwrap();
    assert_eq!(call.argument("cluster"), Some("ping:r1"));
    assert_eq!(call.status, Some(Status::OK));
    let kit_lines = transcript
        .entries()
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Kit(_)));
    assert!(kit_lines.count() >= 3);
}

#[test]
fn workers_share_data_and_metrics_but_not_their_guests() {
    let mut kit = kit().workers(2).start().unwrap();
    kit.advance(secs(1));
    assert_eq!(kit.metric("ticks"), Some(2), "each worker ticks");
    kit.fault(trap_in("proxy_on_tick"));
    kit.advance(secs(1));
    assert!(!kit.is_alive());
    assert_eq!(
        kit.tcp().on_worker(1).connect().upstream().cluster(),
        "r1:443"
    );
    assert_eq!(
        kit.tcp().on_worker(0).connect().upstream().cluster(),
        "default"
    );
}

#[test]
fn a_guest_that_does_not_start_says_why() {
    let error = TestKit::load("(module)").start().err().unwrap();
    assert!(error.to_string().contains("marker"), "{error}");
    let error = kit()
        .fault(trap_in("proxy_on_configure"))
        .start()
        .err()
        .unwrap();
    let text = format!("{error:?}");
    assert!(
        text.contains("proxy_on_configure") && text.contains("transcript"),
        "{text}"
    );
}
