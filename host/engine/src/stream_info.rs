//! What a guest may read of a connection or a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::abi::Headers;

/// What a guest may read of a TCP connection through properties.
#[derive(Clone, Debug)]
pub struct TcpInfo {
    /// Unique in the process.
    pub connection_id: u64,
    /// The client.
    pub source: SocketAddr,
    /// The listener's end.
    pub destination: SocketAddr,
    /// `{"filter_metadata": {"<namespace>": {"<key>": <value>}}}`
    pub listener_metadata: Arc<Value>,
    /// Which way the listener's traffic flows.
    pub listener_direction: ListenerDirection,
    /// The name asked for by TLS, where the host looked.
    pub requested_server_name: Option<Arc<str>>,
    /// When it was accepted, since 1970: property `request.time`. Zero: not known.
    pub time: Duration,
    /// Bytes from the client so far: property `request.size`.
    pub received: u64,
    /// Bytes to the client so far: property `response.size`.
    pub sent: u64,
    /// Connect attempts so far.
    pub attempts: u32,
    /// Bits of [`response_flag`](super::envoy::response_flag).
    pub response_flags: u64,
    /// Text of the first failed connect attempt.
    pub transport_failure: Option<String>,
    /// Once connected.
    pub upstream: Option<Arc<Upstream>>,
}

impl TcpInfo {
    /// A connection just accepted.
    pub fn new(connection_id: u64, source: SocketAddr, destination: SocketAddr) -> TcpInfo {
        TcpInfo {
            connection_id,
            source,
            destination,
            listener_metadata: NOTHING.clone(),
            listener_direction: ListenerDirection::Unspecified,
            requested_server_name: None,
            time: Duration::ZERO,
            received: 0,
            sent: 0,
            attempts: 0,
            response_flags: 0,
            transport_failure: None,
            upstream: None,
        }
    }
}

/// Which way a listener's traffic flows, as Envoy numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerDirection {
    /// Not configured.
    Unspecified = 0,
    /// Towards the service.
    Inbound = 1,
    /// Away from it.
    Outbound = 2,
}

/// The replica a connection reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The cluster it belongs to, such as `443/r1`.
    pub cluster: Arc<str>,
    /// `{"filter_metadata": {"dtr": {"name": "r1"}}}`
    pub metadata: Arc<Value>,
    /// The replica.
    pub address: SocketAddr,
    /// Our end of the connection to it.
    pub local_address: SocketAddr,
}

/// An HTTP request, what is known of its connection, and its response.
///
/// The guest reads and changes the maps in place; the owner fills them before
/// a callback and takes them back after it.
#[derive(Clone, Debug)]
pub struct HttpInfo {
    /// The connection the request came on.
    pub connection: TcpInfo,
    /// With `:method`, `:path`, `:authority`, `:scheme`.
    pub request_headers: Headers,
    /// Once they came.
    pub request_trailers: Option<Headers>,
    /// With `:status`; once they came.
    pub response_headers: Option<Headers>,
    /// Once they came.
    pub response_trailers: Option<Headers>,
    /// `request.protocol`, such as `HTTP/1.1`.
    pub protocol: Arc<str>,
    /// `request.time`: when it began, since 1970.
    pub time: Duration,
    /// `request.duration`, once over.
    pub duration: Option<Duration>,
    /// `request.size`: body bytes so far.
    pub request_size: u64,
    /// `response.size`: body bytes so far.
    pub response_size: u64,
    /// `response.code_details`.
    pub code_details: Option<String>,
    /// `xds.route_name`, where a route was chosen.
    pub route_name: Option<Arc<str>>,
}

impl HttpInfo {
    /// A request just begun.
    pub fn new(connection: TcpInfo, request_headers: Headers) -> HttpInfo {
        HttpInfo {
            connection,
            request_headers,
            request_trailers: None,
            response_headers: None,
            response_trailers: None,
            protocol: HTTP_1_1.clone(),
            time: Duration::ZERO,
            duration: None,
            request_size: 0,
            response_size: 0,
            code_details: None,
            route_name: None,
        }
    }
}

static NOTHING: std::sync::LazyLock<Arc<Value>> =
    std::sync::LazyLock::new(|| Arc::new(Value::Null));
static HTTP_1_1: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "HTTP/1.1".into());
