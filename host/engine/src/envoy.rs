//! Constants of Envoy that every proxy-wasm host repeats: filters look at them,
//! so a host that acts as Envoy does needs the same ones.
//!
//! Paths name the file of Envoy's repository a value comes from.

use super::effect::CallReply;

/// The filter state that steers `tcp_proxy` to a cluster
/// (`source/common/tcp_proxy/tcp_proxy.cc`, `PerConnectionCluster`).
pub const STEERING_KEY: &str = "envoy.tcp_proxy.cluster";

/// Header of a response that an upstream sent: milliseconds it took. A response
/// Envoy made up itself lacks it (`source/common/http/headers.h`).
pub const SERVICE_TIME: &str = "x-envoy-upstream-service-time";

/// Bits of `response.flags` (`envoy/stream_info/stream_info.h`, `CoreResponseFlag`).
pub mod response_flag {
    /// UH: no upstream to try.
    pub const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;
    /// UT: no response within the route's timeout.
    pub const UPSTREAM_REQUEST_TIMEOUT: u64 = 1 << 2;
    /// UR: the upstream reset the connection.
    pub const UPSTREAM_REMOTE_RESET: u64 = 1 << 4;
    /// UF: a connect attempt failed.
    pub const UPSTREAM_CONNECTION_FAILURE: u64 = 1 << 5;
    /// UC: the upstream closed the connection before it had answered.
    pub const UPSTREAM_CONNECTION_TERMINATION: u64 = 1 << 6;
    /// URX: every connect attempt failed.
    pub const UPSTREAM_RETRY_LIMIT_EXCEEDED: u64 = 1 << 15;
    /// NC: there is no cluster of the name asked for.
    pub const NO_CLUSTER_FOUND: u64 = 1 << 24;
}

/// Why Envoy gave up a request (`source/common/http/utility.cc`,
/// `resetReasonToString`); an argument of [`reset_before_headers`].
pub mod reset_reason {
    /// The upstream closed the connection.
    pub const CONNECTION_TERMINATION: &str = "connection termination";
    /// Not connected within the cluster's connect timeout.
    pub const CONNECTION_TIMEOUT: &str = "connection timeout";
    /// The proxy's own limits are reached; the upstream was not asked.
    pub const OVERFLOW: &str = "overflow";
    /// What came is no HTTP.
    pub const PROTOCOL_ERROR: &str = "protocol error";
    /// The upstream could not be connected to.
    pub const REMOTE_CONNECTION_FAILURE: &str = "remote connection failure";
}

/// Statuses of gRPC (`envoy/grpc/status.h`).
pub mod grpc_status {
    /// An error of no other kind.
    pub const UNKNOWN: u32 = 2;
    /// Not answered in time.
    pub const DEADLINE_EXCEEDED: u32 = 4;
    /// Not allowed.
    pub const PERMISSION_DENIED: u32 = 7;
    /// Some limit is reached.
    pub const RESOURCE_EXHAUSTED: u32 = 8;
    /// No such method.
    pub const UNIMPLEMENTED: u32 = 12;
    /// One side broke the protocol.
    pub const INTERNAL: u32 = 13;
    /// Could not be reached.
    pub const UNAVAILABLE: u32 = 14;
    /// Not authenticated; the last status there is.
    pub const UNAUTHENTICATED: u32 = 16;

    /// The status of a response that is HTTP's alone
    /// (`source/common/grpc/status.cc`, `httpToGrpcStatus`).
    pub fn of_http(status: u32) -> u32 {
        match status {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            429 | 502..=504 => UNAVAILABLE,
            _ => UNKNOWN,
        }
    }
}

/// Body of the 504 of a request without an answer in time, and message of such a
/// gRPC call (`source/common/router/router.cc`).
pub const REQUEST_TIMEOUT: &str = "upstream request timeout";

/// Why a TCP connect attempt failed, as `upstream.transport_failure_reason` has it
/// (`source/common/network/connection_impl.cc`).
pub const CONNECTION_REFUSED: &str = "delayed connect error: Connection refused";

/// Body of the 503 of a request that got no response headers
/// (`source/common/router/router.cc`).
pub fn reset_before_headers(reason: &str) -> String {
    format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}")
}

/// [`reset_before_headers`] of an upstream that could not be connected to, and why.
pub fn not_connected(transport_failure: &str) -> String {
    let reason = reset_reason::REMOTE_CONNECTION_FAILURE;
    reset_before_headers(&format!(
        "{reason}, transport failure reason: {transport_failure}"
    ))
}

/// A response that Envoy makes up itself. It lacks [`SERVICE_TIME`]
/// (`source/common/http/utility.cc`, `sendLocalReply`).
pub fn local_reply(status: u16, body: &str) -> CallReply {
    let length = body.len().to_string();
    CallReply {
        headers: vec![
            (":status".to_owned(), status.to_string().into_bytes()),
            ("content-length".to_owned(), length.into_bytes()),
            ("content-type".to_owned(), b"text/plain".to_vec()),
        ],
        body: body.as_bytes().to_vec(),
        trailers: Vec::new(),
    }
}
