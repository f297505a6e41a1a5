//! What a panic ends, and what goes on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::FILTER;
use crate::captured_log::CapturedLog;
use crate::config::Config;
use crate::control::lifecycle::Drained;
use crate::fault::{Fault, FaultSwitch};
use crate::plan::{Address, Plan};
use crate::proxy::host::Host;
use crate::proxy::options::HostOptions;

#[tokio::test]
async fn a_panicking_session_leaves_nothing_behind_and_the_worker_goes_on() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(plan(replica), FILTER, options(1, Fault::Session));
    let host = host.await.unwrap();
    assert_eq!(
        ask(host.listeners()[0]).await,
        "",
        "the session that panics is closed without a reply"
    );
    assert!(
        ask(host.listeners()[0]).await.ends_with("\r\n\r\nOK"),
        "the next one is served by the same worker"
    );
    let expected = [
        "dtr_lb_host_connections_accepted_total 2\n",
        "dtr_lb_host_connections_active 0\n",
        "dtr_lb_host_connections_closed_total{reason=\"internal-error\"} 1\n",
        // The filter saw both begin and end.
        "dtr_lb_replica_connections_total{replica=\"r1\"} 2\n",
        "dtr_lb_replica_active{replica=\"r1\"} 0\n",
        "dtr_lb_host_vm_failures_total 0\n",
    ];
    shows(&host, &expected).await;
    let drained = timeout(LIMIT, host.drain(LIMIT * 10)).await;
    assert_eq!(
        drained.ok(),
        Some(Drained::default()),
        "no session is open when the drain begins"
    );
    let log = log.text();
    assert!(
        log.contains("its task panicked") && log.contains("reason=\"internal-error\""),
        "{log}"
    );
}

#[tokio::test]
async fn the_start_reports_a_worker_that_panics() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let starting = Host::start(without_filter(replica), &[], options(2, Fault::Start));
    let started = timeout(LIMIT, starting).await.unwrap();
    let error = started.err().map(|error| error.to_string());
    assert!(
        error
            .as_ref()
            .is_some_and(|error| error.contains("can't be started: its thread ended")),
        "{error:?}"
    );
    let log = log.text();
    assert!(
        log.contains("a worker panicked") && log.contains("worker=\"worker-"),
        "the log names the worker:\n{log}"
    );
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_worker_that_panicked() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(without_filter(replica), &[], options(1, Fault::Drain));
    let host = host.await.unwrap();
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    let drained = timeout(LIMIT, host.drain(LIMIT * 10)).await;
    assert_eq!(
        drained.ok(),
        Some(Drained::default()),
        "nobody is left to report what became of its sessions"
    );
    let end = timeout(LIMIT, client.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "its client is cut: {end:?}");
    let log = log.text();
    assert!(
        log.contains("a worker panicked") && log.contains("worker=\"worker-0\""),
        "the log names the worker:\n{log}"
    );
}

#[tokio::test]
async fn a_worker_that_panics_is_built_again_on_the_same_sockets() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(without_filter(replica), &[], options(1, Fault::Life));
    let host = host.await.unwrap();
    for _ in 0..3 {
        let reply = ask(host.listeners()[0]).await;
        assert!(
            reply.ends_with("OK"),
            "who comes meanwhile is served: {reply:?}"
        );
    }
    let expected = [
        "dtr_lb_host_workers 1\n",
        "dtr_lb_host_connections_accepted_total 3\n",
        "dtr_lb_host_connections_active 0\n",
    ];
    shows(&host, &expected).await;
    let text = log.text();
    assert!(
        text.contains("a worker panicked") && text.contains("it is started again"),
        "{text}"
    );
    assert!(text.contains("host/src/fault.rs:"), "the place: {text}");
    let drained = timeout(LIMIT, host.drain(LIMIT * 10)).await;
    assert_eq!(drained.ok(), Some(Drained::default()));
}

#[tokio::test]
async fn accepting_goes_on_after_a_panic() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(without_filter(replica), &[], options(1, Fault::Accept));
    let host = host.await.unwrap();
    assert_eq!(
        ask(host.listeners()[0]).await,
        "",
        "the client it was about"
    );
    assert!(ask(host.listeners()[0]).await.ends_with("OK"), "the next");
    shows(&host, &["dtr_lb_host_connections_active 0\n"]).await;
    let text = log.text();
    assert!(
        text.contains("accepting panicked") && text.contains("host/src/fault.rs:"),
        "{text}"
    );
}

#[tokio::test]
async fn the_admin_listener_goes_on_after_a_panic() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(without_filter(replica), &[], options(1, Fault::AdminAccept));
    let host = host.await.unwrap();
    let admin = host.admin().unwrap();
    assert_eq!(get(admin, "/ready").await, "", "the client it was about");
    let ready = get(admin, "/ready").await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let text = log.text();
    assert!(text.contains("accepting panicked"), "{text}");
}

