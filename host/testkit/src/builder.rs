//! What a test sets before the guest starts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use proxy_wasm_engine::{Plugin, Profile, Shared, VmConfig};

use crate::cluster::{Cluster, DEFAULT, accepts};
use crate::configuration::Configuration;
use crate::fault::Fault;
use crate::guest::Guest;
use crate::kit::TestKit;
use crate::kit_error::KitError;
use crate::on_trap::OnTrap;
use crate::simulator::Simulator;
use crate::state::KitState;
use crate::state::worker::Worker;

/// What a test sets before the guest starts; made by [`TestKit::load`].
pub struct Builder {
    guest: Guest,
    config: VmConfig,
    workers: usize,
    seed: u64,
    time: Duration,
    clusters: Vec<(String, Cluster)>,
    faults: Vec<Fault>,
    properties: Vec<(String, Vec<u8>)>,
    on_trap: OnTrap,
    shared: Shared,
    body_while_headers_paused: bool,
}

impl TestKit {
    /// Begins a kit for this guest: see [`guest`](crate::guest()) and [`Guest`].
    pub fn load(guest: impl Into<Guest>) -> Builder {
        Builder::new(guest.into())
    }
}

impl Builder {
    fn new(guest: Guest) -> Builder {
        Builder {
            guest,
            config: VmConfig {
                // A loaded machine may be slow; a guest that loops is found all the same.
                callback_limit: Duration::from_secs(5),
                ..VmConfig::default()
            },
            workers: 1,
            seed: 0,
            time: START,
            clusters: vec![(DEFAULT.to_owned(), accepts())],
            faults: Vec::new(),
            properties: Vec::new(),
            on_trap: OnTrap::default(),
            shared: Shared::new(),
            body_while_headers_paused: false,
        }
    }

    /// Adds a plugin with an empty root id. Without any plugin the guest gets
    /// one, with an empty configuration.
    pub fn plugin(self, configuration: impl Into<Configuration>) -> Builder {
        self.plugin_of("", configuration)
    }

    /// Adds a plugin with this root id. Several live in one VM; streams go to
    /// the first, unless they say which.
    pub fn plugin_of(
        mut self,
        root_id: impl Into<String>,
        configuration: impl Into<Configuration>,
    ) -> Builder {
        let root_id = root_id.into();
        self.config.plugins.push(Plugin {
            name: if root_id.is_empty() {
                "plugin".to_owned()
            } else {
                root_id.clone()
            },
            root_id,
            configuration: configuration.into().0,
        });
        self
    }

    /// What `proxy_on_vm_start` may read.
    pub fn vm_configuration(mut self, configuration: impl Into<Configuration>) -> Builder {
        self.config.configuration = configuration.into().0;
        self
    }

    /// Names the VM; kits that share a store share data by it.
    pub fn vm_id(mut self, vm_id: impl Into<String>) -> Builder {
        self.config.vm_id = vm_id.into();
        self
    }

    /// Adds a cluster. The cluster `default`, where streams go by
    /// default, is there already and accepts everything.
    pub fn cluster(mut self, name: impl Into<String>, behaviour: Cluster) -> Builder {
        self.clusters.push((name.into(), behaviour));
        self
    }

    /// The number of workers, each with its own VM, over one shared store; one by default.
    ///
    /// # Panics
    /// When it is 0.
    pub fn workers(mut self, workers: usize) -> Builder {
        assert!(workers > 0, "workers: at least one is needed");
        self.workers = workers;
        self
    }

    /// Uses another kit's shared data, queues and metrics
    /// ([`TestKit::shared`]), as a VM after a reload does.
    pub fn shared(mut self, shared: Shared) -> Builder {
        self.shared = shared;
        self
    }

    /// Another seed of the guest's randomness; 0 by default.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// The wall-clock time at the start, since 1970; the beginning of 2026 by default.
    pub fn time(mut self, since_1970: Duration) -> Builder {
        self.time = since_1970;
        self
    }

    /// A property that every context can read, by its path with dots. Numbers
    /// are 8 bytes, little-endian.
    pub fn property(mut self, path: impl Into<String>, value: impl AsRef<[u8]>) -> Builder {
        self.properties.push((path.into(), value.as_ref().to_vec()));
        self
    }

    /// Property `node`: `json!({"id": .., "cluster": .., "metadata": {..}})`.
    pub fn node(mut self, node: Value) -> Builder {
        self.config.node = Arc::new(node);
        self
    }

    /// Injects a fault from the start on.
    pub fn fault(mut self, fault: Fault) -> Builder {
        self.faults.push(fault);
        self
    }

    /// What a trap that no fault brought about means; [`OnTrap::Panic`] by default.
    pub fn on_trap(mut self, on_trap: OnTrap) -> Builder {
        self.on_trap = on_trap;
        self
    }

    /// Whether a guest that pauses in `on_http_request_headers` or
    /// `on_http_response_headers` is shown the body all the same, and lets the
    /// headers go with it. Envoy's option of this name; off by default: a paused
    /// guest sees nothing more before it resumes.
    pub fn allow_on_headers_stop_iteration(mut self, allow: bool) -> Builder {
        self.body_while_headers_paused = allow;
        self
    }

    /// Most linear memory of a VM, bytes; 64 MiB by default.
    pub fn memory_limit(mut self, bytes: usize) -> Builder {
        self.config.memory_limit = bytes;
        self
    }

    /// Longest a callback may run, of real time; 5 s by default.
    pub fn callback_limit(mut self, limit: Duration) -> Builder {
        self.config.callback_limit = limit;
        self
    }

    /// Whose behaviour counts where the specification and Envoy disagree;
    /// Envoy's by default.
    pub fn profile(mut self, profile: Profile) -> Builder {
        self.config.profile = profile;
        self
    }

    /// The only host functions and callbacks the guest may use, by name; all by
    /// default.
    pub fn capabilities<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Builder {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        self.config.capabilities = Some(names);
        self
    }

    /// Compiles the guest (once per process) and starts its plugins on each worker.
    ///
    /// # Errors
    /// When the guest cannot be used, traps, or refuses its configuration; the
    /// error shows the transcript.
    pub fn start(mut self) -> Result<TestKit, KitError> {
        if self.config.plugins.is_empty() {
            self = self.plugin("");
        }
        let kit_state = Arc::new(KitState::new(self.seed, self.time));
        let module =
            (self.guest.compile()).map_err(|error| KitError::new(error.into(), &kit_state))?;
        for (path, value) in self.properties {
            kit_state.set_property(None, path, value);
        }
        let mut simulator = Simulator::new(kit_state.clone(), self.shared, self.on_trap);
        simulator.body_while_headers_paused = self.body_while_headers_paused;
        for (name, cluster) in self.clusters {
            simulator.set_cluster(&name, cluster);
        }
        for fault in self.faults {
            simulator.add_fault(fault);
        }
        for index in 0..self.workers {
            let worker = Worker::new(index, module.clone(), self.config.clone(), &kit_state);
            simulator.workers.push(worker);
        }
        for index in 0..self.workers {
            (simulator.start_vm(index)).map_err(|error| KitError::new(error, &kit_state))?;
        }
        simulator.settle();
        Ok(TestKit::new(Rc::new(RefCell::new(simulator))))
    }
}

/// 2026-01-01T00:00:00Z
const START: Duration = Duration::from_secs(1_767_225_600);
