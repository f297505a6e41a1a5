//! A guest that calls any host function with any arguments, in every callback.
//!
//! The input is its program: a byte for the function, two for each argument. The
//! host must answer each call with a status of the ABI or end the VM; it must not
//! panic, and the guest's memory is the only memory a call may touch.
#![no_main]

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proxy_wasm_engine::{
    CallReply, CallToken, ContextId, Effect, End, Engine, Environment, Hostcall, HttpInfo, Module,
    Observer, Peer, Plugin, Shared, TcpInfo, Trap, Vm, VmConfig,
};

#[path = "../../host/engine/tests/vm/abi.rs"]
mod abi;

use abi::{CALLBACKS, FUNCTIONS};

fn guest() -> String {
    let mut imports = String::new();
    let mut steps = String::new();
    for (number, (_, name, parameters)) in FUNCTIONS.iter().enumerate() {
        imports.push_str(&abi::import(name));
        let arguments: String = (parameters.chars())
            .map(|kind| {
                if kind == 'l' {
                    " (call $long)"
                } else {
                    " (call $int)"
                }
            })
            .collect();
        let _ = writeln!(
            steps,
            "(if (i32.eq (local.get $op) (i32.const {number})) (then
                (drop (call ${name}{arguments}))))"
        );
    }
    let mut callbacks = String::new();
    for (name, parameters, result) in CALLBACKS {
        if !name.starts_with("proxy_on_") || OWN_CALLBACKS.contains(name) {
            continue;
        }
        let types = " i32".repeat(*parameters);
        let (result, action) = match result {
            true => ("(result i32)", "(i32.and (call $int) (i32.const 1))"),
            false => ("", ""),
        };
        let _ = writeln!(
            callbacks,
            r#"(func (export "{name}") (param{types}) {result} (call $run) {action})"#
        );
    }
    format!(
        r#"(module
{imports}
(memory (export "memory") 1)
(global $at (mut i32) (i32.const 0))
(global $end (mut i32) (i32.const 0))
(global $heap (mut i32) (i32.const 8192))
;; Texts that lead somewhere.
(data (i32.const 16) "cluster")
(data (i32.const 32) "set_envoy_filter_state\00declare_property\00compress\00uncompress\00verify_signature\00sign")
(data (i32.const 160) "source\00address\00plugin_name\00connection\00id\00xds\00node\00request\00headers\00response\00code")
(data (i32.const 288) "\02\00\00\00\05\00\00\00\01\00\00\00\05\00\00\00\01\00\00\00:path\00/\00:auth\00a\00")
(data (i32.const 400) "\04\00\00\00\05\00\00\00\01\00\00\00\07\00\00\00\03\00\00\00\0a\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00:path\00/\00:method\00GET\00:authority\00a\00b\00c\00")
(func (export "proxy_abi_version_0_2_1"))
(func (export "malloc") (param $size i32) (result i32) (local $address i32)
  (if (i32.gt_u (local.get $size) (i32.const 16384)) (then (return (i32.const 0))))
  (local.set $address (global.get $heap))
  (global.set $heap (i32.add (local.get $address) (local.get $size)))
  (if (i32.gt_u (global.get $heap) (i32.const 48000)) (then
    (global.set $heap (i32.const 16384))))
  (local.get $address))
;; The next argument: small numbers as they are, the end of memory, numbers near 4 GiB.
(func $int (result i32) (local $value i32)
  (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 0))))
  (local.set $value (i32.load16_s (global.get $at)))
  (global.set $at (i32.add (global.get $at) (i32.const 2)))
  (if (result i32) (i32.ge_s (local.get $value) (i32.const 32512))
    (then (i32.add (local.get $value) (i32.const 32768)))
    (else (local.get $value))))
(func $long (result i64) (i64.extend_i32_s (call $int)))
(func $run (local $op i32) (local $left i32)
  (local.set $left (i32.const 32))
  (loop $next
    (if (i32.ge_u (global.get $at) (global.get $end)) (then (return)))
    (local.set $op (i32.load8_u (global.get $at)))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (if (i32.eq (local.get $op) (i32.const 255)) (then (return)))
    {steps}
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $next (local.get $left))))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (local.get 1)
    (i32.const 0) (i32.const 4)))
  (global.set $at (i32.load (i32.const 0)))
  (global.set $end (i32.add (global.get $at) (i32.load (i32.const 4))))
  (call $run)
  (i32.const 1))
{callbacks})"#
    )
}

/// Callbacks the guest writes out: they load its program.
const OWN_CALLBACKS: &[&str] = &["proxy_on_vm_start", "proxy_on_configure"];

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let engine = Engine::new().expect("this machine runs wasm");
    Module::compile(&engine, guest().as_bytes()).expect("the guest is well-formed")
});

