//! Chains of network filters on a running host, with real sockets: whose turn it
//! is, what a pause holds, and what the failure of one means for the others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use dtr_lb_host::config::Setup;
use dtr_lb_host::{FILTER, Host, HostOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A filter in WebAssembly text: the bodies of its callbacks, which leave an
/// action on the stack where the callback has one. `$size` is the size of the
/// data, `$end` whether it is the last, and `(call $count (i32.const N))` counts
/// the metric NAME.opened (0), .ticks (1), .items (2) or .closed (3).
#[derive(Clone, Copy)]
struct Wat {
    configure: &'static str,
    tick: &'static str,
    new_connection: &'static str,
    down: &'static str,
    up: &'static str,
    queue_ready: &'static str,
    log: &'static str,
}

const CONTINUE: &str = "(i32.const 0)";
const PAUSE: &str = "(i32.const 1)";

impl Wat {
    const PLAIN: Wat = Wat {
        configure: "",
        tick: "",
        new_connection: CONTINUE,
        down: CONTINUE,
        up: CONTINUE,
        queue_ready: "",
        log: "",
    };

    /// Puts its configuration before whatever passes, both ways.
    const TAGS: Wat = Wat {
        down: "(call $tag (i32.const 2)) (i32.const 0)",
        up: "(call $tag (i32.const 3)) (i32.const 0)",
        ..Wat::PLAIN
    };

    fn text(&self, name: &str) -> String {
        let Wat {
            configure,
            tick,
            new_connection,
            down,
            up,
            queue_ready,
            log,
        } = self;
        let length = name.len() + 7;
        format!(
            r#"(module
  (import "env" "proxy_get_buffer_bytes"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds"
    (func $tick_period (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_as (param i32) (result i32)))
  (import "env" "proxy_define_metric"
    (func $define_metric (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
  (import "env" "proxy_get_property"
    (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue"
    (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_resolve_shared_queue"
    (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue"
    (func $enqueue (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 8192))
  (global $tag_at (mut i32) (i32.const 0))
  (global $tag_size (mut i32) (i32.const 0))
  (global $held (mut i32) (i32.const 0))
  (data (i32.const 1000) "{name}.opened")
  (data (i32.const 1100) "{name}.ticks ")
  (data (i32.const 1200) "{name}.items ")
  (data (i32.const 1300) "{name}.closed")
  (data (i32.const 1400) "dtr_lb_skip_data")
  (data (i32.const 1500) "readers")
  (data (i32.const 1600) "items")
  (data (i32.const 1700) "request\00size")
  (data (i32.const 1800) "{name}.received")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size))
      (i32.const 7)) (i32.const -8)))
    (if (i32.gt_u (global.get $heap) (i32.const 100000)) (then
      (global.set $heap (i32.const 16384))))
    (local.get $at))
  (func $count (param $which i32)
    (drop (call $increment
      (i32.load (i32.add (i32.const 2000) (i32.mul (local.get $which) (i32.const 4))))
      (i64.const 1))))
  (func $tag (param $buffer i32)
    (drop (call $set (local.get $buffer) (i32.const 0) (i32.const 0)
      (global.get $tag_at) (global.get $tag_size))))
  ;; The first byte of the data of this kind.
  (func $first (param $buffer i32) (result i32)
    (drop (call $get (local.get $buffer) (i32.const 0) (i32.const 1)
      (i32.const 2100) (i32.const 2104)))
    (i32.load8_u (i32.load (i32.const 2100))))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $get (i32.const 7) (i32.const 0) (local.get 1)
      (i32.const 2200) (i32.const 2204)))
    (global.set $tag_at (i32.load (i32.const 2200)))
    (global.set $tag_size (i32.load (i32.const 2204)))
    (drop (call $define_metric (i32.const 0) (i32.const 1000) (i32.const {length}) (i32.const 2000)))
    (drop (call $define_metric (i32.const 0) (i32.const 1100) (i32.const {ticks}) (i32.const 2004)))
    (drop (call $define_metric (i32.const 0) (i32.const 1200) (i32.const {ticks}) (i32.const 2008)))
    (drop (call $define_metric (i32.const 0) (i32.const 1300) (i32.const {length}) (i32.const 2012)))
    (drop (call $define_metric (i32.const 1) (i32.const 1800) (i32.const {received}) (i32.const 2016)))
    {configure}
    (i32.const 1))
  (func (export "proxy_on_tick") (param i32) (call $count (i32.const 1)) {tick})
  (func (export "proxy_on_queue_ready") (param i32 i32) {queue_ready})
  (func (export "proxy_on_new_connection") (param $context i32) (result i32)
    (call $count (i32.const 0)) {new_connection})
  (func (export "proxy_on_downstream_data") (param $context i32) (param $size i32)
    (param $end i32) (result i32) {down})
  (func (export "proxy_on_upstream_data") (param $context i32) (param $size i32)
    (param $end i32) (result i32) {up})
  (func (export "proxy_on_log") (param i32) (call $count (i32.const 3)) {log}))"#,
            ticks = length - 1,
            received = name.len() + 9,
        )
    }
}

