//! Identity and limits of a VM.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::SecureRandom as _;

use super::abi::Profile;
use super::log_line::LogLine;
use super::observe::Observer;

/// Identity and limits of a VM. `..VmConfig::default()` fills in the rest.
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// VMs of one id share their data and queues.
    pub vm_id: String,
    /// What `on_vm_start` may read.
    pub configuration: Vec<u8>,
    /// Most linear memory, bytes.
    pub memory_limit: usize,
    /// Longest a single callback may run. Exact to about 10 ms.
    pub callback_limit: Duration,
    /// Root contexts, in the order they are started.
    pub plugins: Vec<Plugin>,
    /// Whose behaviour counts where the specification and Envoy disagree.
    pub profile: Profile,
    /// Host functions and callbacks the guest may use, by name; `None`: all.
    pub capabilities: Option<BTreeSet<String>>,
    /// Most log lines a second; what exceeds it is counted and dropped. `None`: no limit.
    pub log_limit: Option<u32>,
    /// Property `node`: `{"id", "cluster", "metadata": {..}, "locality": {..}}`.
    pub node: Arc<serde_json::Value>,
}

impl Default for VmConfig {
    fn default() -> Self {
        VmConfig {
            vm_id: String::new(),
            configuration: Vec::new(),
            memory_limit: 64 << 20,
            callback_limit: Duration::from_millis(500),
            plugins: Vec::new(),
            profile: Profile::Envoy,
            capabilities: None,
            log_limit: None,
            node: Arc::new(serde_json::Value::Null),
        }
    }
}

/// One plugin: a root context and its configuration.
#[derive(Clone, Debug, Default)]
pub struct Plugin {
    /// Names it in logs; property `plugin_name`.
    pub name: String,
    /// Which root context of the guest; property `plugin_root_id`.
    pub root_id: String,
    /// What `on_configure` may read.
    pub configuration: Vec<u8>,
}

/// What a VM needs of the process it runs in: clocks, randomness, the names of
/// clusters. A closure that knows which clusters exist is the smallest one.
pub trait Environment: Send + Sync {
    /// Whether HTTP and gRPC calls may name this cluster.
    fn has_cluster(&self, name: &str) -> bool;

    /// Wall-clock time since 1970.
    fn realtime(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    /// Time that never goes back, since any moment in the past.
    fn monotonic(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }

    /// Unpredictable bytes.
    fn random(&self, bytes: &mut [u8]) {
        // Without a source of randomness the bytes stay zeros.
        let _ = ring::rand::SystemRandom::new().fill(bytes);
    }

    /// Something waits for this VM, put there by another one or itself: its owner is to
    /// call [`Vm::deliver`](super::Vm::deliver) soon. Called from any thread.
    fn wake(&self) {}

    /// Takes a line the guest logs. Default: [`LogLine::trace`].
    fn log(&self, line: &LogLine<'_>) {
        line.trace();
    }

    /// Whether log lines of a level are taken: what guests ask before they write one.
    /// Default: [`LogLine::trace_enabled`].
    fn log_enabled(&self, level: tracing::Level) -> bool {
        LogLine::trace_enabled(level)
    }

    /// An observer of the VM; called once, when it starts.
    fn observer(&self) -> Option<Arc<dyn Observer>> {
        None
    }
}

impl<F: Fn(&str) -> bool + Send + Sync> Environment for F {
    fn has_cluster(&self, name: &str) -> bool {
        self(name)
    }
}
