//! A running host with a small guest: what the host does, whatever filter it carries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dtr_lb::plan::{self, Admin, Cluster, Filter, Listener, Plan, Pool, Protocol, Route};
use dtr_lb::{Host, HostOptions, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A guest in WebAssembly text. `new_connection` and the others are the bodies
/// of its callbacks, which leave an action on the stack.
#[derive(Clone, Copy)]
struct Guest {
    /// The route, cluster or pool a `steer` goes to.
    target: &'static str,
    new_connection: &'static str,
    request_body: &'static str,
    configure: &'static str,
    tick: &'static str,
}

const CONTINUE: &str = "(i32.const 0)";
const CRASH: &str = "unreachable";
/// Sets the filter state `envoy.tcp_proxy.cluster`.
const STEER: &str = "(drop (call $foreign (i32.const 1000) (i32.const 22)
    (i32.const 1100) (global.get $state_size) (i32.const 0) (i32.const 0))) (i32.const 0)";
const REFUSE: &str = "(drop (call $close (i32.const 2))) (i32.const 0)";
const START_TICKS: &str = "(drop (call $tick_period (i32.const 10))) (i32.const 1)";
/// Asks the cluster `ping/r0` for `/_ping`.
const PING: &str = "(drop (call $http_call (i32.const 1300) (i32.const 7)
    (i32.const 1400) (global.get $headers_size) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 1900)))";

impl Guest {
    const PLAIN: Guest = Guest {
        target: "",
        new_connection: CONTINUE,
        request_body: CONTINUE,
        configure: "(i32.const 1)",
        tick: "",
    };

    fn steering_to(target: &'static str) -> Guest {
        Guest {
            target,
            new_connection: STEER,
            ..Guest::PLAIN
        }
    }

    fn wat(&self) -> String {
        let bytes = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("\\{byte:02x}"))
                .collect::<String>()
        };
        let key = b"envoy.tcp_proxy.cluster";
        let mut state = vec![0x0a, key.len() as u8];
        state.extend_from_slice(key);
        state.extend([0x12, self.target.len() as u8]);
        state.extend_from_slice(self.target.as_bytes());
        let headers = pairs(&[
            (":method", "GET"),
            (":path", "/_ping"),
            (":authority", "dtr.test"),
        ]);
        let Guest {
            new_connection,
            request_body,
            configure,
            tick,
            ..
        } = self;
        format!(
            r#"(module
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds"
    (func $tick_period (param i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric"
    (func $define_metric (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $state_size i32 (i32.const {state_size}))
  (global $headers_size i32 (i32.const {headers_size}))
  (global $heap (mut i32) (i32.const 4096))
  (global $connections (mut i32) (i32.const 0))
  (data (i32.const 1000) "set_envoy_filter_state")
  (data (i32.const 1100) "{state}")
  (data (i32.const 1300) "ping/r0")
  (data (i32.const 1400) "{headers}")
  (data (i32.const 1600) "guest.answers")
  (data (i32.const 1700) "hello from the guest")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size))
      (i32.const 7)) (i32.const -8)))
    (if (i32.gt_u (global.get $heap) (i32.const 120000)) (then
      (global.set $heap (i32.const 4096))))
    (local.get $at))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define_metric (i32.const 0) (i32.const 1600) (i32.const 13) (i32.const 2000)))
    {configure})
  (func (export "proxy_on_tick") (param i32) {tick})
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $increment (i32.load (i32.const 2000)) (i64.const 1))))
  (func (export "proxy_on_new_connection") (param i32) (result i32)
    (global.set $connections (i32.add (global.get $connections) (i32.const 1)))
    {new_connection})
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (local.get 2) (then (drop (call $respond (i32.const 200)
      (i32.const 0) (i32.const 0) (i32.const 1700) (i32.const 20)
      (i32.const 0) (i32.const 0) (i32.const -1)))))
    (i32.const 1))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) {request_body}))"#,
            state_size = state.len(),
            headers_size = headers.len(),
            state = bytes(&state),
            headers = bytes(&headers),
        )
    }
}