/// Filters, written to files of their own, and a replica behind them.
struct Chain {
    folder: TempDir,
    filters: Vec<Value>,
    clusters: Vec<Value>,
    workers: NonZeroUsize,
}

impl Chain {
    /// A chain before this replica.
    fn to(replica: SocketAddr) -> Chain {
        Chain {
            folder: TempDir::new().unwrap(),
            filters: Vec::new(),
            clusters: vec![json!({ "name": "web", "endpoints": [replica] })],
            workers: NonZeroUsize::MIN,
        }
    }

    fn cluster(mut self, cluster: Value) -> Chain {
        self.clusters.push(cluster);
        self
    }

    fn filter(self, name: &str, wat: Wat, more: Value) -> Chain {
        let text = wat.text(name);
        self.module(name, text.as_bytes(), more)
    }

    fn module(mut self, name: &str, module: &[u8], more: Value) -> Chain {
        let file = format!("{name}.wasm");
        std::fs::write(self.folder.path().join(&file), module).unwrap();
        let mut filter = json!({ "wasm": file });
        for (field, value) in more.as_object().into_iter().flatten() {
            filter[field] = value.clone();
        }
        self.filters.push(filter);
        self
    }

    fn config(&self) -> String {
        json!({
            "listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }],
            "clusters": self.clusters,
            "filters": self.filters,
            "admin": { "bind": "127.0.0.1:0" },
        })
        .to_string()
    }

    async fn start(self) -> Running {
        let file = self.folder.path().join("chain.json");
        let setup = Setup::parse(&self.config(), file.to_str().unwrap()).unwrap();
        let options = HostOptions {
            workers: self.workers,
            reload_backoff: Duration::from_millis(20),
            ..HostOptions::default()
        };
        let host = Host::start(setup.plan(), FILTER, options).await.unwrap();
        Running { host }
    }
}

struct Running {
    host: Host,
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.host.listeners()[0]).await.unwrap()
    }

    async fn metrics(&self) -> String {
        let mut socket = TcpStream::connect(self.host.admin().unwrap())
            .await
            .unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The value of a metric.
    async fn metric(&self, name: &str) -> Option<i64> {
        let text = self.metrics().await;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until a metric satisfies a condition.
    async fn until(&self, name: &str, enough: impl Fn(i64) -> bool) -> i64 {
        let limit = Instant::now() + Duration::from_secs(10);
        loop {
            let last = self.metric(name).await;
            match last {
                Some(value) if enough(value) => return value,
                _ => {}
            }
            assert!(
                Instant::now() < limit,
                "{name} never got there; at last it was {last:?}"
            );
            tokio::task::yield_now().await;
        }
    }
}

/// Sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                // A client that went away is its own affair.
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn answers(client: &mut TcpStream, sent: &str, expected: &str, why: &str) {
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut got = vec![0; expected.len()];
    let reading = tokio::time::timeout(LIMIT, client.read_exact(&mut got));
    reading
        .await
        .unwrap_or_else(|_| panic!("{why}: no answer to {sent:?}"))
        .unwrap_or_else(|error| panic!("{why}: {error} after {sent:?}"));
    assert_eq!(String::from_utf8(got).unwrap(), expected, "{why}");
}

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_first_filter_meets_the_client_first_and_the_replica_last() {
    let host = Chain::to(echo().await)
        .filter("one", Wat::TAGS, json!({ "configuration": "1" }))
        .filter("two", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    // Up: 1x, then 21x; down: 221x, then 1221x.
    answers(
        &mut client,
        "x",
        "1221x",
        "two filters that put a mark before",
    )
    .await;
}

#[tokio::test]
async fn filters_of_one_vm_id_and_one_module_share_a_vm() {
    let wat = Wat::PLAIN.text("shared");
    let cases = [
        ("each without an id", json!({}), json!({}), 2),
        (
            "one id",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "v" }),
            1,
        ),
        (
            "two ids",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "w" }),
            2,
        ),
        (
            "one id, other limits",
            json!({ "vm_id": "v" }),
            json!({ "vm_id": "v", "memory": "1MiB" }),
            2,
        ),
    ];
    for (why, first, second, vms) in cases {
        let host = Chain::to(echo().await)
            .module("shared", wat.as_bytes(), first)
            .module("shared", wat.as_bytes(), second)
            .start()
            .await;
        assert_eq!(
            host.metric("dtr_lb_host_vm_running").await,
            Some(vms),
            "{why}"
        );
        let mut client = host.connect().await;
        answers(&mut client, "x", "x", why).await;
        assert_eq!(
            host.metric("shared_opened").await,
            Some(2),
            "{why}: both are asked"
        );
    }
}

