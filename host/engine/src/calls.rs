//! Answers to what the guest asked of others.

use bytes::BytesMut;

use super::abi::{BufferKind, CallToken, ContextId, Headers};
use super::effect::CallReply;
use super::state::{GrpcKind, grpc_kind};
use super::tcp::length;
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
        let Some(context) = state.contexts.root_mut(root) else {
            return Ok(());
        };
        let arguments = (
            root.0,
            token.0,
            reply.headers.len() as u32,
            length(&reply.body),
            reply.trailers.len() as u32,
        );
        context.reply = Some(reply);
        let callback = &self.exports.http_call_response;
        self.instance
            .call("proxy_on_http_call_response", root, callback, arguments)?;
        if let Some(context) = self.instance.state_mut().contexts.root_mut(root) {
            context.reply = None;
        }
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
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        let arguments = (root.0, token.0, metadata.len() as u32);
        self.root_mut(root, |root| root.grpc_initial = Some(metadata));
        let callback = &self.exports.grpc_initial;
        self.instance.call(
            "proxy_on_grpc_receive_initial_metadata",
            root,
            callback,
            arguments,
        )?;
        self.root_mut(root, |root| root.grpc_initial = None);
        self.settle()
    }

    /// `on_grpc_receive`. It ends a unary call: as in Envoy, no close follows.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_message(&mut self, token: CallToken, message: Vec<u8>) -> Result<(), Trap> {
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        let arguments = (root.0, token.0, length(&message));
        self.root_mut(root, |root| root.grpc_message = Some(message));
        let callback = &self.exports.grpc_receive;
        self.instance
            .call("proxy_on_grpc_receive", root, callback, arguments)?;
        self.root_mut(root, |root| root.grpc_message = None);
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
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        let arguments = (root.0, token.0, metadata.len() as u32);
        self.root_mut(root, |root| root.grpc_trailing = Some(metadata));
        let callback = &self.exports.grpc_trailing;
        self.instance.call(
            "proxy_on_grpc_receive_trailing_metadata",
            root,
            callback,
            arguments,
        )?;
        self.root_mut(root, |root| root.grpc_trailing = None);
        self.settle()
    }

    /// `on_grpc_close`; the call is over.
    ///
    /// # Errors
    /// When the guest traps.
    pub fn grpc_close(&mut self, token: CallToken, status: u32, message: &str) -> Result<(), Trap> {
        let Some(root) = self.grpc_root(token)? else {
            return Ok(());
        };
        self.root_mut(root, |root| root.status = (status, message.to_owned()));
        let arguments = (root.0, token.0, status);
        self.instance.call(
            "proxy_on_grpc_close",
            root,
            &self.exports.grpc_close,
            arguments,
        )?;
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
                instance.call("proxy_on_foreign_function", root, callback, values)
            })?;
        self.settle()
    }

    fn grpc_root(&self, token: CallToken) -> Result<Option<ContextId>, Trap> {
        self.instance.alive()?;
        let root = self.instance.state().calls.grpc.get(&token).copied();
        Ok(root.filter(|root| self.instance.state().contexts.root(*root).is_some()))
    }

    fn root_mut(&mut self, root: ContextId, change: impl FnOnce(&mut super::context::Root)) {
        if let Some(root) = self.instance.state_mut().contexts.root_mut(root) {
            change(root);
        }
    }
}
