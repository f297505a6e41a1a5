//! The guest's exports, looked up once.

use std::collections::BTreeSet;

use wasmtime::{AsContextMut, ExternType, Module, TypedFunc, ValType, WasmParams, WasmResults};

use super::trap::LoadError;

/// Declares the callbacks once: their fields, their names, their shapes.
macro_rules! callbacks {
    ($($field:ident: $name:literal ($($param:ty),*) -> $result:ty;)*) => {
        /// The guest's callbacks, and what else the host calls of it.
        pub(super) struct Exports {
            $(pub(super) $field: Callback<($($param,)*), $result>,)*
            pub(super) request_headers: HeadersCallback,
            pub(super) response_headers: HeadersCallback,
        }

        impl Exports {
            pub(super) fn find(
                instance: &wasmtime::Instance,
                mut store: impl AsContextMut,
                allowed: Option<&BTreeSet<String>>,
            ) -> Result<Exports, LoadError> {
                Ok(Exports {
                    $($field: Callback::find(instance, &mut store, allowed, $name)?,)*
                    request_headers: HeadersCallback::find(
                        instance, &mut store, allowed, "proxy_on_request_headers")?,
                    response_headers: HeadersCallback::find(
                        instance, &mut store, allowed, "proxy_on_response_headers")?,
                })
            }

            /// Checks the shapes of a module's callbacks before anything runs.
            pub(super) fn check(module: &Module) -> Result<(), LoadError> {
                $(check(module, $name, &[<[&str]>::len(&[$(stringify!($param)),*])],
                    stringify!($result) == "u32")?;)*
                check(module, "proxy_on_request_headers", &[2, 3], true)?;
                check(module, "proxy_on_response_headers", &[2, 3], true)
            }
        }
    };
}

callbacks! {
    initialize: "_initialize" () -> ();
    start: "_start" () -> ();
    malloc: "malloc" (u32) -> u32;
    memory_allocate: "proxy_on_memory_allocate" (u32) -> u32;
    context_create: "proxy_on_context_create" (u32, u32) -> ();
    vm_start: "proxy_on_vm_start" (u32, u32) -> u32;
    validate: "proxy_validate_configuration" (u32, u32) -> u32;
    configure: "proxy_on_configure" (u32, u32) -> u32;
    tick: "proxy_on_tick" (u32) -> ();
    new_connection: "proxy_on_new_connection" (u32) -> u32;
    downstream_data: "proxy_on_downstream_data" (u32, u32, u32) -> u32;
    upstream_data: "proxy_on_upstream_data" (u32, u32, u32) -> u32;
    downstream_close: "proxy_on_downstream_connection_close" (u32, u32) -> ();
    upstream_close: "proxy_on_upstream_connection_close" (u32, u32) -> ();
    request_body: "proxy_on_request_body" (u32, u32, u32) -> u32;
    request_trailers: "proxy_on_request_trailers" (u32, u32) -> u32;
    response_body: "proxy_on_response_body" (u32, u32, u32) -> u32;
    response_trailers: "proxy_on_response_trailers" (u32, u32) -> u32;
    http_call_response: "proxy_on_http_call_response" (u32, u32, u32, u32, u32) -> ();
    grpc_initial: "proxy_on_grpc_receive_initial_metadata" (u32, u32, u32) -> ();
    grpc_receive: "proxy_on_grpc_receive" (u32, u32, u32) -> ();
    grpc_trailing: "proxy_on_grpc_receive_trailing_metadata" (u32, u32, u32) -> ();
    grpc_close: "proxy_on_grpc_close" (u32, u32, u32) -> ();
    queue_ready: "proxy_on_queue_ready" (u32, u32) -> ();
    foreign_function: "proxy_on_foreign_function" (u32, u32, u32) -> ();
    done: "proxy_on_done" (u32) -> u32;
    log: "proxy_on_log" (u32) -> ();
    delete: "proxy_on_delete" (u32) -> ();
}

/// One export; a guest need not have it.
pub(super) struct Callback<P, R> {
    pub(super) name: &'static str,
    pub(super) function: Option<TypedFunc<P, R>>,
}

impl<P: WasmParams, R: WasmResults> Callback<P, R> {
    fn find(
        instance: &wasmtime::Instance,
        mut store: impl AsContextMut,
        allowed: Option<&BTreeSet<String>>,
        name: &'static str,
    ) -> Result<Callback<P, R>, LoadError> {
        let function = if allows(allowed, name) {
            instance.get_func(&mut store, name)
        } else {
            None
        };
        let function = match function {
            Some(function) => Some(
                function
                    .typed(&store)
                    .map_err(|error| wrong_shape(name, &error.to_string()))?,
            ),
            None => None,
        };
        Ok(Callback { name, function })
    }
}

/// Callbacks are capabilities like host functions; the allocator is not.
fn allows(allowed: Option<&BTreeSet<String>>, name: &str) -> bool {
    !name.starts_with("proxy_on_")
        || name == "proxy_on_memory_allocate"
        || allowed.is_none_or(|all| all.contains(name))
}

/// In ABI 0.1.0 there is no argument for the end of the stream.
pub(super) enum HeadersCallback {
    WithoutEnd(Callback<(u32, u32), u32>),
    WithEnd(Callback<(u32, u32, u32), u32>),
}

impl HeadersCallback {
    fn find(
        instance: &wasmtime::Instance,
        mut store: impl AsContextMut,
        allowed: Option<&BTreeSet<String>>,
        name: &'static str,
    ) -> Result<HeadersCallback, LoadError> {
        if let Ok(callback) = Callback::find(instance, &mut store, allowed, name) {
            return Ok(HeadersCallback::WithEnd(callback));
        }
        Callback::find(instance, &mut store, allowed, name).map(HeadersCallback::WithoutEnd)
    }
}

/// The length of a buffer as an argument; no buffer here comes near 4 GiB.
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn check(module: &Module, name: &str, arities: &[usize], answers: bool) -> Result<(), LoadError> {
    let Some(export) = module.get_export(name) else {
        return Ok(());
    };
    let ExternType::Func(shape) = export else {
        return Err(wrong_shape(name, "it is not a function"));
    };
    let all_i32 = |mut types: Box<dyn Iterator<Item = ValType> + '_>| {
        types.all(|ty| matches!(ty, ValType::I32))
    };
    let fits = arities.contains(&shape.params().len())
        && shape.results().len() == usize::from(answers)
        && all_i32(Box::new(shape.params()))
        && all_i32(Box::new(shape.results()));
    if fits {
        return Ok(());
    }
    let expected: Vec<String> = arities.iter().map(ToString::to_string).collect();
    let answer = if answers { "one i32" } else { "nothing" };
    Err(wrong_shape(
        name,
        &format!(
            "it must take {} i32 and return {answer}, but is {shape}",
            expected.join(" or ")
        ),
    ))
}

fn wrong_shape(name: &str, why: &str) -> LoadError {
    LoadError::Export(format!("export {name} has the wrong shape: {why}"))
}