#[tokio::test]
async fn a_pause_holds_later_filters_and_the_dial_until_data_is_let_pass() {
    let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let holder = Wat {
        new_connection: PAUSE,
        // Lets pass what begins with g.
        down: "(i32.ne (call $first (i32.const 2)) (i32.const 103))",
        ..Wat::PLAIN
    };
    let host = Chain::to(replica.local_addr().unwrap())
        .filter("holder", holder, json!({}))
        .filter("later", Wat::TAGS, json!({ "configuration": "L" }))
        .start()
        .await;
    let mut client = host.connect().await;
    host.until("holder_opened", |opened| opened == 1).await;
    assert_eq!(
        host.metric("later_opened").await,
        Some(0),
        "it is not asked yet"
    );
    client.write_all(b"go").await.unwrap();
    let (mut socket, _) = tokio::time::timeout(LIMIT, replica.accept())
        .await
        .unwrap()
        .unwrap();
    let mut got = [0; 3];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(
        &got, b"Lgo",
        "what was held is shown to the later filter and sent on"
    );
    assert_eq!(host.metric("later_opened").await, Some(1));
    // A byte that does not begin with g is held by the first one, and so are all after it.
    client.write_all(b"?").await.unwrap();
    client.shutdown().await.unwrap();
    socket.write_all(b"y").await.unwrap();
    let mut answer = [0; 2];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"Ly", "the other way is open");
}

#[tokio::test]
async fn a_pause_ends_when_the_guest_continues_the_stream() {
    let holder = Wat {
        new_connection: "(global.set $held (local.get $context)) (i32.const 1)",
        down: PAUSE,
        configure: "(drop (call $tick_period (i32.const 5)))",
        tick: "(if (global.get $held) (then
            (drop (call $act_as (global.get $held)))
            (drop (call $continue (i32.const 2)))))",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("first", Wat::TAGS, json!({ "configuration": "1" }))
        .filter("holder", holder, json!({}))
        .filter("later", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(
        &mut client,
        "x",
        "1221x",
        "it pauses all, and lets go at its tick",
    )
    .await;
    answers(
        &mut client,
        "y",
        "1221y",
        "and again while bytes are forwarded",
    )
    .await;
}

