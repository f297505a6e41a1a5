//! Joins a guest's imports with the host functions.

use wasmtime::{Caller, ExternType, InstancePre, Linker, Module};

use super::hostcall::map::Change;
use super::hostcall::{
    buffer, context, data, foreign, grpc, http_call, map, metric, property, queue, root, stream,
};
use super::memory::{Call, GuestSlice};
use super::policy::Decision;
use super::state::VmState;
use super::status::{HostcallError, HostcallResult, Status};
use super::trap::LoadError;
use super::wasi;
use super::watched::{HostcallArgument, watched};

/// The module with all its imports found.
pub(super) fn link(
    engine: &wasmtime::Engine,
    module: &Module,
) -> Result<InstancePre<VmState>, LoadError> {
    let mut linker = Linker::new(engine);
    define(&mut linker).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
    let missing: Vec<String> = module
        .imports()
        .filter(|import| !known(&mut linker, import))
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    if !missing.is_empty() {
        return Err(LoadError::Import(format!(
            "the module imports what a proxy-wasm host does not have: {}",
            missing.join(", ")
        )));
    }
    linker
        .instantiate_pre(module)
        .map_err(|error| LoadError::Import(format!("{error:#}")))
}

/// Whether the import is there, or a stand-in for it could be added.
fn known(linker: &mut Linker<VmState>, import: &wasmtime::ImportType<'_>) -> bool {
    if linker.try_has(import) {
        return true;
    }
    let (ExternType::Func(shape), true) = (import.ty(), wasi::MODULES.contains(&import.module()))
    else {
        return false;
    };
    wasi::stand_in(linker, import.module(), import.name(), shape)
}

trait TryHas {
    fn try_has(&self, import: &wasmtime::ImportType<'_>) -> bool;
}

impl TryHas for Linker<VmState> {
    fn try_has(&self, import: &wasmtime::ImportType<'_>) -> bool {
        NAMES.contains(&import.name()) && import.module() == "env"
            || wasi::MODULES.contains(&import.module()) && wasi::NAMES.contains(&import.name())
    }
}

/// Runs one host function: checks whether it may be called, turns its result
/// into a status.
#[inline]
fn serve(
    mut caller: Caller<'_, VmState>,
    name: &'static str,
    arguments: &[u64],
    body: impl FnOnce(&mut Call<'_, '_>) -> HostcallResult,
) -> wasmtime::Result<u32> {
    if caller.data().policy.guarded()
        && let Some(observer) = caller.data().observer.clone()
    {
        return watched(caller, &observer, name, arguments, |caller| {
            checked(caller, name, body)
        });
    }
    checked(&mut caller, name, body)
}

#[inline]
fn checked(
    caller: &mut Caller<'_, VmState>,
    name: &'static str,
    body: impl FnOnce(&mut Call<'_, '_>) -> HostcallResult,
) -> wasmtime::Result<u32> {
    if caller.data().policy.guarded() {
        match caller.data().policy.decide(name) {
            Decision::Allow => {}
            Decision::Deny => return Ok(Status::INTERNAL_FAILURE.0),
            Decision::Trap(forbidden) => return Err(wasmtime::Error::new(forbidden)),
        }
    }
    let result = match Call::new(caller) {
        Some(mut call) => body(&mut call),
        None => Err(HostcallError::Memory),
    };
    match result {
        Ok(()) => Ok(Status::OK.0),
        Err(error) => error.status().map(|status| status.0),
    }
}

/// Declares the host functions once: their names, parameters and bodies.
macro_rules! functions {
    ($($name:ident |$call:ident $(, $param:ident: $ty:ty)*| $body:expr;)*) => {
        fn define(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
            $(linker.func_wrap("env", stringify!($name), |caller: Caller<'_, VmState> $(, $param: $ty)*| {
                serve(caller, stringify!($name), &[$(HostcallArgument::to_u64($param)),*], |$call| $body)
            })?;)*
            linker.func_wrap("env", "pthread_equal", |left: u32, right: u32| u32::from(left == right))?;
            linker.func_wrap("env", "emscripten_notify_memory_growth", |_memory: u32| ())?;
            wasi::define(linker)
        }

        const NAMES: &[&str] = &[
            $(stringify!($name),)* "pthread_equal", "emscripten_notify_memory_growth",
        ];
    };
}

