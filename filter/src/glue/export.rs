//! The functions a host calls. Those it does not find here it does not call: no
//! data callbacks, so that bytes don't pass through the VM.

use super::host::{self, LogLevel};
use super::{http, memory, root, stream, vm};
use http::End;

/// Marks the ABI's version for the host.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host returns.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut u8 {
    memory::reserve(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    if parent == 0 {
        // A bug must be findable: the host's log is where one looks.
        std::panic::set_hook(Box::new(|panic| {
            host::log(LogLevel::Critical, &panic.to_string())
        }));
        vm::with(|vm| root::create(vm, context));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    vm::with(|vm| u32::from(root::configure(vm, context)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    vm::with(|vm| root::tick(vm, context));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _context: u32,
    token: u32,
    headers: u32,
    _body: usize,
    _trailers: u32,
) {
    vm::with(|vm| root::answered(vm, token, headers));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(context: u32) -> u32 {
    vm::with(|vm| stream::opened(vm, context)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, end: u32) -> u32 {
    vm::with(|vm| http::headers(vm, context, end_of(end))) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> u32 {
    vm::with(|vm| http::body(vm, context, size, end_of(end))) as u32
}

/// The last word on a connection: it comes exactly once, whoever closed.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    vm::with(|vm| stream::closed(vm, context));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    vm::with(|vm| {
        vm.requests.remove(&context);
        root::delete(vm, context);
    });
}

fn end_of(end: u32) -> End {
    if end == 0 { End::More } else { End::Last }
}