#[tokio::test]
async fn a_filter_may_close_the_connection() {
    let closes = Wat {
        down: "(drop (call $close (i32.const 2))) (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("before", Wat::PLAIN, json!({}))
        .filter("closes", closes, json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    client.write_all(b"x").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LIMIT, client.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(read.is_err() || rest.is_empty(), "{rest:?}");
    for name in ["before_closed", "closes_closed"] {
        host.until(name, |closed| closed == 1).await;
    }
}

#[tokio::test]
async fn replies_wait_while_a_filter_wants_to_see_more_of_them() {
    let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let whole = Wat {
        // Until four bytes are there.
        up: "(call $count (i32.const 2))
            (if (result i32) (i32.lt_u (local.get $size) (i32.const 4))
            (then (i32.const 1)) (else (call $tag (i32.const 3)) (i32.const 0)))",
        ..Wat::PLAIN
    };
    let host = Chain::to(replica.local_addr().unwrap())
        .filter("outer", Wat::TAGS, json!({ "configuration": "o" }))
        .filter("whole", whole, json!({ "configuration": "w" }))
        .start()
        .await;
    let mut client = host.connect().await;
    let accepting = tokio::time::timeout(LIMIT, replica.accept());
    let (mut socket, _) = accepting.await.unwrap().unwrap();
    socket.write_all(b"ab").await.unwrap();
    host.until("whole_items", |shown| shown == 1).await;
    socket.write_all(b"cd").await.unwrap();
    let mut got = [0; 6];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(
        &got, b"owabcd",
        "the outer filter sees what the inner one let go"
    );
}

#[tokio::test]
async fn a_filter_that_needs_no_more_is_not_asked_again() {
    let once = Wat {
        down: "(call $tag (i32.const 2))
            (drop (call $foreign (i32.const 1400) (i32.const 16) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0))) (i32.const 0)",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("once", once, json!({ "configuration": "1" }))
        .filter("always", Wat::TAGS, json!({ "configuration": "2" }))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(&mut client, "x", "221x", "the first chunk is shown to both").await;
    answers(&mut client, "y", "22y", "the second to one of them").await;
}

#[tokio::test]
async fn a_crash_of_one_filter_costs_no_other_filter_and_no_connection() {
    let fragile = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        down: "(if (i32.eq (call $first (i32.const 2)) (i32.const 33)) (then unreachable))
            (call $tag (i32.const 2)) (i32.const 0)",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("fragile", fragile, json!({ "configuration": "F" }))
        .filter("sturdy", Wat::TAGS, json!({ "configuration": "S" }))
        .start()
        .await;
    let mut older = host.connect().await;
    answers(&mut older, "a", "SSFa", "both look on").await;
    let mut client = host.connect().await;
    answers(&mut client, "!", "SS!", "the bytes at which it fails pass").await;
    answers(&mut client, "b", "SSb", "and so do those that follow").await;
    answers(&mut older, "c", "SSc", "on other connections as well").await;
    host.until("dtr_lb_host_vm_reloads_total", |reloads| reloads == 1)
        .await;
    assert_eq!(host.metric("dtr_lb_host_vm_failures_total").await, Some(1));
    let mut newer = host.connect().await;
    answers(&mut newer, "d", "SSFd", "it is back for new connections").await;
    answers(&mut older, "e", "SSe", "older ones go on without it").await;
    let ticks = host.metric("fragile_ticks").await.unwrap();
    host.until("fragile_ticks", |now| now > ticks).await;
    drop((older, client, newer));
    host.until("sturdy_closed", |closed| closed == 3).await;
    host.until("fragile_closed", |closed| closed == 1).await;
}

#[tokio::test]
async fn a_crash_lets_go_what_the_filter_held() {
    let holder = Wat {
        configure: "(drop (call $tick_period (i32.const 5)))",
        // It fails at the first tick after a connection came.
        tick: "(if (global.get $held) (then unreachable))",
        new_connection: "(global.set $held (i32.const 1)) (i32.const 1)",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("holder", holder, json!({}))
        .filter("sturdy", Wat::TAGS, json!({ "configuration": "S" }))
        .start()
        .await;
    let mut client = host.connect().await;
    host.until("dtr_lb_host_vm_failures_total", |failures| failures == 1)
        .await;
    answers(
        &mut client,
        "x",
        "SSx",
        "it goes on without the one that held it",
    )
    .await;
}

#[tokio::test]
async fn what_a_failed_filter_means_for_connections_is_the_operators_choice() {
    let fragile = Wat {
        new_connection: "(if (i32.eqz (global.get $held)) (then
            (global.set $held (i32.const 1))) (else unreachable)) (i32.const 0)",
        down: "(call $tag (i32.const 2)) (i32.const 0)",
        ..Wat::PLAIN
    };
    for (failure, passes) in [("reload", true), ("open", true), ("closed", false)] {
        let more = json!({ "configuration": "F", "failure": failure });
        let host = Chain::to(echo().await)
            .filter("fragile", fragile, more)
            .start()
            .await;
        let mut first = host.connect().await;
        answers(&mut first, "a", "Fa", failure).await;
        // The second connection is one too many.
        let mut second = host.connect().await;
        if passes {
            answers(&mut second, "b", "b", failure).await;
            answers(&mut first, "c", "c", failure).await;
        } else {
            for client in [&mut first, &mut second] {
                let mut rest = Vec::new();
                let read = tokio::time::timeout(LIMIT, client.read_to_end(&mut rest));
                let read = read.await.unwrap();
                assert!(read.is_err() || rest.is_empty(), "{failure}: {rest:?}");
            }
        }
        if failure == "open" {
            assert_eq!(host.metric("dtr_lb_host_vm_running").await, Some(0));
        } else {
            host.until("dtr_lb_host_vm_running", |running| running == 1)
                .await;
            let mut third = host.connect().await;
            answers(&mut third, "d", "Fd", failure).await;
        }
    }
}

#[tokio::test]
async fn an_item_reaches_the_filter_that_registered_the_queue_on_its_own_thread() {
    let reader = Wat {
        configure: "(drop (call $register (i32.const 1600) (i32.const 5) (i32.const 2300)))",
        queue_ready: "(call $count (i32.const 2))",
        ..Wat::PLAIN
    };
    let writer = Wat {
        new_connection: "(drop (call $resolve (i32.const 1500) (i32.const 7) (i32.const 1600)
                (i32.const 5) (i32.const 2300)))
            (drop (call $enqueue (i32.load (i32.const 2300)) (i32.const 1600) (i32.const 5)))
            (i32.const 0)",
        ..Wat::PLAIN
    };
    let mut chain = Chain::to(echo().await)
        .filter("reader", reader, json!({ "vm_id": "readers" }))
        .filter("writer", writer, json!({ "vm_id": "writers" }));
    chain.workers = NonZeroUsize::new(2).unwrap();
    let host = chain.start().await;
    // Connections land on both workers; the queue's reader lives on one.
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = host.connect().await;
        answers(&mut client, "x", "x", "the chain lets pass").await;
        clients.push(client);
    }
    host.until("reader_items", |items| items == 20).await;
}

