//! The guide: a chapter on each thing a test may need.
//!
//! The examples load one small filter in text form, the testkit's own
//! `tests/prober.wat`: every second it asks the cluster `ping:r1`, it steers each
//! connection to `r1:443`, and it gives each request a header.
//!
//! Nothing is global: each test has its own VMs and its own time, so tests run in
//! parallel. A guest is compiled once, and the target folder keeps it; after that
//! a test costs milliseconds.
//!
//! # Guests
//!
//! [`TestKit::load`] takes whatever holds a module:
//!
//! | given | what is loaded |
//! |---|---|
//! | [`guest("my-filter")`](guest()) | package `my-filter` of the tested workspace, built by cargo |
//! | [`guest("path/to/crate")`](guest()) | the crate there, built by cargo |
//! | [`guest("path/to/filter.wasm")`](guest()) | that file, or a `.wat` |
//! | [`Guest::build`], [`Build`] | the same with errors in place of panics, and more to choose |
//! | `&[u8]`, `Vec<u8>`, `&str` | the module itself; text is WAT |
//!
//! Crates are built for `wasm32-unknown-unknown` in release mode, once per
//! process, in a target folder of their own, without the flags that cargo set for
//! the test. The target must be installed: `rustup target add wasm32-unknown-unknown`.
//!
//! Everything the guest starts with is set before [`Builder::start`]: its
//! plugins ([`Builder::plugin`], [`Builder::plugin_of`] for one with a root id),
//! the VM's configuration, limits, the profile, and the clusters. An error
//! of `start` says why, with everything the guest logged before.
//!
//! # Time
//!
//! [`TestKit::advance`] moves time. What is due on the way happens in order, each
//! at its own moment: ticks, answers, timeouts, connect attempts that end. Between
//! two calls no time passes, and whatever follows from a call at the same moment
//! has happened when it returns. The guest's clock begins in 2026
//! ([`Builder::time`]); its randomness is seeded ([`Builder::seed`]).
//!
//! ```
//! use proxy_wasm_testkit::{TestKit, answers, millis, secs};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let slow = answers(200, "").after(millis(300));
//! let mut kit = TestKit::load(wat).cluster("ping:r1", slow).start().unwrap();
//! kit.advance(secs(1)); // The guest's tick calls `ping:r1` ...
//! assert_eq!(kit.metric("answers"), Some(0));
//! kit.advance(millis(300)); // ... which takes its time.
//! assert_eq!(kit.metric("answers"), Some(1));
//! ```
//!
//! # Clusters
//!
//! A cluster is a name and a behaviour. It serves the guest's own calls (HTTP and
//! gRPC), the HTTP streams that pass the guest, and TCP connections. Calls to a
//! name that no cluster has are refused with `BAD_ARGUMENT`, as in Envoy.
//!
//! | behaviour | a call or request gets | a TCP connection |
//! |---|---|---|
//! | [`answers`]`(200, "body")` | that answer; `.header`, `.trailer`, `.after`, `.in_chunks_of` | is accepted |
//! | [`accepts`]`()` | 200, empty | is accepted |
//! | [`refuses`]`()` | Envoy's 503 "remote connection failure" | is refused |
//! | [`resets`]`()` | Envoy's 503 "connection termination" | is reset at the first bytes |
//! | [`breaks_off`]`()` | no headers at all; a stream is reset in the middle | is accepted |
//! | [`hangs`]`()` | 504 at its timeout | times out after 1 s |
//! | [`decides`]`(\|request\| ..)` | what the closure returns for it | the same; its method is `CONNECT` |
//! | [`first_of`]`(["a", "b"])` | what the first does | goes to the first that accepts |
//! | [`grpc_answers`]`(message)` | that message, status 0 | |
//! | [`grpc_fails`]`(14, "why")` | that status | |
//!
//! [`TestKit::cluster`] changes a behaviour while the kit runs.
//! [`TestKit::requests_to`] has the requests that a cluster got.
//!
//! ```
//! use proxy_wasm_testkit::{TestKit, answers, decides, refuses, secs};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let ping = decides(|request| match request.path.as_str() {
//!     "/_ping" => answers(200, "well"),
//!     _ => answers(404, ""),
//! });
//! let mut kit = TestKit::load(wat).cluster("ping:r1", ping).start().unwrap();
//! kit.advance(secs(1));
//! assert_eq!(kit.shared_data("status").as_deref(), Some(&b"200"[..]));
//!
//! kit.cluster("ping:r1", refuses());
//! kit.advance(secs(1));
//! assert_eq!(kit.shared_data("status").as_deref(), Some(&b"503"[..]));
//! assert_eq!(kit.requests_to("ping:r1")[0].authority, "dtr");
//! ```
//!
//! # TCP connections
//!
//! What the kit does here and for HTTP requests was compared with Envoy 1.40, callback
//! by callback. [`TestKit::tcp`] opens one; it goes to the cluster that the guest puts into
//! the filter state `envoy.tcp_proxy.cluster`, or else to `default`, which accepts
//! everything. The [`Client`] and its [`Upstream`] are the two ends; the filter is
//! between them. Pausing, half-closes, resets, connect failures and the order of
//! callbacks follow Envoy's `tcp_proxy`:
//!
//! - a guest that pauses in `on_new_connection` holds the connection until it
//!   resumes, or lets data through; no upstream is connected before;
//! - paused bytes pile up, and each callback sees all of them;
//! - a failed connect attempt makes no callback; the properties change.
//!
//! ```
//! use proxy_wasm_testkit::{Peer, TestKit, accepts};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let mut kit = TestKit::load(wat).cluster("r1:443", accepts()).start().unwrap();
//! let mut client = kit.tcp().from("10.0.0.7:4000").connect();
//! let mut upstream = client.upstream();
//! assert_eq!(upstream.cluster(), "r1:443");
//! client.send("hello");
//! assert_eq!(upstream.received(), "hello");
//! upstream.send("good day");
//! upstream.reset();
//! assert_eq!(client.received(), "good day");
//! assert_eq!(client.closed_by(), Some(Peer::Local));
//! ```
//!
//! # HTTP requests
//!
//! [`TestKit::http`] sends one: whole with [`HttpRequest::send`] and
//! [`HttpRequest::send_body`], or in pieces with [`HttpRequest::open`]. The
//! [`Exchange`] has what came through to either side. A request that is
//! complete is answered by its cluster; for one that [`hangs`] the test can answer
//! by itself, whole ([`Exchange::respond`]) or piece by piece
//! ([`Exchange::respond_headers`] and so on).
//!
//! ```
//! use proxy_wasm_testkit::{TestKit, answers};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let upstream = answers(200, "hi").header("server", "nginx");
//! let mut kit = TestKit::load(wat).cluster("default", upstream).start().unwrap();
//! let mut exchange = kit.http().post("/form").header("accept", "*/*").open();
//! exchange.send("half ");
//! exchange.send_last("a body");
//! let request = exchange.upstream_request().unwrap();
//! assert_eq!(request.header("x-probed-by"), Some("prober"));
//! assert_eq!(request.text(), "half a body");
//! assert_eq!((exchange.status(), exchange.header("server")), (Some(200), Some("nginx")));
//! assert_eq!(exchange.body(), "hi");
//! ```
//!
//! A guest that pauses at the headers sees no body before it resumes, unless
//! [`Builder::allow_on_headers_stop_iteration`] says otherwise, as in Envoy.
//!
//! gRPC streams that the guest opens are answered by their cluster message by
//! message, or from the test by [`TestKit::grpc_stream`].
//!
//! # What the guest reads and writes
//!
//! - Properties: of connections and requests as Envoy serves them (`source.address`,
//!   `request.path`, `upstream.local_address`, `response.flags` ...). The builders
//!   set what they are about; [`Builder::property`], [`TestKit::set_property`] and
//!   `.property` of a connection or request set any other.
//! - Metrics: [`TestKit::metric`], by the name the guest gave.
//! - Shared data: [`TestKit::shared_data`], [`TestKit::set_shared_data`].
//! - Queues: [`TestKit::enqueue`] as another VM would.
//! - Logs: [`TestKit::logs`], [`TestKit::logged`].
//!
//! With [`Builder::workers`] several VMs run side by side over one shared store,
//! as in a proxy with several threads; `.on_worker(1)` says which one a stream
//! is for. [`TestKit::restart`] puts a new VM in place of each.
//!
//! # Faults
//!
//! | one line | what goes wrong |
//! |---|---|
//! | `kit.fault(`[`trap_in`]`("proxy_on_tick").nth(3))` | the third tick from now traps |
//! | `kit.fault(`[`next_call`]`(refuses()))` | the next call is refused; or `resets()`, `hangs()` ... |
//! | `kit.fault(`[`unknown_cluster`]`())` | the next HTTP call finds no such cluster |
//! | `kit.fault(`[`cas_lost`]`().times(2))` | two compare-and-swaps are lost |
//! | `kit.fault(`[`memory_exhausted`]`())` | the guest gets no more memory |
//! | `kit.fault(`[`returns`]`("proxy_get_property", `[`Status::NOT_FOUND`]`))` | any host function, any status |
//!
//! After a trap that a fault brought about the kit goes on as this project's host
//! does: established connections stay and pass without the filter, requests under
//! way fail with 503, and a second later the VM is built again.
//!
//! ```
//! use proxy_wasm_testkit::{TestKit, accepts, secs, trap_in};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let mut kit = TestKit::load(wat).cluster("r1:443", accepts()).start().unwrap();
//! let mut client = kit.tcp().connect();
//! kit.fault(trap_in("proxy_on_tick"));
//! kit.advance(secs(1));
//! assert!(!kit.is_alive());
//! client.send("still here");
//! assert_eq!(client.upstream().received(), "still here");
//! kit.advance(secs(1));
//! assert!(kit.is_alive());
//! ```
//!
//! # When a test fails
//!
//! It prints, beside the failed assertion, the transcript: each callback and host
//! function with time, context, arguments by name, and status
//! (the last 200 lines; `TESTKIT_TRANSCRIPT=1` shows all).
//!
//! ```text
//!     1.000s #1 proxy_on_tick()
//!     1.000s     #1 proxy_http_call("ping:r1", headers [:method: GET, ...], timeout ms 500) -> OK token 1
//!     1.000s      .
//!     1.000s · GET dtr/_ping goes to ping:r1, which answers 200
//!     1.000s #1 proxy_on_http_call_response(token 1, headers 2, body 4, trailers 0)
//! ```
//!
//! A trap that no fault brought about fails the test at once ([`OnTrap`] changes
//! that). If the guest panicked, the message says where, and for the panics with
//! which the Rust SDK meets an unexpected status, which host function returned
//! it and what to do. [`TestKit::transcript`] is the same for assertions:
//!
//! ```
//! use proxy_wasm_testkit::{Status, TestKit, accepts};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let mut kit = TestKit::load(wat).cluster("r1:443", accepts()).start().unwrap();
//! let client = kit.tcp().connect();
//! let transcript = kit.transcript();
//! let steered = transcript.hostcalls("proxy_call_foreign_function").next().unwrap();
//! assert_eq!(steered.argument("function"), Some("set_envoy_filter_state"));
//! assert_eq!(steered.status, Some(Status::OK));
//! let callbacks = transcript.callbacks_of(client.context_id().unwrap());
//! assert_eq!(callbacks, ["proxy_on_new_connection"]);
//! ```
//!
//! # Leaks
//!
//! [`TestKit::assert_no_leaks`] finds contexts that were not deleted, streams that
//! the guest holds back for ever, and calls without a timeout that nobody answers;
//! after [`TestKit::shut_down`] also plugins that never finish.
//! [`TestKit::growth_per_round`] measures memory:
//!
//! ```
//! use proxy_wasm_testkit::{TestKit, accepts};
//!
//! # let wat = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prober.wat"));
//! let mut kit = TestKit::load(wat).cluster("r1:443", accepts()).start().unwrap();
//! let growth = kit.growth_per_round(1000, |kit| kit.tcp().connect().close());
//! assert_eq!(growth, 0);
//! kit.assert_no_leaks();
//! ```

// For the links above.
#[cfg(doc)]
use crate::*;