/// The ABI's encoding of a header map.
fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut encoded = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        encoded.extend((name.len() as u32).to_le_bytes());
        encoded.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers {
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(0);
        encoded.extend_from_slice(value.as_bytes());
        encoded.push(0);
    }
    encoded
}

/// A replica that says its name to whoever connects, then echoes.
struct Replica {
    address: SocketAddr,
    _bound: Option<TcpSocket>,
}

impl Replica {
    async fn start(name: &'static str) -> Replica {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = socket.split();
                    // A client that went away is its own affair.
                    let _ = write.write_all(name.as_bytes()).await;
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Replica {
            address,
            _bound: None,
        }
    }

    /// Nobody listens there; nor gets anybody else the port meanwhile.
    async fn refusing() -> Replica {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        Replica {
            address,
            _bound: Some(socket),
        }
    }
}

fn plan(replicas: &[&Replica]) -> Plan {
    let cluster = |service: &str, (at, replica): (usize, &&Replica)| Cluster {
        name: format!("{service}/r{at}"),
        part_of: None,
        replica: format!("r{at}"),
        host: plan::Address::Ip(replica.address.ip()),
        port: replica.address.port(),
        tls: None,
        protocol: Protocol::Http1,
        connect_timeout: Duration::from_secs(1),
    };
    let traffic: Vec<_> = replicas
        .iter()
        .enumerate()
        .map(|it| cluster("443", it))
        .collect();
    let probes = replicas.iter().enumerate().map(|it| cluster("ping", it));
    let names: Vec<_> = traffic.iter().map(|cluster| cluster.name.clone()).collect();
    Plan {
        listeners: vec![Listener {
            bind: ([127, 0, 0, 1], 0).into(),
            port: 443,
            fallback: "443".to_owned(),
            idle_timeout: None,
        }],
        routes: vec![Route {
            name: "443/r0>r1".to_owned(),
            clusters: names.iter().take(2).cloned().collect(),
            then: Some("443".to_owned()),
        }],
        pools: vec![Pool {
            name: "443".to_owned(),
            clusters: names,
        }],
        clusters: traffic.into_iter().chain(probes).collect(),
        network_filters: Vec::new(),
        balancer: Some(Filter {
            vm_id: "test".to_owned(),
            configuration: serde_json::json!({}),
        }),
        admin: Some(Admin {
            bind: ([127, 0, 0, 1], 0).into(),
        }),
        drain_timeout: Duration::from_secs(1),
        dns_refresh: Duration::from_secs(30),
    }
}

fn options() -> HostOptions {
    log();
    HostOptions {
        workers: NonZeroUsize::MIN,
        reload_backoff: Duration::from_millis(20),
        ..HostOptions::default()
    }
}

async fn start(guest: Guest, replicas: &[&Replica]) -> Host {
    Host::start(plan(replicas), guest.wat().as_bytes(), options())
        .await
        .unwrap()
}

/// Connects, and reads the name of the replica that answers.
async fn connect(host: &Host) -> (TcpStream, String) {
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    let mut name = [0; 2];
    client.read_exact(&mut name).await.unwrap();
    (client, String::from_utf8(name.to_vec()).unwrap())
}

async fn admin(host: &Host, request: &str) -> String {
    admin_at(host.admin().unwrap(), request).await
}

async fn admin_at(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A refused body may cost the connection after the answer.
    let _ = socket.read_to_string(&mut answer).await;
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn post(path: &str, length: usize) -> String {
    let body = "x".repeat(length);
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Asks the admin listener until the answer has a line; fails with the last answer.
async fn admin_says(host: &Host, path: &str, line: &str) {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = admin(host, &get(path)).await;
        if answer.lines().any(|said| said == line) {
            return;
        }
        assert!(
            Instant::now() < limit,
            "{path} never said {line:?}; at last it said:\n{answer}"
        );
        tokio::task::yield_now().await;
    }
}

async fn echoes(client: &mut TcpStream, why: &str) {
    client.write_all(b"still there?").await.unwrap();
    let mut answer = [0; 12];
    client
        .read_exact(&mut answer)
        .await
        .unwrap_or_else(|error| panic!("{why}: {error}"));
    assert_eq!(&answer, b"still there?", "{why}");
}

#[tokio::test]
async fn the_guest_picks_the_replica() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r1"), &[&r0, &r1]).await;
    for _ in 0..4 {
        let (mut client, name) = connect(&host).await;
        assert_eq!(name, "r1");
        echoes(&mut client, "bytes pass").await;
    }
}

