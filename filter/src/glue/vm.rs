//! What a VM keeps between callbacks: its registries, for all its contexts.

use super::host::{self, Shared};
use crate::admin::http::Request;
use crate::compare::InspectionId;
use crate::config::PluginConfig;
use crate::health::probe_request::ProbeId;
use crate::random::NameHasher;
use crate::registries::{Registries, RegistryId};
use crate::time::{Clock, Moment};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

/// The state of this VM.
#[derive(Default)]
pub(super) struct Vm {
    pub(super) clock: Clock,
    pub(super) shared: Shared,
    pub(super) registries: Registries,
    /// The configuration that it has.
    pub(super) in_force: Option<Rc<PluginConfig>>,
    /// The roots of listeners.
    pub(super) listening: Vec<ListenerRoot>,
    /// The one of them that ticks: the newest.
    pub(super) ticking: Option<u32>,
    /// The root that stays only until the last connection is closed.
    pub(super) leaving: Option<u32>,
    /// Connections that have a context and have not been announced, with their ports:
    /// until they are, they are new, and those that never are began before this VM.
    pub(super) unannounced: Vec<(u32, Option<u16>)>,
    /// Connections whose clients have not asked for a registry yet, and when each is
    /// closed for that.
    pub(super) waiting: Vec<(u32, Moment)>,
    /// Requests of the admin listener that are not answered yet.
    pub(super) requests: HashMap<u32, Request>,
    /// HTTP calls under way, by their token.
    pub(super) calls: Calls,
    /// The host's numbers of metrics, by name.
    pub(super) metrics: MetricIds,
}

/// By token: whose call it is, and what it is for.
pub(super) type Calls = BTreeMap<u32, (RegistryId, Call)>;

/// By name.
pub(super) type MetricIds = HashMap<String, u32, BuildHasherDefault<NameHasher>>;

/// A root of a listener, and what it has been configured with.
pub(super) struct ListenerRoot {
    pub(super) root: u32,
    /// One for all roots that have the same.
    pub(super) config: Rc<PluginConfig>,
}

/// What an HTTP call is for.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Probe(ProbeId),
    Inspection(InspectionId),
}

thread_local! {
    static VM: RefCell<Vm> = RefCell::new(Vm::default());
}

/// Runs a callback on this VM's state. Callbacks don't nest, so the state is
/// free; were it not, the callback would do nothing.
pub(super) fn with<R>(run: impl FnOnce(&mut Vm) -> R) -> Option<R> {
    VM.with(|vm| vm.try_borrow_mut().ok().map(|mut vm| run(&mut vm)))
}

impl Vm {
    /// Reads the clock. A host without one leaves time where it was.
    pub(super) fn read_clock(&mut self) -> Moment {
        if let Some(now) = host::now() {
            self.clock.read(now);
        }
        for registry in self.registries.iter_mut() {
            registry.balancer.set_unix_ms(self.clock.unix_ms());
        }
        self.clock.now()
    }
}
