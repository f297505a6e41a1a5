//! A guest in WebAssembly text.

/// A guest in WebAssembly text. `new_connection` and the others are the bodies
/// of its callbacks, which leave an action on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Guest {
    /// The route, cluster or pool a `steer` goes to.
    pub(crate) target: &'static str,
    pub(crate) new_connection: &'static str,
    pub(crate) request_body: &'static str,
    pub(crate) configure: &'static str,
    pub(crate) tick: &'static str,
}

pub(crate) const CONTINUE: &str = "(i32.const 0)";
pub(crate) const PAUSE: &str = "(i32.const 1)";
pub(crate) const CRASH: &str = "unreachable";
/// Sets the filter state `envoy.tcp_proxy.cluster`.
pub(crate) const STEER: &str = "(drop (call $foreign (i32.const 1000) (i32.const 22)
    (i32.const 1100) (global.get $state_size) (i32.const 0) (i32.const 0))) (i32.const 0)";
pub(crate) const REFUSE: &str = "(drop (call $close (i32.const 2))) (i32.const 0)";
pub(crate) const START_TICKS: &str = "(drop (call $tick_period (i32.const 10))) (i32.const 1)";
/// Asks the cluster `ping/r0` for `/_ping`.
pub(crate) const PING: &str = "(drop (call $http_call (i32.const 1300) (i32.const 7)
    (i32.const 1400) (global.get $headers_size) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 1900)))";

impl Guest {
    pub(crate) const PLAIN: Guest = Guest {
        target: "",
        new_connection: CONTINUE,
        request_body: CONTINUE,
        configure: "(i32.const 1)",
        tick: "",
    };

    pub(crate) fn steering_to(target: &'static str) -> Guest {
        Guest {
            target,
            new_connection: STEER,
            ..Guest::PLAIN
        }
    }

    pub(crate) fn wat(&self) -> String {
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
pub(crate) fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
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