#[tokio::test]
async fn a_filter_reads_how_much_came() {
    let reads = Wat {
        log: "(drop (call $property (i32.const 1700) (i32.const 12) (i32.const 2400) (i32.const 2404)))
            (drop (call $record (i32.load (i32.const 2016))
                (i64.load (i32.load (i32.const 2400)))))",
        ..Wat::PLAIN
    };
    let host = Chain::to(echo().await)
        .filter("reads", reads, json!({}))
        .start()
        .await;
    let mut client = host.connect().await;
    answers(&mut client, "five!", "five!", "it passes").await;
    drop(client);
    host.until("reads_received", |received| received == 5).await;
}

#[tokio::test]
async fn a_gate_that_asks_elsewhere_lets_in_who_may() {
    let wasm = guest("tcp_gate");
    let cases = [("200 OK", true), ("403 Forbidden", false)];
    for (status, open) in cases {
        let judge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = judge.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut socket, _) = judge.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let host = Chain::to(echo().await)
            .cluster(json!({ "name": "gate", "endpoints": [address] }))
            .module("gate", &wasm, json!({}))
            .start()
            .await;
        let mut client = host.connect().await;
        let me = client.local_addr().unwrap();
        if open {
            answers(&mut client, "x", "x", "it may pass").await;
        } else {
            let mut rest = Vec::new();
            let reading = tokio::time::timeout(LIMIT, client.read_to_end(&mut rest));
            assert_eq!(reading.await.unwrap().unwrap(), 0, "it may not");
        }
        let asked = asked.await.unwrap();
        assert!(asked.starts_with(&format!("GET /may/{me} ")), "{asked}");
    }
}

/// One of the filters in `tests/guests/examples`.
fn guest(name: &str) -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests");
    let build = dtr_lb_host::testkit::Build::new(package).example(name);
    build.run().unwrap().wasm().to_vec()
}
