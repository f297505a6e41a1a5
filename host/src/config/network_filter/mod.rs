//! Network filters that others wrote.

mod spec;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{Profile, VmConfig};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use spec::{MOST_FILTERS, NetworkFilterSpec, load};

/// One filter of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFilter {
    /// Names it in logs; property `plugin_name`.
    pub name: String,
    /// Where the module came from, for messages.
    pub file: String,
    /// The module.
    pub code: Arc<[u8]>,
    /// Which root context of the module; property `plugin_root_id`.
    pub root_id: String,
    /// What `on_configure` may read.
    pub configuration: Vec<u8>,
    /// The VM it lives in.
    pub vm: VmSettings,
}

/// A VM. Filters of one module share one when `id` is given and all else is the
/// same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSettings {
    /// VMs of one id share data and queues; empty: a VM of its own, which shares
    /// with the others of no id, as in Envoy.
    pub id: String,
    /// What `on_vm_start` may read.
    pub configuration: Vec<u8>,
    /// Whose behaviour counts where the specification and Envoy disagree.
    pub profile: Profile,
    /// Host functions and callbacks it may use, by name; `None`: all.
    pub capabilities: Option<BTreeSet<String>>,
    /// Most linear memory, bytes.
    pub memory: usize,
    /// Longest a callback may run.
    pub time: Duration,
    /// Most log lines a second; `None`: no limit.
    pub log_limit: Option<u32>,
    /// What happens when it fails.
    pub failure: Failure,
}

impl Default for VmSettings {
    fn default() -> Self {
        let vm = VmConfig::default();
        VmSettings {
            id: vm.vm_id,
            configuration: vm.configuration,
            profile: vm.profile,
            capabilities: vm.capabilities,
            memory: vm.memory_limit,
            time: vm.callback_limit,
            log_limit: vm.log_limit,
            failure: Failure::default(),
        }
    }
}

/// What a VM's failure means for connections. The other filters of the chain
/// never notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// It is rebuilt, with backoff; until then connections pass without it.
    #[default]
    Reload,
    /// It stays out; connections pass without it.
    Open,
    /// Its connections are closed and new ones refused until it is rebuilt.
    Closed,
}