/// Checks that the guest gets statuses of the ABI.
struct KnownStatuses;

impl Observer for KnownStatuses {
    fn returned(&self, call: &Hostcall<'_>, status: Option<u32>) {
        if !call.name.starts_with("proxy_") {
            return;
        }
        let known = [0, 1, 2, 3, 4, 6, 7, 8, 10, 12];
        if let Some(status) = status {
            assert!(known.contains(&status), "{} answered {status}", call.name);
        }
    }
}

struct OneCluster;

impl Environment for OneCluster {
    fn has_cluster(&self, name: &str) -> bool {
        name == "cluster"
    }

    fn observer(&self) -> Option<Arc<dyn Observer>> {
        Some(Arc::new(KnownStatuses))
    }
}

fuzz_target!(|program: &[u8]| {
    let program = &program[..program.len().min(4096)];
    let plugin = |root_id: &str| Plugin {
        name: root_id.to_owned(),
        root_id: root_id.to_owned(),
        configuration: program.to_vec(),
    };
    let config = VmConfig {
        vm_id: "fuzz".to_owned(),
        plugins: vec![plugin("one"), plugin("two")],
        memory_limit: 1 << 20,
        callback_limit: Duration::from_secs(5),
        ..VmConfig::default()
    };
    let shared = Shared::new();
    if let Ok(mut vm) = Vm::start(&MODULE, &config, &shared, Arc::new(OneCluster)) {
        // Any callback may be the last.
        let _ = live(&mut vm, program);
    }
});

/// Everything that can happen to a VM, once.
fn live(vm: &mut Vm, program: &[u8]) -> Result<(), Trap> {
    let roots = vm.roots();
    let root = roots.first().copied().unwrap_or(ContextId(0));
    let client = ([127, 0, 0, 1], 4000).into();
    let info = TcpInfo::new(1, client, ([127, 0, 0, 1], 443).into());

    let tcp = vm.open_tcp(root, info.clone())?;
    vm.new_connection(tcp)?;
    let mut data = BytesMut::from(program);
    vm.downstream_data(tcp, &mut data, End::More)?;
    vm.upstream_data(tcp, &mut data, End::Last)?;
    answer(vm)?;

    let headers = vec![
        (":method".to_owned(), b"GET".to_vec()),
        (":path".to_owned(), b"/".to_vec()),
        ("x".to_owned(), program.to_vec()),
    ];
    let http = vm.open_http(root, HttpInfo::new(info, headers))?;
    vm.request_headers(http, End::More)?;
    vm.request_body(http, &mut data, End::Last)?;
    answer(vm)?;

    for root in roots {
        vm.tick(root)?;
        vm.foreign_function(root, 7, program)?;
    }
    vm.deliver()?;
    answer(vm)?;
    vm.upstream_close(tcp, Peer::Unknown)?;
    vm.downstream_close(tcp, Peer::Remote)?;
    vm.finish(tcp)?;
    vm.finish(http)?;
    for root in vm.roots() {
        vm.finish_root(root)?;
    }
    answer(vm)
}

/// Answers what the guest asked for so far.
fn answer(vm: &mut Vm) -> Result<(), Trap> {
    let metadata = || vec![("x-name".to_owned(), b"value".to_vec())];
    // What is asked for meanwhile is answered too, but not without end.
    for _ in 0..64 {
        let Some(effect) = vm.next_effect() else {
            return Ok(());
        };
        match effect {
            Effect::HttpCall(call) => {
                let reply = CallReply {
                    headers: metadata(),
                    body: call.body,
                    trailers: metadata(),
                };
                vm.http_call_response(call.root, call.token, reply)?;
                vm.http_call_response(call.root, call.token, CallReply::default())?;
            }
            Effect::GrpcCall(call) => {
                vm.grpc_message(call.token, call.message)?;
                vm.grpc_close(call.token, 0, "")?;
            }
            Effect::GrpcStream(call) => {
                vm.grpc_initial_metadata(call.token, metadata())?;
                vm.grpc_message(call.token, b"message".to_vec())?;
            }
            Effect::GrpcSend { token, message, .. } => vm.grpc_message(token, message)?,
            Effect::GrpcClose(token) | Effect::GrpcCancel(token) => {
                vm.grpc_trailing_metadata(token, metadata())?;
                vm.grpc_close(token, 14, "over")?;
            }
            _ => vm.grpc_close(CallToken(1), 2, "never opened")?,
        }
    }
    Ok(())
}