#[tokio::test]
async fn a_guest_that_does_not_pick_leaves_it_to_the_pool() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let host = start(Guest::PLAIN, &[&r0, &r1]).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(connect(&host).await.1);
    }
    assert_eq!(names, ["r0", "r1", "r0", "r1"]);
}

#[tokio::test]
async fn a_refused_replica_costs_the_client_nothing() {
    let (r0, r1) = (Replica::refusing().await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r0>r1"), &[&r0, &r1]).await;
    assert_eq!(connect(&host).await.1, "r1");
    admin_says(&host, "/metrics", "dtr_lb_host_connect_failures_total 1").await;
}

#[tokio::test]
async fn without_a_replica_the_client_is_let_go() {
    let r0 = Replica::refusing().await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let line = "dtr_lb_host_connections_closed_total{reason=\"no-replica\"} 1";
    admin_says(&host, "/metrics", line).await;
}

#[tokio::test]
async fn the_guest_may_refuse_a_connection() {
    let r0 = Replica::start("r0").await;
    let host = start(
        Guest {
            new_connection: REFUSE,
            ..Guest::PLAIN
        },
        &[&r0],
    )
    .await;
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    assert_eq!(
        client.read(&mut [0; 8]).await.unwrap_or(0),
        0,
        "closed before any replica"
    );
    let line = "dtr_lb_host_connections_closed_total{reason=\"refused-by-filter\"} 1";
    admin_says(&host, "/metrics", line).await;
}

#[tokio::test]
async fn a_guest_that_crashes_cuts_nobody_and_comes_back() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let guest = Guest {
        request_body: CRASH,
        ..Guest::steering_to("443/r1")
    };
    let mut options = options();
    options.reload_backoff = Duration::from_secs(1);
    let host = Host::start(plan(&[&r0, &r1]), guest.wat().as_bytes(), options)
        .await
        .unwrap();
    let (mut before, _) = connect(&host).await;

    let answer = admin(&host, &post("/", 3)).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    echoes(&mut before, "an established connection outlives its guest").await;
    let (_during, first) = connect(&host).await;
    let (_during_too, second) = connect(&host).await;
    assert_eq!(
        [first, second],
        ["r0", "r1"],
        "meanwhile the pool serves, in turn"
    );

    admin_says(&host, "/metrics", "dtr_lb_host_vm_reloads_total 1").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_failures_total 1").await;
    for _ in 0..3 {
        assert_eq!(connect(&host).await.1, "r1", "the guest steers again");
    }
    echoes(&mut before, "nor does its successor harm it").await;
}

#[tokio::test]
async fn a_guest_that_crashes_on_a_connection_does_not_cost_that_connection() {
    let r0 = Replica::start("r0").await;
    let host = start(
        Guest {
            new_connection: CRASH,
            ..Guest::PLAIN
        },
        &[&r0],
    )
    .await;
    let (mut client, name) = connect(&host).await;
    assert_eq!(name, "r0");
    echoes(&mut client, "the fallback serves").await;
}

