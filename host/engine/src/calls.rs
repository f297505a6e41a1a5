//! Replies to the guest's calls, and calls of its own functions.

use bytes::BytesMut;

use super::abi::{BufferKind, CallToken, ContextId, Headers};
use super::context::Root;
use super::effect::CallReply;
use super::exports::{Callback, Exports, length};
use super::open_calls::{GrpcKind, grpc_kind};
use super::trap::Trap;
use super::vm::Vm;

impl Vm {
    /// `on_http_call_response`; a token that is not open is left out.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn http_call_response(
        &mut self,
        root: ContextId,
        token: CallToken,
        reply: CallReply,
    ) -> Result<(), Trap> {
        self.instance.alive()?;
        let state = self.instance.state_mut();
        if state.calls.http.get(&token) != Some(&root) {
            return Ok(());
        }
        state.calls.http.remove(&token);
        if state.contexts.root(root).is_none() {
            return Ok(());
        }
        let arguments = (
            root.0,
            token.0,
            reply.headers.len() as u32,
            length(&reply.body),
            reply.trailers.len() as u32,
        );
        let callback = &self.exports.http_call_response;
        self.instance
            .call_with(root, |root| &mut root.reply, reply, callback, arguments)?;
        self.settle()
    }

    /// `on_grpc_receive_initial_metadata`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_initial_metadata(
        &mut self,
        token: CallToken,
        metadata: Headers,
    ) -> Result<(), Trap> {
        self.grpc_metadata(
            token,
            metadata,
            |exports| &exports.grpc_initial,
            |root| &mut root.grpc_initial,
        )
    }

    /// `on_grpc_receive`. It ends a unary call: as in Envoy, no close follows.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_message(&mut self, token: CallToken, message: Vec<u8>) -> Result<(), Trap> {
        let size = length(&message);
        self.grpc(
            token,
            |exports| &exports.grpc_receive,
            |root| &mut root.grpc_message,
            message,
            size,
        )?;
        if grpc_kind(token) == GrpcKind::Unary {
            self.instance.state_mut().calls.grpc.remove(&token);
        }
        self.settle()
    }

    /// `on_grpc_receive_trailing_metadata`
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_trailing_metadata(
        &mut self,
        token: CallToken,
        metadata: Headers,
    ) -> Result<(), Trap> {
        self.grpc_metadata(
            token,
            metadata,
            |exports| &exports.grpc_trailing,
            |root| &mut root.grpc_trailing,
        )
    }

    /// `on_grpc_close`; the call is over.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_close(&mut self, token: CallToken, status: u32, message: &str) -> Result<(), Trap> {
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        let contexts = &mut self.instance.state_mut().contexts;
        if let Some(root) = contexts.root_mut(root) {
            root.status = (status, message.to_owned());
        }
        let arguments = (root.0, token.0, status);
        self.instance
            .call(root, &self.exports.grpc_close, arguments)?;
        self.instance.state_mut().calls.grpc.remove(&token);
        self.settle()
    }

    /// `on_foreign_function`: the host calls a function of the guest by its number.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn foreign_function(
        &mut self,
        root: ContextId,
        function: u32,
        arguments: &[u8],
    ) -> Result<(), Trap> {
        self.instance.alive()?;
        if self.instance.state().contexts.root(root).is_none() {
            return Ok(());
        }
        let mut data = BytesMut::from(arguments);
        let callback = &self.exports.foreign_function;
        let values = (root.0, function, length(arguments));
        self.instance
            .with_data(BufferKind::ForeignArguments, &mut data, |instance| {
                instance.call(root, callback, values)
            })?;
        self.settle()
    }

    /// Hands metadata of a gRPC call to its root.
    fn grpc_metadata(
        &mut self,
        token: CallToken,
        metadata: Headers,
        callback: fn(&Exports) -> &GrpcCallback,
        slot: fn(&mut Root) -> &mut Option<Headers>,
    ) -> Result<(), Trap> {
        let size = metadata.len() as u32;
        self.grpc(token, callback, slot, metadata, size)?;
        self.settle()
    }

    /// Hands something of a gRPC call to its root; a token that is not open is left out.
    fn grpc<T>(
        &mut self,
        token: CallToken,
        callback: fn(&Exports) -> &GrpcCallback,
        slot: fn(&mut Root) -> &mut Option<T>,
        value: T,
        size: u32,
    ) -> Result<(), Trap> {
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        let (callback, arguments) = (callback(&self.exports), (root.0, token.0, size));
        self.instance
            .call_with(root, slot, value, callback, arguments)
    }

    fn grpc_root(&self, token: CallToken) -> Result<Option<ContextId>, Trap> {
        self.instance.alive()?;
        let root = self.instance.state().calls.grpc.get(&token).copied();
        Ok(root.filter(|root| self.instance.state().contexts.root(*root).is_some()))
    }
}

/// Root, token, and size of what came.
type GrpcCallback = Callback<(u32, u32, u32), ()>;
