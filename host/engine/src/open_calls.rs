//! OpenCalls of the guest that were not answered yet.

use std::collections::HashMap;

use super::abi::{CallToken, ContextId};

/// OpenCalls the guest has under way.
#[derive(Default)]
pub(super) struct OpenCalls {
    pub(super) http: HashMap<CallToken, ContextId>,
    pub(super) grpc: HashMap<CallToken, ContextId>,
    last_http: u32,
    last_grpc: u32,
}

impl OpenCalls {
    /// A token no call under way has.
    pub(super) fn open_http(&mut self, root: ContextId) -> CallToken {
        loop {
            self.last_http = self.last_http.wrapping_add(1);
            let token = CallToken(self.last_http);
            if token.0 != 0 && !self.http.contains_key(&token) {
                self.http.insert(token, root);
                return token;
            }
        }
    }

    /// As [`OpenCalls::open_http`]; unary calls are odd, streams are even.
    pub(super) fn open_grpc(&mut self, root: ContextId, kind: GrpcKind) -> CallToken {
        loop {
            self.last_grpc = self.last_grpc.wrapping_add(1);
            let token = CallToken(self.last_grpc);
            if token.0 != 0 && grpc_kind(token) == kind && !self.grpc.contains_key(&token) {
                self.grpc.insert(token, root);
                return token;
            }
        }
    }

    /// Forgets the calls of a root that is gone.
    pub(super) fn forget(&mut self, root: ContextId) {
        self.http.retain(|_, owner| *owner != root);
        self.grpc.retain(|_, owner| *owner != root);
    }
}

/// Whether a gRPC call sends one message or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrpcKind {
    Unary,
    Stream,
}

pub(super) fn grpc_kind(token: CallToken) -> GrpcKind {
    if token.0 % 2 == 1 {
        GrpcKind::Unary
    } else {
        GrpcKind::Stream
    }
}
