//! What a VM holds besides the guest's own memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use wasmtime::{Memory, TypedFunc};

use super::abi::{AbiVersion, BufferKind, ContextId, Profile};
use super::config::{Environment, Plugin, VmConfig};
use super::context::{Context, Contexts};
use super::effect::Effect;
use super::limits::Limits;
use super::log_limiter::LogLimiter;
use super::observe::Observer;
use super::open_calls::OpenCalls;
use super::policy::HostcallPolicy;
use super::shared::{DataSpace, Inbox, MetricTable, Shared};
use super::status::{HostcallError, HostcallResult};

/// What a VM holds besides the guest's own memory.
pub(super) struct VmState {
    /// Looked up once the guest is instantiated.
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<(u32,), u32>>,
    pub(super) policy: HostcallPolicy,
    pub(super) limits: Limits,
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// A buffer kept for what is handed to the guest.
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
    pub(super) calls: OpenCalls,
    pub(super) effects: VecDeque<Effect>,
    /// Bytes asked to be sent in this callback.
    pub(super) recorded_bytes: usize,
    pub(super) scope: CallScope,
    /// Roots that called `proxy_done`; to be deleted once the callback returned.
    pub(super) finished: Vec<ContextId>,
}

/// What holds for one callback.
#[derive(Default)]
pub(super) struct CallScope {
    /// Whose callback it is.
    pub(super) context: ContextId,
    /// The context the guest chose to act in instead.
    pub(super) effective: Option<ContextId>,
    /// The bytes this callback is about.
    pub(super) data: Option<(BufferKind, BytesMut)>,
    /// Whether the plugin's configuration may be read.
    pub(super) configuring: bool,
    /// Whether `on_log` runs: maps can be read, not written.
    pub(super) logging: bool,
    /// The guest answered the request itself: the stream stops here.
    pub(super) stop: bool,
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
            calls: OpenCalls::default(),
            effects: VecDeque::new(),
            recorded_bytes: 0,
            scope: CallScope::default(),
            finished: Vec::new(),
        }
    }

    /// Records an effect and how many bytes it carries. They are bounded like the
    /// guest's memory, or it could fill the host's instead.
    ///
    /// # Errors
    /// "Internal failure" when it is too much for one callback.
    pub(super) fn record(&mut self, effect: Effect, bytes: usize) -> HostcallResult {
        if self.effects.len() >= MAX_EFFECTS || self.recorded_bytes + bytes > self.limits.memory() {
            return Err(HostcallError::Internal);
        }
        self.recorded_bytes += bytes;
        self.effects.push_back(effect);
        Ok(())
    }

    /// Whether one more call may be under way.
    pub(super) fn may_call(&self, bytes: usize) -> HostcallResult {
        let open = self.calls.http.len() + self.calls.grpc.len();
        let fits = self.effects.len() < MAX_EFFECTS
            && self.recorded_bytes + bytes <= self.limits.memory()
            && open < MAX_CALLS;
        if fits {
            Ok(())
        } else {
            Err(HostcallError::Internal)
        }
    }

    /// The context the guest acts in.
    pub(super) fn acting_id(&self) -> ContextId {
        match self.scope.effective {
            // It may be gone by now; then the guest acts in its own context again.
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

    /// The root of the context the guest acts in.
    pub(super) fn acting_root(&self) -> ContextId {
        self.acting().map_or(ContextId(0), |context| context.root)
    }

    pub(super) fn plugin(&self) -> Option<&Plugin> {
        self.plugins.get(self.acting()?.plugin)
    }
}

/// Most things a guest may ask for before its owner looks.
const MAX_EFFECTS: usize = 1 << 16;
/// Most calls a guest may have under way.
const MAX_CALLS: usize = 1 << 14;
