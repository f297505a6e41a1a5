//! A chain of filters before a replica.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use dtr_lb::config::ConfigFile;
use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, Host, HostOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::eventually::{START_LIMIT, eventually, within};
use crate::guest::CONTINUE;
use crate::running::metric;

/// A filter in WebAssembly text: the bodies of its callbacks, which leave an
/// action on the stack where the callback has one. `$size` is the size of the
/// data, `$end` whether it is the last, and `(call $count (i32.const N))` counts
/// the metric NAME.opened (0), .ticks (1), .items (2) or .closed (3).
#[derive(Clone, Copy)]
pub(crate) struct Wat {
    pub(crate) configure: &'static str,
    pub(crate) tick: &'static str,
    pub(crate) new_connection: &'static str,
    pub(crate) down: &'static str,
    pub(crate) up: &'static str,
    pub(crate) queue_ready: &'static str,
    pub(crate) log: &'static str,
}

impl Wat {
    pub(crate) const PLAIN: Wat = Wat {
        configure: "",
        tick: "",
        new_connection: CONTINUE,
        down: CONTINUE,
        up: CONTINUE,
        queue_ready: "",
        log: "",
    };

    /// Puts its configuration before whatever passes, both ways.
    pub(crate) const TAGS: Wat = Wat {
        down: "(call $tag (i32.const 2)) (i32.const 0)",
        up: "(call $tag (i32.const 3)) (i32.const 0)",
        ..Wat::PLAIN
    };

    pub(crate) fn text(&self, name: &str) -> String {
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
pub(crate) struct Chain {
    folder: TempDir,
    filters: Vec<Value>,
    clusters: Vec<Value>,
    pub(crate) workers: NonZeroUsize,
    pub(crate) dial_limit: Duration,
}

impl Chain {
    /// A chain before this replica.
    pub(crate) fn to(replica: SocketAddr) -> Chain {
        Chain {
            folder: TempDir::new().unwrap(),
            filters: Vec::new(),
            clusters: vec![json!({ "name": "web", "endpoints": [replica] })],
            workers: NonZeroUsize::MIN,
            dial_limit: HostOptions::default().dial_limit,
        }
    }

    /// Another endpoint beside the replica.
    pub(crate) fn endpoint(mut self, address: SocketAddr) -> Chain {
        let endpoints = self.clusters[0]["endpoints"].as_array_mut();
        endpoints.unwrap().push(json!(address));
        self
    }

    pub(crate) fn cluster(mut self, cluster: Value) -> Chain {
        self.clusters.push(cluster);
        self
    }

    pub(crate) fn filter(self, name: &str, wat: Wat, more: Value) -> Chain {
        let text = wat.text(name);
        self.module(name, &wat::parse_str(text).unwrap(), more)
    }

    pub(crate) fn module(mut self, name: &str, module: &[u8], more: Value) -> Chain {
        let file = format!("{name}.wasm");
        std::fs::write(self.folder.path().join(&file), module).unwrap();
        let mut filter = json!({ "wasm": file });
        for (field, value) in more.as_object().into_iter().flatten() {
            filter[field] = value.clone();
        }
        self.filters.push(filter);
        self
    }

    pub(crate) fn config(&self) -> String {
        json!({
            "listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }],
            "clusters": self.clusters,
            "filters": self.filters,
            "admin": { "bind": "127.0.0.1:0" },
        })
        .to_string()
    }

    pub(crate) async fn start(self) -> Running {
        let config = self.config();
        self.start_with(&config).await
    }

    /// Starts the balancer before these replicas, with the filters before it.
    pub(crate) async fn start_balancing(self, replicas: Value) -> Running {
        let config = json!({
            "fqdn": "dtr.example.com",
            "replicas": replicas,
            "listeners": [{ "bind": "127.0.0.1:0", "port": 443 }],
            "health": { "preset": "tcp" },
            "filters": self.filters,
            "admin": { "bind": "127.0.0.1:0" },
        });
        self.start_with(&config.to_string()).await
    }

    async fn start_with(self, config: &str) -> Running {
        let file = self.folder.path().join("chain.json");
        let plan = Plan::of_file(&ConfigFile::parse(config, file.to_str().unwrap()).unwrap());
        let options = HostOptions {
            workers: self.workers,
            dial_limit: self.dial_limit,
            reload_backoff: Duration::from_millis(20),
            ..HostOptions::default()
        };
        let started = Host::start(plan.clone(), FILTER, options);
        let host = timeout(START_LIMIT, started).await.unwrap().unwrap();
        Running { host, plan }
    }
}

pub(crate) struct Running {
    pub(crate) host: Host,
    plan: Plan,
}

impl Running {
    /// Takes up the same configuration once more.
    pub(crate) async fn reload(&mut self) {
        self.host.reload(self.plan.clone(), FILTER).await.unwrap();
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.host.listeners()[0]).await.unwrap()
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> Option<i64> {
        metric(&self.host, name).await
    }

    /// Waits until a metric satisfies a condition.
    pub(crate) async fn until(&self, name: &str, enough: impl Fn(i64) -> bool) -> i64 {
        eventually(&format!("{name} to get there"), async || {
            match self.metric(name).await {
                Some(value) if enough(value) => Ok(value),
                last => Err(format!("{last:?}")),
            }
        })
        .await
    }
}

pub(crate) async fn answers(client: &mut TcpStream, sent: &str, expected: &str, why: &str) {
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut got = vec![0; expected.len()];
    let reading = within(why, client.read_exact(&mut got));
    reading
        .await
        .unwrap_or_else(|error| panic!("{why}: {error} after {sent:?}"));
    assert_eq!(String::from_utf8(got).unwrap(), expected, "{why}");
}

/// One of the filters in `tests/guests/examples`.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests");
    let build = proxy_wasm_testkit::Build::new(package).example(name);
    build.run().unwrap().wasm().to_vec()
}
