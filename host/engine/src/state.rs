//! What a VM holds besides the guest's own memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use wasmtime::{Memory, TypedFunc};

use super::abi::{
    AbiVersion, BufferKind, CallToken, ContextId, Headers, HostcallError, HostcallResult, MapKind,
    Profile,
};
use super::config::{Environment, Plugin, VmConfig};
use super::context::{Context, Contexts, Http, Kind, MapAccess};
use super::effect::Effect;
use super::limits::Limits;
use super::log::LogLimiter;
use super::observe::Observer;
use super::policy::HostcallPolicy;
use super::shared::{DataSpace, Inbox, MetricTable, Shared};

/// What a VM holds besides the guest's own memory.
pub(super) struct VmState {
    /// Looked up once the guest is instantiated.
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<(u32,), u32>>,
    pub(super) policy: HostcallPolicy,
    pub(super) limits: Limits,
    /// Who watches this VM.
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// A buffer used again and again for what is handed to the guest.
    pub(super) scratch: Vec<u8>,

    pub(super) environment: Arc<dyn Environment>,
    pub(super) shared: Shared,
    pub(super) space: Arc<DataSpace>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) metrics: MetricTable,
    pub(super) log: LogLimiter,

    pub(super) abi: AbiVersion,
    pub(super) profile: Profile,
    pub(super) vm_id: String,
    pub(super) vm_configuration: Vec<u8>,
    pub(super) plugins: Vec<Plugin>,
    pub(super) node: Arc<serde_json::Value>,

    pub(super) contexts: Contexts,
    pub(super) calls: Calls,
    pub(super) effects: VecDeque<Effect>,
    /// Bytes asked to be sent in this callback.
    pub(super) asked: usize,
    pub(super) scope: CallScope,
    /// Roots that called `proxy_done`; to be deleted once the callback returned.
    pub(super) finished: Vec<ContextId>,
}

/// What holds for the time of one callback.
#[derive(Default)]
pub(super) struct CallScope {
    /// Whose callback it is.
    pub(super) context: ContextId,
    /// Whom the guest speaks for instead.
    pub(super) effective: Option<ContextId>,
    /// The bytes this callback is about.
    pub(super) data: Option<(BufferKind, BytesMut)>,
    /// Whether the plugin's configuration may be read.
    pub(super) configuring: bool,
    /// Whether it is the access log's turn: maps can be read, not written.
    pub(super) logging: bool,
    /// The guest answered the request itself: the stream stops here.
    pub(super) stop: bool,
}

/// Calls the guest has under way.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) http: HashMap<CallToken, ContextId>,
    pub(super) grpc: HashMap<CallToken, ContextId>,
    last_http: u32,
    last_grpc: u32,
}

impl VmState {
    pub(super) fn new(
        config: &VmConfig,
        abi: AbiVersion,
        shared: &Shared,
        environment: Arc<dyn Environment>,
    ) -> VmState {
        let observer = environment.observer();
        VmState {
            memory: None,
            allocate: None,
            policy: HostcallPolicy::new(
                config.capabilities.clone().map(Arc::new),
                observer.is_some(),
            ),
            limits: Limits::new(config.memory_limit, observer.clone()),
            observer,
            scratch: Vec::new(),
            inbox: Inbox::new(environment.clone()),
            environment,
            shared: shared.clone(),
            space: shared.space(&config.vm_id),
            metrics: MetricTable::default(),
            log: LogLimiter::new(config.log_limit),
            abi,
            profile: config.profile,
            vm_id: config.vm_id.clone(),
            vm_configuration: config.configuration.clone(),
            plugins: config.plugins.clone(),
            node: config.node.clone(),
            contexts: Contexts::default(),
            calls: Calls::default(),
            effects: VecDeque::new(),
            asked: 0,
            scope: CallScope::default(),
            finished: Vec::new(),
        }
    }

    /// Notes what is to be done once the guest returned, and the bytes it takes
    /// along. What a guest asks for is bounded like its memory, or it could fill
    /// the host's instead.
    ///
    /// # Errors
    /// "Internal failure" when it is too much for one callback.
    pub(super) fn ask(&mut self, effect: Effect, bytes: usize) -> HostcallResult {
        if self.effects.len() >= MOST_EFFECTS || self.asked + bytes > self.limits.memory() {
            return Err(HostcallError::Internal);
        }
        self.asked += bytes;
        self.effects.push_back(effect);
        Ok(())
    }

