//! What several files of tests start from.

use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{HttpInfo, ListenerDirection, TcpInfo, Trap, Upstream};
use serde_json::json;

use crate::guest::{Arg, Guest, N, Step};
use crate::run::Run;

pub(crate) const OK: u32 = 0;

pub(crate) const NOT_FOUND: u32 = 1;

pub(crate) const BAD_ARGUMENT: u32 = 2;

pub(crate) const PARSE_FAILURE: u32 = 4;

pub(crate) const INVALID_MEMORY: u32 = 6;

pub(crate) const EMPTY: u32 = 7;

pub(crate) const CAS_MISMATCH: u32 = 8;

pub(crate) const UNIMPLEMENTED: u32 = 12;

/// An address far outside the four pages a test guest has.
pub(crate) const FAR: Arg = N(0x7fff_ffff);

/// Runs each call as one of `proxy_on_tick`, and compares the statuses.
#[track_caller]
pub(crate) fn statuses(cases: &[(&str, Step, u32)]) {
    let run = Guest::ticking(cases.iter().map(|(_, step, _)| step.clone()));
    for (index, (why, _, expected)) in cases.iter().enumerate() {
        assert_eq!(run.outcome(index as u8).status, *expected, "{why}");
    }
}

pub(crate) fn connection() -> TcpInfo {
    TcpInfo::new(
        7,
        "10.0.0.7:40000".parse().unwrap(),
        "10.0.0.1:443".parse().unwrap(),
    )
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// The wire form of pairs.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// A request with a body, and its maps as the guest sees them.
pub(crate) fn request() -> HttpInfo {
    let request = [
        (":method", "PUT"),
        (":path", "/replicas/r1?x=1#f"),
        (":authority", "lb.example.com"),
        (":scheme", "http"),
        ("accept", "text/html"),
        ("accept", "text/plain"),
        ("user-agent", "curl"),
    ];
    HttpInfo::new(connection(), headers(&request))
}

/// A connection of which everything is known.
pub(crate) fn settled() -> TcpInfo {
    TcpInfo {
        listener_metadata: Arc::new(json!({"filter_metadata": {"dtr": {
            "port": "443", "number": 7, "flag": true, "nothing": null, "list": ["a", "b"]
        }}})),
        listener_direction: ListenerDirection::Inbound,
        requested_server_name: Some("dtr.example.com".into()),
        time: Duration::from_secs(5),
        received: 10,
        sent: 20,
        attempts: 2,
        response_flags: 32,
        transport_failure: Some("delayed connect error: Connection refused".into()),
        upstream: Some(Arc::new(Upstream {
            cluster: "443/r1".into(),
            metadata: Arc::new(json!({"filter_metadata": {"dtr": {"name": "r1"}}})),
            address: "10.0.0.11:8443".parse().unwrap(),
            local_address: "10.0.0.1:50000".parse().unwrap(),
        })),
        ..connection()
    }
}

/// A callback of one parameter with this body.
pub(crate) fn callback(name: &str, params: usize, result: &str, body: &str) -> String {
    let params = " i32".repeat(params);
    format!(r#"(func $bad (export "{name}") (param{params}) {result} {body})"#)
}

/// What becomes of a guest whose tick is this.
#[track_caller]
pub(crate) fn tick_of(body: &str, extra: &str) -> Trap {
    // Long enough for whatever ends otherwise.
    tick_within(Duration::from_secs(10), body, extra)
}

/// The same of a tick that may take so long.
#[track_caller]
pub(crate) fn tick_within(limit: Duration, body: &str, extra: &str) -> Trap {
    let wat = callback("proxy_on_tick", 1, "", body) + extra;
    let guest = Guest::new()
        .importing("proxy_log")
        .with(&wat)
        .config(|config| {
            config.callback_limit = limit;
            config.memory_limit = 1 << 20;
        });
    let mut run = guest.start();
    let trap = run.tick().expect_err("it must not return");
    assert_dead(&mut run, &trap);
    trap
}

/// After a trap nothing more is asked of the guest, and nothing it asked for is done.
#[track_caller]
pub(crate) fn assert_dead(run: &mut Run, trap: &Trap) {
    assert_eq!(
        run.vm.trap().map(ToString::to_string),
        Some(trap.to_string())
    );
    let again = run.tick().expect_err("dead is dead");
    assert_eq!(again.to_string(), trap.to_string());
    assert!(run.vm.open_tcp(run.root, connection()).is_err());
    assert_eq!(run.vm.next_effect(), None);
}
