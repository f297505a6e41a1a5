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
use super::log::LogLimiter;
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
    pub(super) calls: OpenCalls,
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
}

/// Most things a guest may ask for before its owner looks.
const MOST_EFFECTS: usize = 1 << 16;
/// Most calls a guest may have under way.
const MOST_CALLS: usize = 1 << 14;
