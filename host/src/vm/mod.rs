//! One proxy-wasm virtual machine: a guest module, its contexts and the host
//! functions it may call.
//!
//! Host functions validate guest memory, record an [`Effect`], return a status.
//! They touch no socket and never re-enter the guest. Whoever owns the [`Vm`]
//! calls it, then drains [`Vm::next_effect`] and carries out what it finds.

/// A context of the guest: a root (one per plugin) or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

/// A call the guest has under way (HTTP or gRPC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallToken(pub u32);

/// What the guest answered to a callback on data, headers or a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Continue,
    Pause,
}

/// Which side closed, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Unknown = 0,
    Local = 1,
    Remote = 2,
}

/// Whether more bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    More,
    Last,
}

/// Header names and values, in order, names in lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// One process's compiler and epoch clock. Cheap to clone.
#[derive(Clone)]
pub struct Engine {}
/// A compiled guest. Cheap to clone.
#[derive(Clone)]
pub struct Module {}
/// What VMs of a process share: data, queues, metrics. Cheap to clone.
#[derive(Clone)]
pub struct Shared {/* pub data, pub queues, pub metrics */}

/// Limits and identity of a VM.
#[derive(Clone, Debug)]
pub struct VmConfig {
    pub vm_id: String,
    pub configuration: Vec<u8>,
    /// Most linear memory, bytes.
    pub memory_limit: usize,
    /// Longest a single callback may run.
    pub callback_limit: std::time::Duration,
    pub plugins: Vec<Plugin>,
}

/// One plugin: a root context and its configuration.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub root_id: String,
    pub configuration: Vec<u8>,
}

/// What a guest may read of a TCP connection through properties.
#[derive(Clone, Debug)]
pub struct TcpInfo {
    pub connection_id: u64,
    pub source: std::net::SocketAddr,
    pub destination: std::net::SocketAddr,
    /// `listener_metadata.filter_metadata.<key>.<key>` as text
    pub listener_metadata: std::sync::Arc<serde_json::Value>,
    pub attempts: u32,
    /// Envoy's response flags: UR 16, UF 32, URX 32768
    pub response_flags: u64,
    pub transport_failure: Option<String>,
    pub upstream: Option<Upstream>,
    // filter_state is kept by the VM: see Vm::filter_state
}

/// The replica a connection reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub cluster: std::sync::Arc<str>,
    /// xds.upstream_host_metadata as JSON: {"filter_metadata":{"dtr":{"name":..}}}
    pub metadata: std::sync::Arc<serde_json::Value>,
    pub address: std::net::SocketAddr,
    pub local_address: std::net::SocketAddr,
}

/// Bytes of one direction that the guest may see and change.
pub enum Direction {
    Downstream,
    Upstream,
}

/// What the guest asked for; carried out by the VM's owner after the guest returned.
pub enum Effect {
    /// Call `on_tick` every so often; `None`: stop. Restarts the interval.
    Tick {
        root: ContextId,
        period: Option<std::time::Duration>,
    },
    /// Make an HTTP request; answer with `http_call_response`.
    HttpCall {
        token: CallToken,
        root: ContextId,
        cluster: String,
        headers: Headers,
        body: Vec<u8>,
        trailers: Headers,
        timeout: Option<std::time::Duration>,
    },
    ContinueDownstream(ContextId),
    ContinueRequest(ContextId),
    ContinueResponse(ContextId),
    /// Close the downstream connection after flushing.
    CloseStream(ContextId),
    ResetHttp(ContextId),
    LocalResponse {
        context: ContextId,
        status: u32,
        headers: Headers,
        body: Vec<u8>,
        details: String,
    },
    // gRPC, queues: later
}

/// The guest trapped, ran out of memory or time; the VM must not be called again.
#[derive(Debug)]
pub struct Trap {/* message with the reason and the wasm backtrace */}

/// Answer to an HTTP call. No headers: the call failed.
pub struct CallReply {
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

pub struct Vm {}

impl Engine {
    /* pub fn new() -> Result<Engine, LoadError>; owns a thread that moves the epoch */
}
impl Module {
    /* pub fn compile(&Engine, &[u8]) -> Result<Module, LoadError>; validates the ABI marker */
}
impl Shared {
    /* new() */
}

// impl Vm {
//   pub fn start(module: &Module, config: &VmConfig, shared: &Shared, clusters: Arc<dyn Fn(&str)->bool + Send + Sync> /* which clusters exist */) -> Result<Vm, StartError>;
//   pub fn root(&self, root_id: &str) -> Option<ContextId>;
//   pub fn tick(&mut self, root: ContextId) -> Result<(), Trap>;
//   pub fn http_call_response(&mut self, root: ContextId, token: CallToken, reply: CallReply) -> Result<(), Trap>;   // unknown token: no-op
//   -- TCP --
//   pub fn open_tcp(&mut self, root: ContextId, info: TcpInfo) -> Result<ContextId, Trap>;        // on_context_create
//   pub fn new_connection(&mut self, context: ContextId) -> Result<Action, Trap>;
//   pub fn wants(&self, ...) which data callbacks the guest exports
//   pub fn downstream_data(&mut self, context, data: &mut BytesMut, end: End) -> Result<Action, Trap>;  // buffer swapped into the store for the call
//   pub fn upstream_data(&mut self, context, data: &mut BytesMut, end: End) -> Result<Action, Trap>;
//   pub fn downstream_close(&mut self, context, Peer) ; upstream_close(...)
//   pub fn tcp_mut(&mut self, context) -> Option<&mut TcpInfo>;
//   pub fn filter_state(&self, context, key: &str) -> Option<&str>;
//   -- HTTP --
//   pub fn open_http(&mut self, root, request: HttpInfo/headers) -> Result<ContextId, Trap>;
//   pub fn request_headers(&mut self, context, End) -> Result<Action, Trap>; request_body(...)
//   -- both --
//   pub fn finish(&mut self, context) -> Result<(), Trap>;   // on_done, on_log, on_delete
//   pub fn next_effect(&mut self) -> Option<Effect>;
// }
