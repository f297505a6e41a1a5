//! The contexts a host calls: a root for each plugin, and under it a connection
//! or a request. They hold no more than their number; what a VM knows is in
//! [`vm`](super::vm).

use super::{http, root, stream, upstream, vm};
use http::End;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, PeerType};
use root::Role;
use stream::Opened;
use upstream::ReplicaEnd;
use vm::Vm;

proxy_wasm::main! {{
    // Sets the panic hook too: a bug must be findable, and the host's log is
    // where one looks.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context| Box::new(Root { context, role: root::role() }));
}}

struct Root {
    context: u32,
    role: Role,
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
        match vm::with(|vm| root::configure(vm, self.context, self.role)).flatten() {
            Some(role) => {
                self.role = role;
                true
            }
            None => false,
        }
    }

    fn on_tick(&mut self) {
        vm::with(|vm| root::tick(vm, self.context));
    }

    fn create_stream_context(&self, context: u32) -> Option<Box<dyn StreamContext>> {
        let port = match self.role {
            Role::Listener(port) => port,
            Role::Admin => None,
        };
        vm::with(|vm| {
            root::use_own_config(vm, self.context);
            vm.unannounced.push((context, port));
        });
        Some(Box::new(Connection {
            context,
            port,
            opened: None,
            end: ReplicaEnd::NotSeen,
        }))
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request(context)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(match self.role {
            Role::Listener(_) => ContextType::StreamContext,
            Role::Admin => ContextType::HttpContext,
        })
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        vm::with(|vm| root::delete(vm, self.context));
    }
}

struct Connection {
    context: u32,
    /// The service's port that the connection is to; `None`: the one that it arrives at.
    port: Option<u16>,
    /// What became of it; `None`: it is new, or began before this VM.
    opened: Option<Opened>,
    end: ReplicaEnd,
}

impl Context for Connection {
    /// The end of a connection: called exactly once, whichever side closed. What is
    /// known in `on_log`, which follows, is known here as well: one callback is enough.
    fn on_done(&mut self) -> bool {
        vm::with(|vm| stream::closed(vm, self.context, self.opened, self.end));
        true
    }
}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Action {
        self.go_on(stream::opened)
    }

    /// Called by no host of one registry: its module has no export that leads here.
    fn on_downstream_data(&mut self, size: usize, is_last: bool) -> Action {
        match self.opened {
            Some(Opened::Waiting) => self.go_on(|vm, context, port| {
                stream::asked(vm, context, port, size, End::of(is_last))
            }),
            Some(Opened::Refused(_)) => Action::Pause,
            Some(Opened::For(_) | Opened::Unsteered) | None => Action::Continue,
        }
    }

    /// The replica has ended its side. The standalone host says so of one that did
    /// before its first byte, and calls it remote: the connection may go on at another.
    fn on_upstream_close(&mut self, peer: PeerType) {
        match peer {
            PeerType::Remote => {
                vm::with(|vm| stream::replica_ended(vm, self.context, self.opened));
            }
            _ => self.end = ReplicaEnd::Seen,
        }
    }

    /// A client that ended after its replica did closes the connection; when the client
    /// ended first, it is the proxy that does.
    fn on_downstream_close(&mut self, peer: PeerType) {
        if self.end == ReplicaEnd::Seen && peer == PeerType::Remote {
            self.end = ReplicaEnd::First;
        }
    }
}

impl Connection {
    /// Learns what becomes of it.
    fn go_on(&mut self, ask: impl FnOnce(&mut Vm, u32, Option<u16>) -> Opened) -> Action {
        let opened = vm::with(|vm| ask(vm, self.context, self.port));
        self.opened = opened;
        match opened {
            Some(Opened::Waiting | Opened::Refused(_)) => Action::Pause,
            Some(Opened::For(_) | Opened::Unsteered) | None => Action::Continue,
        }
    }
}

struct Request(u32);

impl Context for Request {
    fn on_done(&mut self) -> bool {
        vm::with(|vm| http::closed(vm, self.0));
        true
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, is_last: bool) -> Action {
        vm::with(|vm| http::headers(vm, self.0, End::of(is_last))).unwrap_or(Action::Pause)
    }

    fn on_http_request_body(&mut self, size: usize, is_last: bool) -> Action {
        vm::with(|vm| http::body(vm, self.0, size, End::of(is_last))).unwrap_or(Action::Pause)
    }
}
