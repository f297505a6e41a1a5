//! Loads and starts the filters of a plan without serving anybody.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{Level, debug};

use crate::error::StartError;
use crate::filters::compiled_vm::CompiledVm;
use crate::filters::log::LogSource;
use crate::filters::modules::Modules;
use crate::filters::vm_group::VmGroup;
use crate::plan::Plan;
use proxy_wasm_engine::{Environment, LogLine, Shared, Vm};

/// What [`rehearse`] saw of one VM.
#[derive(Debug)]
pub struct Rehearsal {
    /// Names of the filters in it, in the order of the chain.
    pub filters: Vec<String>,
    /// Where the module came from; `None`: the balancer, which is built in.
    pub file: Option<String>,
    /// Whether it was loaded and its plugins started.
    pub outcome: Result<(), StartError>,
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.filters.join(", ");
        match (&self.outcome, &self.file) {
            (Err(error), _) => write!(f, "{error}"),
            (Ok(()), Some(file)) => write!(f, "{names} ({file}): loaded and started"),
            (Ok(()), None) => write!(f, "{names} (built in): loaded and started"),
        }
    }
}

/// Loads every module of a plan and starts its plugins, as each worker would,
/// without listening anywhere. What a plugin asks for is not carried out. Compiled
/// modules are kept as by [`HostOptions::module_cache`](crate::HostOptions::module_cache).
pub fn rehearse(plan: &Plan, balancer: &[u8], module_cache: Option<PathBuf>) -> Vec<Rehearsal> {
    let mut modules = Modules::new(module_cache);
    let vm_data = Shared::new();
    let names: Arc<[String]> = (plan.clusters.iter().map(|one| &one.name))
        .chain(plan.pools.iter().map(|one| &one.name))
        .chain(plan.routes.iter().map(|one| &one.name))
        .cloned()
        .collect();
    let rehearsals = VmGroup::all(plan).into_iter().map(|group| {
        let names = Arc::clone(&names);
        let outcome =
            CompiledVm::compile(&group, &mut modules, plan, balancer).and_then(|compiled| {
                let log_source = compiled.log_source();
                let environment = Arc::new(RehearsalWorld { names, log_source });
                Vm::start(&compiled.module, &compiled.config, &vm_data, environment)
                    .map(|vm| debug!(contexts = vm.context_count(), "started"))
                    .map_err(|error| compiled.failed(error))
            });
        Rehearsal {
            filters: group.names(),
            file: group.file(),
            outcome,
        }
    });
    rehearsals.collect()
}

/// What a VM may know of a host that will not serve.
struct RehearsalWorld {
    /// Of clusters, routes and pools.
    names: Arc<[String]>,
    log_source: LogSource,
}

impl Environment for RehearsalWorld {
    fn has_cluster(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    fn log(&self, line: &LogLine<'_>) {
        self.log_source.write(line);
    }

    fn log_enabled(&self, level: Level) -> bool {
        self.log_source.enabled(level)
    }
}