functions! {
    proxy_log |call, level: u32, at: u32, len: u32| root::log(call, level, at, len);
    proxy_get_log_level |call, to: u32| root::log_level(call, to);
    proxy_get_current_time_nanoseconds |call, to: u32| root::time(call, to);
    proxy_set_tick_period_milliseconds |call, millis: u32| root::tick_period(call, millis);
    proxy_get_status |call, code: u32, at: u32, len: u32| root::status(call, code, at, len);
    proxy_get_configuration |call, at: u32, len: u32| root::configuration(call, at, len);

    proxy_get_buffer_bytes |call, kind: u32, start: u32, most: u32, at: u32, len: u32|
        buffer::get(call, kind, start, most, at, len);
    proxy_get_buffer_status |call, kind: u32, len: u32, flags: u32|
        buffer::status(call, kind, len, flags);
    proxy_set_buffer_bytes |call, kind: u32, start: u32, old: u32, at: u32, len: u32|
        buffer::set(call, kind, start, old, at, len);

    proxy_get_header_map_size |call, kind: u32, to: u32| map::size(call, kind, to);
    proxy_get_header_map_pairs |call, kind: u32, at: u32, len: u32| map::pairs(call, kind, at, len);
    proxy_set_header_map_pairs |call, kind: u32, at: u32, len: u32|
        map::set_pairs(call, kind, at, len);
    proxy_get_header_map_value |call, kind: u32, name: u32, name_len: u32, at: u32, len: u32|
        map::get(call, kind, name, name_len, at, len);
    proxy_add_header_map_value |call, kind: u32, name: u32, name_len: u32, at: u32, len: u32|
        map::put(call, Change::Add, kind, GuestSlice(name, name_len), GuestSlice(at, len));
    proxy_replace_header_map_value |call, kind: u32, name: u32, name_len: u32, at: u32, len: u32|
        map::put(call, Change::Replace, kind, GuestSlice(name, name_len), GuestSlice(at, len));
    proxy_remove_header_map_value |call, kind: u32, name: u32, name_len: u32|
        map::remove(call, kind, name, name_len);

    proxy_continue_stream |call, kind: u32| stream::continue_stream(call, kind);
    proxy_close_stream |call, kind: u32| stream::close(call, kind);
    proxy_continue_request |call| stream::continue_stream(call, 0);
    proxy_continue_response |call| stream::continue_stream(call, 1);
    proxy_clear_route_cache |call| stream::clear_route_cache(call);
    proxy_send_local_response |call, status: u32, details: u32, details_len: u32, body: u32,
        body_len: u32, headers: u32, headers_len: u32, grpc_status: u32|
        stream::respond(call, &stream::LocalResponseArguments {
            status,
            details: GuestSlice(details, details_len),
            body: GuestSlice(body, body_len),
            headers: GuestSlice(headers, headers_len),
            grpc_status,
        });

    proxy_http_call |call, cluster: u32, cluster_len: u32, headers: u32, headers_len: u32,
        body: u32, body_len: u32, trailers: u32, trailers_len: u32, timeout_ms: u32, token: u32|
        http_call::http_call(call, &http_call::HttpCallArguments {
            cluster: GuestSlice(cluster, cluster_len),
            headers: GuestSlice(headers, headers_len),
            body: GuestSlice(body, body_len),
            trailers: GuestSlice(trailers, trailers_len),
            timeout_ms,
            token_to: token,
        });
    proxy_grpc_call |call, upstream: u32, upstream_len: u32, service: u32, service_len: u32,
        method: u32, method_len: u32, metadata: u32, metadata_len: u32, message: u32,
        message_len: u32, timeout_ms: u32, token: u32|
        grpc::open(call, &grpc::GrpcCallArguments {
            upstream: GuestSlice(upstream, upstream_len),
            service: GuestSlice(service, service_len),
            method: GuestSlice(method, method_len),
            metadata: GuestSlice(metadata, metadata_len),
            unary: Some((GuestSlice(message, message_len), timeout_ms)),
            token_to: token,
        });
    proxy_grpc_stream |call, upstream: u32, upstream_len: u32, service: u32, service_len: u32,
        method: u32, method_len: u32, metadata: u32, metadata_len: u32, token: u32|
        grpc::open(call, &grpc::GrpcCallArguments {
            upstream: GuestSlice(upstream, upstream_len),
            service: GuestSlice(service, service_len),
            method: GuestSlice(method, method_len),
            metadata: GuestSlice(metadata, metadata_len),
            unary: None,
            token_to: token,
        });
    proxy_grpc_send |call, token: u32, message: u32, len: u32, last: u32|
        grpc::send(call, token, GuestSlice(message, len), last);
    proxy_grpc_cancel |call, token: u32| grpc::cancel(call, token);
    proxy_grpc_close |call, token: u32| grpc::close(call, token);

    proxy_get_shared_data |call, key: u32, key_len: u32, at: u32, len: u32, cas: u32|
        data::get(call, GuestSlice(key, key_len), at, len, cas);
    proxy_set_shared_data |call, key: u32, key_len: u32, at: u32, len: u32, cas: u32|
        data::set(call, GuestSlice(key, key_len), GuestSlice(at, len), cas);
    proxy_register_shared_queue |call, name: u32, len: u32, to: u32|
        queue::register(call, GuestSlice(name, len), to);
    proxy_resolve_shared_queue |call, vm: u32, vm_len: u32, name: u32, len: u32, to: u32|
        queue::resolve(call, GuestSlice(vm, vm_len), GuestSlice(name, len), to);
    proxy_enqueue_shared_queue |call, queue: u32, at: u32, len: u32|
        queue::enqueue(call, queue, GuestSlice(at, len));
    proxy_dequeue_shared_queue |call, queue: u32, at: u32, len: u32|
        queue::dequeue(call, queue, at, len);

    proxy_define_metric |call, kind: u32, name: u32, len: u32, to: u32|
        metric::define(call, kind, GuestSlice(name, len), to);
    proxy_increment_metric |call, id: u32, delta: i64| metric::increment(call, id, delta);
    proxy_record_metric |call, id: u32, value: u64| metric::record(call, id, value);
    proxy_get_metric |call, id: u32, to: u32| metric::get(call, id, to);

    proxy_get_property |call, path: u32, path_len: u32, at: u32, len: u32|
        property::get(call, GuestSlice(path, path_len), at, len);
    proxy_set_property |call, path: u32, path_len: u32, at: u32, len: u32|
        property::set(call, GuestSlice(path, path_len), GuestSlice(at, len));

    proxy_set_effective_context |call, context: u32| context::set_effective(call, context);
    proxy_done |call| context::done(call);
    proxy_call_foreign_function |call, name: u32, name_len: u32, arguments: u32,
        arguments_len: u32, at: u32, len: u32|
        foreign::call(call, GuestSlice(name, name_len), GuestSlice(arguments, arguments_len), at, len);
    envoy_resolve_dns |_call, _address: u32, _len: u32, _token: u32| Err(HostcallError::Unimplemented);
}