#[tokio::test]
async fn names_are_looked_up_again_after_a_panic() {
    let (log, _guard) = CapturedLog::start();
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let options = HostOptions {
        lookup: Arc::new(move |_| {
            counted.fetch_add(1, Relaxed);
            Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
        }),
        ..options(1, Fault::Resolver)
    };
    let mut named = without_filter(([127, 0, 0, 1], 1).into());
    named.dns_refresh = Duration::from_millis(10);
    for cluster in &mut named.clusters {
        cluster.host = Address::Name("moving.test".to_owned());
    }
    let _host = Host::start(named, &[], options).await.unwrap();
    let looked_up = async {
        while lookups.load(Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(LIMIT, looked_up).await.is_ok(), "no more look-ups");
    let text = log.text();
    assert!(text.contains("looking up names panicked"), "{text}");
}

#[tokio::test]
async fn a_panic_in_what_is_done_for_a_vm_has_the_vm_replaced() {
    for fault in [Fault::Tick, Fault::VmCall] {
        let (log, _guard) = CapturedLog::start();
        let replica = replica().await;
        let host = Host::start(plan(replica), FILTER, options(1, fault));
        let host = host.await.unwrap();
        assert!(ask(host.listeners()[0]).await.ends_with("OK"), "{fault:?}");
        let expected = [
            "dtr_lb_host_vm_failures_total 1\n",
            "dtr_lb_host_vm_reloads_total 1\n",
            "dtr_lb_host_vm_running 1\n",
            // The new one probes.
            "dtr_lb_replica_healthy{replica=\"r1\"} 1\n",
        ];
        shows(&host, &expected).await;
        let text = log.text();
        assert!(text.contains("the filter failed"), "{fault:?}: {text}");
        assert!(text.contains("the host panicked"), "{fault:?}: {text}");
        assert!(text.contains("host/src/fault.rs:"), "{fault:?}: {text}");
    }
}

#[tokio::test]
async fn a_vm_that_replaces_another_counts_the_connections_that_are_open() {
    let replica = replica().await;
    let fault = FaultSwitch::default();
    let options = HostOptions {
        fault: fault.clone(),
        ..options(1, Fault::VmCall)
    };
    let host = Host::start(plan(replica), FILTER, options).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        clients.push(client);
    }
    let active = |count: usize| format!("dtr_lb_replica_active{{replica=\"r1\"}} {count}\n");
    let totals = "dtr_lb_replica_connections_total{replica=\"r1\"} 3\n";
    shows(&host, &[totals, &active(3)]).await;
    fault.arm(Fault::VmCall);
    shows(&host, &["dtr_lb_host_vm_reloads_total 1\n"]).await;
    // What the VM that failed had counted is gone after a while, all at once.
    for (nth, mut client) in clients.into_iter().enumerate() {
        client.write_all(b"\r\n").await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        assert!(reply.ends_with("OK"), "client {nth}: {reply:?}");
        drop(client);
        shows(&host, &[&active(2 - nth)]).await;
    }
    shows(&host, &[totals]).await;
}

#[tokio::test]
async fn a_vm_that_a_reload_has_replaced_does_not_come_back() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let (go_on, stopped) = std::sync::mpsc::channel();
    let fault = FaultSwitch::stopping(Fault::Drain, stopped);
    let options = HostOptions {
        fault: fault.clone(),
        ..options(1, Fault::Drain)
    };
    let mut host = Host::start(plan(replica), FILTER, options).await.unwrap();
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    shows(&host, &["dtr_lb_host_connections_active 1\n"]).await;
    // From here on there is no other VM.
    host.reload(without_filter(replica), &[]).await.unwrap();
    while fault.is_pending() {
        yield_now().await;
    }
    fault.arm(Fault::VmCall);
    drop(go_on);
    client.write_all(b"\r\n").await.unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert!(reply.ends_with("OK"), "its client is served: {reply:?}");
    drop(client);
    let expected = [
        "dtr_lb_host_vm_failures_total 1\n",
        "dtr_lb_host_workers 1\n",
    ];
    shows(&host, &expected).await;
    let text = log.text();
    assert!(text.contains("a reload has replaced it before"), "{text}");
    assert!(!text.contains("the filter is back"), "{text}");
}

#[tokio::test]
async fn a_panic_in_a_filters_call_fails_the_call_alone() {
    let (log, _guard) = CapturedLog::start();
    let replica = replica().await;
    let host = Host::start(plan(replica), FILTER, options(1, Fault::HttpCall));
    let host = host.await.unwrap();
    let expected = [
        "dtr_lb_host_vm_failures_total 0\n",
        "dtr_lb_replica_healthy{replica=\"r1\"} 1\n",
    ];
    let failed = "a filter's HTTP call failed: its task panicked";
    let logged = async {
        while !log.text().contains(failed) {
            yield_now().await;
        }
    };
    let logged = timeout(LIMIT, logged).await.is_ok();
    assert!(logged, "expected {failed:?} in\n{}", log.text());
    shows(&host, &expected).await;
}

