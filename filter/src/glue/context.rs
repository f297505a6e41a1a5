//! The contexts a host calls: a root for each plugin, and under it a connection
//! or a request. They hold no more than their number; what a VM knows is in
//! [`vm`](super::vm).

use super::{http, root, stream, upstream, vm};
use http::End;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, PeerType};
use upstream::Answer;

proxy_wasm::main! {{
    // Sets the panic hook too: a bug must be findable, and the host's log is
    // where one looks.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(Root { context, kind: root::kind() }));
}}

struct Root {
    context: u32,
    kind: ContextType,
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        vm::with(|vm| root::done(vm, self.context)).unwrap_or(true)
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        vm::with(|vm| root::answered(vm, token, headers));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        vm::with(|vm| root::configure(vm, self.context, self.kind)).unwrap_or(false)
    }

    fn on_tick(&mut self) {
        vm::with(|vm| root::tick(vm, self.context));
    }

    fn create_stream_context(&self, context: u32) -> Option<Box<dyn StreamContext>> {
        vm::with(|vm| vm.unannounced.push(context));
        Some(Box::new(Connection {
            context,
            answer: Answer::Awaited,
        }))
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request(context)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(self.kind)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        vm::with(|vm| root::delete(vm, self.context));
    }
}

struct Connection {
    context: u32,
    answer: Answer,
}

impl Context for Connection {}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Action {
        vm::with(|vm| stream::opened(vm, self.context)).unwrap_or(Action::Continue)
    }

    fn on_downstream_data(&mut self, _: usize, is_last: bool) -> Action {
        if is_last && self.answer == Answer::Awaited {
            self.answer = Answer::NotAwaited;
        }
        Action::Continue
    }

    fn on_upstream_data(&mut self, size: usize, _: bool) -> Action {
        if size > 0 {
            self.answer = Answer::NotAwaited;
        }
        Action::Continue
    }

    /// The replica has ended its side. In the standalone host: before its first byte,
    /// and the connection may go on at another.
    fn on_upstream_close(&mut self, _: PeerType) {
        if self.answer == Answer::Awaited {
            vm::with(|vm| stream::replica_ended(vm, self.context));
        }
    }

    /// The end of a connection: called exactly once, whichever side closed.
    fn on_log(&mut self) {
        vm::with(|vm| stream::closed(vm, self.context, self.answer));
    }
}

struct Request(u32);

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, is_last: bool) -> Action {
        vm::with(|vm| http::headers(vm, self.0, End::of(is_last))).unwrap_or(Action::Pause)
    }

    fn on_http_request_body(&mut self, size: usize, is_last: bool) -> Action {
        vm::with(|vm| http::body(vm, self.0, size, End::of(is_last))).unwrap_or(Action::Pause)
    }

    fn on_log(&mut self) {
        vm::with(|vm| http::closed(vm, self.0));
    }
}