    /// Whether one more call may be under way.
    pub(super) fn may_call(&self, bytes: usize) -> HostcallResult {
        let open = self.calls.http.len() + self.calls.grpc.len();
        let fits = self.effects.len() < MOST_EFFECTS
            && self.asked + bytes <= self.limits.memory()
            && open < MOST_CALLS;
        if fits {
            Ok(())
        } else {
            Err(HostcallError::Internal)
        }
    }

    /// Whom the guest speaks for.
    pub(super) fn acting_id(&self) -> ContextId {
        match self.scope.effective {
            // It may be gone by now; then the guest speaks for itself again.
            Some(id) if self.contexts.get(id).is_some() => id,
            _ => self.scope.context,
        }
    }

    pub(super) fn acting(&self) -> Option<&Context> {
        self.contexts.get(self.acting_id())
    }

    pub(super) fn acting_mut(&mut self) -> Option<&mut Context> {
        let id = self.acting_id();
        self.contexts.get_mut(id)
    }

    /// The root of whom the guest speaks for.
    pub(super) fn acting_root(&self) -> ContextId {
        self.acting().map_or(ContextId(0), |context| context.root)
    }

    pub(super) fn plugin(&self) -> Option<&Plugin> {
        self.plugins.get(self.acting()?.plugin)
    }

    /// The map as the guest may read it.
    pub(super) fn map(&self, kind: MapKind) -> Option<&Headers> {
        let context = self.acting()?;
        let root = || self.contexts.root(context.root);
        match kind {
            MapKind::GrpcInitialMetadata => root()?.grpc_initial.as_ref(),
            MapKind::GrpcTrailingMetadata => root()?.grpc_trailing.as_ref(),
            MapKind::CallHeaders => self.answered(&root()?.reply.as_ref()?.headers),
            MapKind::CallTrailers => self.answered(&root()?.reply.as_ref()?.trailers),
            _ => match &context.kind {
                Kind::Http(http) if self.reads(http.access(kind)) => http.map(kind),
                _ => None,
            },
        }
    }

    /// Part of a call's answer. As in Envoy, what did not come is not there, which
    /// guests are to expect; by the specification it is empty.
    fn answered<'a>(&self, map: &'a Headers) -> Option<&'a Headers> {
        (self.profile == Profile::Spec || !map.is_empty()).then_some(map)
    }

    /// The map as the guest may change it.
    ///
    /// # Errors
    /// "Bad argument" when it may not.
    pub(super) fn map_mut(&mut self, kind: MapKind) -> Result<&mut Headers, HostcallError> {
        let envoy = self.profile == Profile::Envoy;
        match &mut self.acting_mut().ok_or(HostcallError::BadArgument)?.kind {
            Kind::Http(http) if !envoy || http.access(kind) == MapAccess::Write => {
                http.map_mut(kind).ok_or(HostcallError::BadArgument)
            }
            _ => Err(HostcallError::BadArgument),
        }
    }

    pub(super) fn set_access(&mut self, context: ContextId, kind: MapKind, access: MapAccess) {
        let http = self.contexts.http_mut(context);
        if let Some(slot) = http.and_then(|http| http.access.get_mut(kind as usize)) {
            *slot = access;
        }
    }

    /// Whether HTTP streams are logged after they are done, as the
    /// specification has it, rather than before.
    pub(super) fn logs_last(&self) -> bool {
        self.profile == Profile::Spec
    }

    /// The access log's turn: what is known can be read, and not changed.
    pub(super) fn begin_log(&mut self, context: ContextId) {
        self.scope.logging = true;
        if let Some(http) = self.contexts.http_mut(context) {
            http.access = [MapAccess::Read; 4];
        }
    }

    pub(super) fn end_log(&mut self, context: ContextId) {
        let envoy = self.profile == Profile::Envoy;
        self.scope.logging = false;
        if let Some(http) = self.contexts.http_mut(context) {
            http.access = [MapAccess::None; 4];
            http.over = envoy;
        }
    }

    /// The map as attributes show it.
    pub(super) fn shown<'a>(&self, http: &'a Http, kind: MapKind) -> Option<&'a Headers> {
        if self.reads(http.access(kind)) {
            http.map(kind)
        } else {
            None
        }
    }

    fn reads(&self, access: MapAccess) -> bool {
        access != MapAccess::None || self.profile == Profile::Spec
    }
}

impl Calls {
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

    /// As [`Calls::open_http`]; unary calls are odd, streams are even.
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

/// Most things a guest may ask for before its owner looks.
const MOST_EFFECTS: usize = 1 << 16;
/// Most calls a guest may have under way.
const MOST_CALLS: usize = 1 << 14;
