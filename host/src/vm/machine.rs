//! One guest at work.

use std::sync::Arc;

use bytes::BytesMut;

use super::abi::{Action, CallToken, ContextId, Direction, End, Headers, Peer};
use super::config::{VmConfig, World};
use super::effect::{CallReply, Effect};
use super::engine::Module;
use super::shared::Shared;
use super::stream::{HttpInfo, TcpInfo};
use super::trap::{StartError, Trap};

/// One proxy-wasm virtual machine.
///
/// Its owner calls it, then drains [`Vm::next_effect`]. After a [`Trap`] every
/// further call returns that trap again. A context that is not there (closed
/// already, or never was) is no error: the callback is left out.
pub struct Vm {}

impl Vm {
    /// Instantiates the guest and starts its plugins in order.
    ///
    /// # Errors
    /// When the guest does not link, traps, or refuses its configuration.
    pub fn start(
        _module: &Module,
        _config: &VmConfig,
        _shared: &Shared,
        _world: Arc<dyn World>,
    ) -> Result<Vm, StartError> {
        unimplemented!()
    }

    /// The root context of the first plugin with this root id.
    pub fn root(&self, _root_id: &str) -> Option<ContextId> {
        unimplemented!()
    }

    /// Root contexts, in the order of the configuration's plugins.
    pub fn roots(&self) -> Vec<ContextId> {
        unimplemented!()
    }

    /// What the guest asked for, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect> {
        unimplemented!()
    }

    /// The trap that ended this VM.
    pub fn trap(&self) -> Option<&Trap> {
        unimplemented!()
    }

    /// Linear memory in use, bytes.
    pub fn memory_size(&mut self) -> usize {
        unimplemented!()
    }

    /// Contexts alive, root contexts included.
    pub fn context_count(&self) -> usize {
        unimplemented!()
    }

    /// `on_tick`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn tick(&mut self, _root: ContextId) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_http_call_response`; a token that is not open is left out.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn http_call_response(
        &mut self,
        _root: ContextId,
        _token: CallToken,
        _reply: CallReply,
    ) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_grpc_receive_initial_metadata`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_initial_metadata(
        &mut self,
        _token: CallToken,
        _metadata: Headers,
    ) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_grpc_receive`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_message(&mut self, _token: CallToken, _message: Vec<u8>) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_grpc_receive_trailing_metadata`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_trailing_metadata(
        &mut self,
        _token: CallToken,
        _metadata: Headers,
    ) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_grpc_close`; the call is over.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_close(
        &mut self,
        _token: CallToken,
        _status: u32,
        _message: &str,
    ) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_queue_ready` for each item that arrived since the last time.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn deliver(&mut self) -> Result<(), Trap> {
        unimplemented!()
    }

    /// A TCP connection came: `on_context_create`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn open_tcp(&mut self, _root: ContextId, _info: TcpInfo) -> Result<ContextId, Trap> {
        unimplemented!()
    }

    /// `on_new_connection`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn new_connection(&mut self, _context: ContextId) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// Whether the guest has a callback for bytes of this direction and has
    /// not said that it needs no more of this connection.
    pub fn wants_data(&self, _context: ContextId, _direction: Direction) -> bool {
        unimplemented!()
    }

    /// `on_downstream_data`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn downstream_data(
        &mut self,
        _context: ContextId,
        _data: &mut BytesMut,
        _end: End,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_upstream_data`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn upstream_data(
        &mut self,
        _context: ContextId,
        _data: &mut BytesMut,
        _end: End,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_downstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn downstream_close(&mut self, _context: ContextId, _peer: Peer) -> Result<(), Trap> {
        unimplemented!()
    }

    /// `on_upstream_connection_close`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn upstream_close(&mut self, _context: ContextId, _peer: Peer) -> Result<(), Trap> {
        unimplemented!()
    }

    /// What properties say of this TCP connection.
    pub fn tcp_mut(&mut self, _context: ContextId) -> Option<&mut TcpInfo> {
        unimplemented!()
    }

    /// What the guest set with `set_envoy_filter_state`, such as `envoy.tcp_proxy.cluster`.
    pub fn filter_state(&self, _context: ContextId, _key: &str) -> Option<&str> {
        unimplemented!()
    }

    /// A request came: `on_context_create`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn open_http(&mut self, _root: ContextId, _info: HttpInfo) -> Result<ContextId, Trap> {
        unimplemented!()
    }

    /// The request's maps, for the owner to fill and to take back.
    pub fn http_mut(&mut self, _context: ContextId) -> Option<&mut HttpInfo> {
        unimplemented!()
    }

    /// `on_request_headers`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_headers(&mut self, _context: ContextId, _end: End) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_request_body`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_body(
        &mut self,
        _context: ContextId,
        _body: &mut BytesMut,
        _end: End,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_request_trailers`, with the body bytes still held back.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn request_trailers(
        &mut self,
        _context: ContextId,
        _held: &mut BytesMut,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_response_headers`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_headers(&mut self, _context: ContextId, _end: End) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_response_body`: all bytes held back so far; the guest may change them.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_body(
        &mut self,
        _context: ContextId,
        _body: &mut BytesMut,
        _end: End,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// `on_response_trailers`, with the body bytes still held back.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn response_trailers(
        &mut self,
        _context: ContextId,
        _held: &mut BytesMut,
    ) -> Result<Action, Trap> {
        unimplemented!()
    }

    /// The stream is over: `on_done`, `on_log`, `on_delete` in Envoy's order
    /// (for HTTP `on_log` comes first). The context is gone afterwards.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn finish(&mut self, _context: ContextId) -> Result<(), Trap> {
        unimplemented!()
    }

    /// Ends a root context: `on_done`, then `on_delete` unless the guest wants
    /// to work on until it calls `proxy_done`.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn finish_root(&mut self, _root: ContextId) -> Result<Finished, Trap> {
        unimplemented!()
    }
}

/// Whether a root context is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is gone.
    Now,
    /// It works on; gone when [`Vm::roots`] no longer names it.
    Later,
}