#[tokio::test]
async fn the_guests_calls_are_made_and_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let r0 = Replica {
        address: listener.local_addr().unwrap(),
        _bound: None,
    };
    let guest = Guest {
        configure: START_TICKS,
        tick: PING,
        ..Guest::PLAIN
    };
    let host = start(guest, &[&r0]).await;
    let asked = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    let (mut probe, _) = asked.expect("the guest asked nobody").unwrap();
    let mut request = vec![0; 1024];
    let read = probe.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    assert!(request.starts_with("GET /_ping HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: dtr.test\r\n"), "{request}");
    drop(listener);
    probe
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let metrics = admin(&host, &get("/metrics")).await;
        let answers = metrics
            .lines()
            .find_map(|line| line.strip_prefix("guest_answers "));
        if answers.is_some_and(|count| count.parse::<u32>().unwrap() >= 1) {
            assert!(
                metrics.contains("# TYPE guest_answers counter\n"),
                "{metrics}"
            );
            break;
        }
        assert!(
            Instant::now() < limit,
            "the guest got no answer:\n{metrics}"
        );
    }
}

#[tokio::test]
async fn the_admin_listener_answers_itself_or_asks_the_guest() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let _open = connect(&host).await;
    let cases = [
        (get("/ready"), "HTTP/1.1 200 OK\r\n", "{\"ready\":true}"),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "\ndtr_lb_host_connections_active 1\n",
        ),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "content-type: text/plain; version=0.0.4",
        ),
        (
            post("/ready", 0),
            "HTTP/1.1 405 Method Not Allowed\r\n",
            "\"error\"",
        ),
        (
            get("/anything"),
            "HTTP/1.1 200 OK\r\n",
            "hello from the guest",
        ),
        (
            post("/anything", 10),
            "HTTP/1.1 404 Not Found\r\n",
            "\"error\"",
        ),
        (
            post("/anything", 70_000),
            "HTTP/1.1 413 Payload Too Large\r\n",
            "65536",
        ),
    ];
    for (request, status, part) in cases {
        let answer = admin(&host, &request).await;
        let asked = request.lines().next().unwrap();
        assert!(answer.starts_with(status), "{asked}: {answer}");
        assert!(
            answer.contains(part),
            "{asked}: {part:?} is missing in {answer}"
        );
    }
}

#[tokio::test]
async fn a_drain_waits_up_to_its_limit_and_counts() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let (address, admin_address) = (host.listeners()[0], host.admin().unwrap());
    let (mut leaves, _) = connect(&host).await;
    let (mut stays, _) = connect(&host).await;

    let drain = tokio::spawn(host.drain(Duration::from_secs(2)));
    let limit = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < limit, "it still accepts");
        tokio::task::yield_now().await;
    }
    let ready = admin_at(admin_address, &get("/ready")).await;
    assert!(
        ready.starts_with("HTTP/1.1 503 ") && ready.contains("draining"),
        "{ready}"
    );
    echoes(&mut leaves, "open connections go on").await;
    leaves.shutdown().await.unwrap();
    assert_eq!(leaves.read(&mut [0; 8]).await.unwrap(), 0);

    let drained = drain.await.unwrap();
    assert_eq!(drained.cut, 1, "the one that stayed");
    assert!(drained.finished >= 1, "the one that left: {drained:?}");
    assert!(stays.read(&mut [0; 8]).await.is_err(), "a cut is a reset");
}

#[tokio::test]
async fn a_reload_cuts_nobody_and_new_connections_follow_the_new_plan() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let (address, admin_address) = (host.listeners()[0], host.admin().unwrap());
    let (mut old, name) = connect(&host).await;
    assert_eq!(name, "r0");

    let steering = Guest::steering_to("443/r1");
    host.reload(plan(&[&r0, &r1]), steering.wat().as_bytes())
        .await
        .unwrap();
    assert_eq!(host.listeners(), [address], "the port stays");
    assert_eq!(host.admin(), Some(admin_address));
    for _ in 0..5 {
        assert_eq!(connect(&host).await.1, "r1", "as the new filter steers");
    }
    echoes(&mut old, "open connections go on").await;
    admin_says(&host, "/metrics", "dtr_lb_host_workers 2").await;

    drop(old);
    admin_says(&host, "/metrics", "dtr_lb_host_workers 1").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_running 1").await;
}