#[tokio::test]
async fn who_waits_at_a_listener_that_a_reload_gives_up_is_served_as_the_filter_says() {
    let replica = replica().await;
    let (go_on, stopped) = std::sync::mpsc::channel();
    let options = HostOptions {
        fault: FaultSwitch::stopping(Fault::Accept, stopped),
        ..options(1, Fault::Accept)
    };
    let mut host = Host::start(plan(replica), FILTER, options).await.unwrap();
    let address = host.listeners()[0];
    // The kernel accepts them; the worker stands still.
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    let mut next = plan(replica);
    next.listeners[0].bind = ([127, 0, 0, 2], 0).into();
    host.reload(next, FILTER).await.unwrap();
    drop(go_on);
    for (nth, mut client) in clients.into_iter().enumerate() {
        let mut reply = String::new();
        let read = timeout(LIMIT, client.read_to_string(&mut reply)).await;
        assert!(
            read.unwrap().is_ok() && reply.ends_with("OK"),
            "client {nth}: {reply:?}"
        );
    }
    let expected = ["dtr_lb_replica_connections_total{replica=\"r1\"} 200\n"];
    shows(&host, &expected).await;
}

#[tokio::test]
async fn a_reload_that_fails_leaves_no_vm_behind() {
    let replica = replica().await;
    let fault = FaultSwitch::default();
    let options = HostOptions {
        fault: fault.clone(),
        ..options(2, Fault::Start)
    };
    let mut host = Host::start(plan(replica), FILTER, options).await.unwrap();
    shows(&host, &["dtr_lb_host_vm_running 2\n"]).await;
    // One of the new workers has a VM when the other one fails.
    fault.arm(Fault::Start);
    assert!(host.reload(plan(replica), FILTER).await.is_err());
    shows(&host, &["dtr_lb_host_vm_running 2\n"]).await;
}

#[tokio::test]
async fn a_drain_counts_only_what_was_open_when_it_began() {
    let replica = replica().await;
    let options = options(1, Fault::Start);
    let options = HostOptions {
        fault: FaultSwitch::default(),
        ..options
    };
    let mut host = Host::start(without_filter(replica), &[], options)
        .await
        .unwrap();
    let mut stays = TcpStream::connect(host.listeners()[0]).await.unwrap();
    stays.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let goes = TcpStream::connect(host.listeners()[0]).await.unwrap();
    shows(&host, &["dtr_lb_host_connections_active 2\n"]).await;
    host.reload(without_filter(replica), &[]).await.unwrap();
    drop(goes);
    shows(&host, &["dtr_lb_host_connections_active 1\n"]).await;
    let drained = host.drain_until(std::future::ready(())).await;
    let expected = Drained {
        finished: 0,
        cut: 1,
    };
    assert_eq!(drained, expected);
}

/// Waits until the metrics have all these lines.
async fn shows(host: &Host, expected: &[&str]) {
    let admin = host.admin().unwrap();
    let mut metrics = String::new();
    let shown = async {
        while !expected.iter().all(|line| metrics.contains(line)) {
            metrics = get(admin, "/metrics").await;
        }
    };
    let shown = timeout(LIMIT, shown).await.is_ok();
    assert!(shown, "expected {expected:#?} in\n{metrics}");
}

/// Answers every request on every connection with OK, then closes.
async fn replica() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap_or(b'\n'));
                    if head.ends_with(b"\n\n") {
                        return;
                    }
                }
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK";
                // A client that was cut reads nothing.
                let _ = socket.write_all(reply).await;
            });
        }
    });
    address
}

fn plan(replica: SocketAddr) -> Plan {
    let port = replica.port();
    let text = format!(
        r#"{{ "fqdn": "dtr.example.com",
            "replicas": [{{ "address": "127.0.0.1", "ports": {{ "80": {port} }} }}],
            "listeners": [{{ "bind": "127.0.0.1:0", "port": 80 }}],
            "health": {{ "target": "http:80/_ping", "interval": "100ms" }},
            "admin": {{ "bind": "127.0.0.1:0" }} }}"#
    );
    Plan::of(&Config::parse(&text, "lb.json").unwrap())
}

/// Without a VM, which takes a while to compile.
fn without_filter(replica: SocketAddr) -> Plan {
    Plan {
        balancer: None,
        ..plan(replica)
    }
}

fn options(workers: usize, fault: Fault) -> HostOptions {
    HostOptions {
        workers: NonZeroUsize::new(workers).unwrap(),
        fault: FaultSwitch::new(fault),
        reload_backoff: Duration::from_millis(20),
        ..HostOptions::default()
    }
}

/// What comes back for a request; nothing when the connection is cut.
async fn ask(address: SocketAddr) -> String {
    get(address, "/").await
}

async fn get(address: SocketAddr, path: &str) -> String {
    let exchange = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        // A reset ends it as well.
        let _ = socket.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    };
    timeout(LIMIT, exchange).await.unwrap()
}

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);
