//! What a guest asked for.

use std::time::Duration;

use super::abi::{CallToken, ContextId, End, Headers};

/// What the guest asked for; carried out by the VM's owner after the guest returned.
///
/// Exhaustive on purpose: an owner that overlooks a new effect should not compile.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call `tick` once in each period; `None`: stop. Restarts the period.
    Tick {
        /// Whose tick.
        root: ContextId,
        /// How often.
        period: Option<Duration>,
    },
    /// Make an HTTP request; answer with `http_call_response`.
    HttpCall(HttpCall),
    /// Make a unary gRPC call; answer with `grpc_message` and `grpc_close`.
    GrpcCall(GrpcCall),
    /// Open a gRPC stream.
    GrpcStream(GrpcCall),
    /// Send a message on a gRPC stream.
    GrpcSend {
        /// Which stream.
        token: CallToken,
        /// The message, without gRPC's frame.
        message: Vec<u8>,
        /// Whether it is the last one.
        end: End,
    },
    /// No more messages will be sent on this gRPC stream.
    GrpcClose(CallToken),
    /// Give up this gRPC call or stream; its answers are no longer wanted.
    GrpcCancel(CallToken),
    /// Go on with a paused TCP connection.
    ContinueDownstream(ContextId),
    /// Go on with paused bytes of the replica; [`Profile::Spec`](super::Profile::Spec) only.
    ContinueUpstream(ContextId),
    /// Go on with a paused request.
    ContinueRequest(ContextId),
    /// Go on with a paused response.
    ContinueResponse(ContextId),
    /// Close the downstream connection after flushing.
    CloseStream(ContextId),
    /// Reset the HTTP stream.
    ResetHttp(ContextId),
    /// HostcallResult the request with this instead.
    LocalResponse {
        /// The HTTP context.
        context: ContextId,
        /// HTTP status.
        status: u32,
        /// Without pseudo headers.
        headers: Headers,
        /// May be empty.
        body: Vec<u8>,
        /// Why, for logs.
        details: String,
        /// gRPC status to send to a gRPC client, if any.
        grpc_status: Option<u32>,
    },
    /// Forget the route chosen for this request.
    ClearRouteCache(ContextId),
    /// The guest needs no more data callbacks for this TCP connection.
    SkipData(ContextId),
}

/// An HTTP request the guest dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// Names the call in its answer.
    pub token: CallToken,
    /// Who gets the answer.
    pub root: ContextId,
    /// Exists, by [`Environment::has_cluster`](super::Environment::has_cluster).
    pub cluster: String,
    /// With `:method`, `:path`, `:authority`.
    pub headers: Headers,
    /// May be empty.
    pub body: Vec<u8>,
    /// May be empty.
    pub trailers: Headers,
    /// `None`: no limit.
    pub timeout: Option<Duration>,
}

/// A gRPC call or stream the guest opened.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcCall {
    /// Names the call in its answers.
    pub token: CallToken,
    /// Who gets the answers.
    pub root: ContextId,
    /// Exists, by [`Environment::has_cluster`](super::Environment::has_cluster).
    pub cluster: String,
    /// Such as `helloworld.Greeter`.
    pub service: String,
    /// Such as `SayHello`.
    pub method: String,
    /// Initial metadata.
    pub metadata: Headers,
    /// Of a unary call; empty for a stream.
    pub message: Vec<u8>,
    /// `None`: no limit.
    pub timeout: Option<Duration>,
}

/// HostcallResult to an HTTP call. No headers: the call failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallReply {
    /// With `:status`.
    pub headers: Headers,
    /// May be empty.
    pub body: Vec<u8>,
    /// May be empty.
    pub trailers: Headers,
}