#[tokio::test]
async fn a_reload_that_cannot_work_changes_nothing() {
    let r0 = Replica::start("r0").await;
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = plan(&[&r0]);
    wanted.listeners[0].bind = taken.local_addr().unwrap();

    let refused = host.reload(wanted, Guest::PLAIN.wat().as_bytes()).await;
    assert!(refused.unwrap_err().to_string().contains("in use"));
    let refused = host.reload(plan(&[&r0]), b"no module").await;
    assert!(refused.is_err());
    for _ in 0..5 {
        assert_eq!(connect(&host).await.1, "r0");
    }
}

#[tokio::test]
async fn workers_share_a_port_and_every_connection_is_served() {
    let r0 = Replica::start("r0").await;
    let mut options = options();
    options.workers = NonZeroUsize::new(3).unwrap();
    let wat = Guest::steering_to("443/r0").wat();
    let host = Host::start(plan(&[&r0]), wat.as_bytes(), options)
        .await
        .unwrap();
    let mut open = Vec::new();
    for _ in 0..30 {
        open.push(connect(&host).await);
    }
    admin_says(&host, "/metrics", "dtr_lb_host_connections_active 30").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_running 3").await;
}

#[tokio::test]
async fn sessions_beyond_the_limit_wait_for_a_place() {
    let r0 = Replica::start("r0").await;
    let mut options = options();
    options.max_sessions = 1;
    let host = Host::start(plan(&[&r0]), Guest::PLAIN.wat().as_bytes(), options)
        .await
        .unwrap();
    let (first, _) = connect(&host).await;
    let waiting = connect(&host);
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "the second was served beside the first");
    drop(first);
    assert_eq!(waiting.await.1, "r0");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let r0 = Replica::start("r0").await;
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = held.local_addr().unwrap();
    let mut taken = plan(&[&r0]);
    taken.listeners[0].bind = address;
    let refusing = Guest {
        configure: "(i32.const 0)",
        ..Guest::PLAIN
    };
    let wats = [Guest::PLAIN.wat(), refusing.wat()];
    let cases = [
        (
            taken,
            wats[0].as_str(),
            address.to_string(),
            "an address somebody holds",
        ),
        (
            plan(&[&r0]),
            wats[1].as_str(),
            "proxy_on_configure".to_owned(),
            "a refused configuration",
        ),
        (
            plan(&[&r0]),
            "(module)",
            "proxy_abi_version".to_owned(),
            "a module that is no filter",
        ),
    ];
    for (plan, wat, part, why) in cases {
        let error = match Host::start(plan, wat.as_bytes(), options()).await {
            Ok(_) => panic!("{why} was accepted"),
            Err(error) => error,
        };
        assert!(error.to_string().contains(&part), "{why}: {error}");
        assert!(
            matches!(error, StartError::Bind { .. } | StartError::Filter(_)),
            "{why}"
        );
    }
}

/// Text that several threads write.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What every test of this process logs. It must be there before the first test
/// logs: what `tracing` finds nobody listening to at its first use it may leave out.
fn log() -> Log {
    static LOG: std::sync::LazyLock<Log> = std::sync::LazyLock::new(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    });
    LOG.clone()
}

#[tokio::test]
async fn each_connection_leaves_one_line_that_says_why_it_ended() {
    let log = log();
    let (r0, r1) = (Replica::refusing().await, Replica::start("r1").await);
    let host = start(Guest::steering_to("443/r0>r1"), &[&r0, &r1]).await;
    let (mut client, _) = connect(&host).await;
    let me = format!("client={}", client.local_addr().unwrap());
    echoes(&mut client, "bytes pass").await;
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    host.drain(Duration::from_secs(5)).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mine = |line: &&str| line.contains(" access: ") && line.contains(&me);
    let lines: Vec<_> = text.lines().filter(mine).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in [
        "replica=\"r1\"",
        "attempts=2",
        "up=12",
        "down=14",
        "reason=\"client-closed\"",
    ] {
        assert!(lines[0].contains(part), "{part} is missing in {}", lines[0]);
    }
}
