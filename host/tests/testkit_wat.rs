//! The testkit, tried with one small guest in text form.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use dtr_lb_host::testkit::{
    Builder, Peer, Status, TestKit, What, accepts, answers, cas_lost, decides, first_of, hangs,
    memory_exhausted, millis, next_call, refuses, returns, secs, trap_in, unknown_cluster,
};

/// Every second it asks cluster `ping`, counts ticks and answers, and notes the
/// last `:status` under shared key `status`; each connection is steered to `r1`.
fn prober() -> String {
    let pairs = pairs(&[
        (":method", "GET"),
        (":path", "/_ping"),
        (":authority", "dtr"),
    ]);
    let key = "envoy.tcp_proxy.cluster";
    let steering = format!("\\0a\\{:02x}{key}\\12\\02r1", key.len());
    let steering_len = 2 + key.len() + 2 + 2;
    let pairs_len = pairs.1;
    let pairs = pairs.0;
    format!(
        r#"(module
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick_every (param i32) (result i32)))
  (import "env" "proxy_http_call" (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 60000))
  (data (i32.const 0) "ticks")
  (data (i32.const 16) "answers")
  (data (i32.const 32) "ping")
  (data (i32.const 48) ":status")
  (data (i32.const 64) "status")
  (data (i32.const 80) "set_envoy_filter_state")
  (data (i32.const 128) "{steering}")
  (data (i32.const 256) "{pairs}")
  (data (i32.const 512) "call refused")
  (data (i32.const 528) "lost")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))
    (local.get $at))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 1024)))
    (drop (call $define (i32.const 0) (i32.const 16) (i32.const 7) (i32.const 1028)))
    (drop (call $tick_every (i32.const 1000)))
    (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (drop (call $increment (i32.load (i32.const 1024)) (i64.const 1)))
    (if (call $http_call (i32.const 32) (i32.const 4) (i32.const 256) (i32.const {pairs_len})
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 500) (i32.const 1032))
      (then (drop (call $log (i32.const 3) (i32.const 512) (i32.const 12))))))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $increment (i32.load (i32.const 1028)) (i64.const 1)))
    (drop (call $header (i32.const 6) (i32.const 48) (i32.const 7) (i32.const 1036) (i32.const 1040)))
    (drop (call $get (i32.const 64) (i32.const 6) (i32.const 1044) (i32.const 1048) (i32.const 1052)))
    (if (call $set (i32.const 64) (i32.const 6) (i32.load (i32.const 1036)) (i32.load (i32.const 1040)) (i32.load (i32.const 1052)))
      (then (drop (call $log (i32.const 3) (i32.const 528) (i32.const 4))))))
  (func (export "proxy_on_new_connection") (param i32) (result i32)
    (drop (call $foreign (i32.const 80) (i32.const 22) (i32.const 128) (i32.const {steering_len}) (i32.const 0) (i32.const 0)))
    (i32.const 0))
)"#
    )
}

/// The ABI's pairs as a WAT string, and their length.
fn pairs(pairs: &[(&str, &str)]) -> (String, usize) {
    let mut bytes = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
    for (key, value) in pairs {
        bytes.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    }
    for (key, value) in pairs {
        bytes.extend([key.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    let text = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    (text, bytes.len())
}

fn kit() -> Builder {
    TestKit::load(prober().as_str())
        .plugin("")
        .cluster("ping", answers(200, "well"))
        .cluster("r1", accepts())
}

#[test]
fn time_moves_only_when_told_to_and_ticks_come_in_order() {
    let mut kit = kit().start().unwrap();
    assert_eq!(kit.metric("ticks"), Some(0));
    kit.advance(millis(999));
    assert_eq!(kit.metric("ticks"), Some(0));
    kit.advance(millis(1));
    assert_eq!(kit.metric("ticks"), Some(1));
    kit.advance(secs(4));
    assert_eq!(kit.metric("ticks"), Some(5));
    let times: Vec<_> = kit
        .requests_to("ping")
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
        kit.cluster("ping", behaviour);
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
    assert_eq!(client.filter_state("envoy.tcp_proxy.cluster"), Some("r1"));
    let mut upstream = client.upstream();
    assert_eq!(upstream.cluster(), "r1");
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
        Some("r1"),
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
        .cluster("r1", first_of(["dead", "hole", "well"]))
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
    kit.remove_cluster("r1");
    let client = kit.tcp().connect();
    assert_eq!(client.closed_by(), Some(Peer::Local));
    let transcript = kit.transcript().to_string();
    assert!(
        transcript.contains("there is no cluster \"r1\""),
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
    assert_eq!(kit.tcp().connect().upstream().cluster(), "r1");
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
fn the_transcript_is_in_words() {
    let mut kit = kit().start().unwrap();
    kit.advance(secs(1));
    kit.tcp().from("10.0.0.7:4000").connect().close();
    let transcript = kit.transcript();
    let text = transcript.to_string();
    for line in [
        "proxy_define_metric(kind counter, \"ticks\") -> OK metric ",
        "proxy_set_tick_period_milliseconds(milliseconds 1000) -> OK",
        "1.000s #1 proxy_on_tick()",
        "proxy_http_call(\"ping\", headers [:method: GET, :path: /_ping, :authority: dtr], \"\", \
         trailers [], timeout ms 500) -> OK token 1",
        "proxy_on_http_call_response(token 1, headers ",
        "proxy_get_header_map_value(map http call headers, \":status\") -> OK \"200\"",
        "proxy_get_shared_data(\"status\") -> NOT_FOUND",
        "· client 10.0.0.7:4000 connects",
    ] {
        assert!(text.contains(line), "no line {line:?} in\n{text}");
    }
    let call = transcript.hostcalls("proxy_http_call").next().unwrap();
    assert_eq!(call.argument("cluster"), Some("ping"));
    assert_eq!(call.status, Some(Status::OK));
    let kit_lines = transcript
        .entries()
        .iter()
        .filter(|entry| matches!(entry.what, What::Kit(_)));
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
    assert_eq!(kit.tcp().on_worker(1).connect().upstream().cluster(), "r1");
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
