//! What runs in a VM: a module, its plugins, and their places in the chain.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::StartError;
use crate::filters::log::LogSource;
use crate::filters::modules::Modules;
use crate::filters::vm_group::VmGroup;
use crate::plan::{
    ADMIN_ROOT, Balancer, Failure, NetworkFilter, Plan, VM_ID, VmSettings, listener_root,
};
use proxy_wasm_engine::{Module, Plugin, VmConfig};

/// Where a plugin is in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainPlace {
    pub(super) slot: usize,
    /// The service's port whose connections it is for; `None`: all of them.
    pub(super) port: Option<u16>,
}

/// A module, its plugins, and their places in the chain. Each worker has a VM of it.
pub(crate) struct CompiledVm {
    pub(super) module: Module,
    pub(super) config: VmConfig,
    pub(super) failure: Failure,
    /// For each plugin where it is in the chain; the balancer's admin is nowhere.
    pub(super) places: Vec<Option<ChainPlace>>,
    /// Its first filter's name and file; `None`: the balancer.
    filter: Option<(String, String)>,
}

impl CompiledVm {
    /// Every VM a worker needs for a plan.
    ///
    /// # Errors
    /// When a module does not compile.
    pub(crate) fn all(
        modules: &mut Modules,
        plan: &Plan,
        balancer: &[u8],
    ) -> Result<Vec<Arc<CompiledVm>>, StartError> {
        let groups = VmGroup::all(plan);
        groups
            .iter()
            .map(|group| CompiledVm::compile(group, modules, plan, balancer).map(Arc::new))
            .collect()
    }

    /// The VM of one group.
    ///
    /// # Errors
    /// When its module does not compile.
    pub(super) fn compile(
        group: &VmGroup<'_>,
        modules: &mut Modules,
        plan: &Plan,
        balancer: &[u8],
    ) -> Result<CompiledVm, StartError> {
        let filter = group.names().into_iter().next().zip(group.file());
        let mut module = |code: &[u8]| {
            let module = modules.get(code);
            module.map_err(|error| failed(filter.clone(), Box::new(error)))
        };
        match group {
            VmGroup::Filters(filters) => {
                let first = filters.first().map(|(_, one)| *one);
                Ok(CompiledVm {
                    module: module(first.map_or(&[][..], |one| &one.code))?,
                    config: vm_config(
                        first.map_or_else(VmSettings::default, |one| one.vm.clone()),
                        filters.iter().map(|(_, one)| plugin(one)).collect(),
                    ),
                    failure: first.map_or(Failure::Reload, |one| one.vm.failure),
                    places: filters
                        .iter()
                        .map(|(slot, _)| {
                            Some(ChainPlace {
                                slot: *slot,
                                port: None,
                            })
                        })
                        .collect(),
                    filter,
                })
            }
            VmGroup::Balancer(slot, own) => {
                let ports: BTreeSet<u16> = plan.listeners.iter().map(|one| one.port).collect();
                let mut places = Vec::new();
                let mut plugins = Vec::new();
                for port in ports {
                    places.push(Some(ChainPlace {
                        slot: *slot,
                        port: Some(port),
                    }));
                    plugins.push(balancer_plugin(listener_root(port), own));
                }
                if plan.admin.is_some() {
                    places.push(None);
                    plugins.push(balancer_plugin(ADMIN_ROOT.to_owned(), own));
                }
                let settings = VmSettings {
                    id: own.vm_id.clone(),
                    ..VmSettings::default()
                };
                Ok(CompiledVm {
                    module: module(balancer)?,
                    config: vm_config(settings, plugins),
                    failure: Failure::Reload,
                    places,
                    filter: None,
                })
            }
        }
    }

    /// Whether it is the balancer itself.
    pub(crate) fn is_balancer(&self) -> bool {
        self.filter.is_none()
    }

    /// Whose log lines its VMs write.
    pub(super) fn log_source(&self) -> LogSource {
        match self.is_balancer() {
            true => LogSource::Balancer,
            false => LogSource::Filters,
        }
    }

    /// Whether it has callbacks for what passes.
    pub(crate) fn sees_data(&self) -> bool {
        self.module.sees_data()
    }

    /// The plugin that answers on the admin listener.
    pub(crate) fn admin(&self) -> Option<usize> {
        self.places.iter().position(Option::is_none)
    }

    /// The name of its (first) filter.
    pub(crate) fn name(&self) -> &str {
        let name = self.filter.as_ref().map(|(name, _)| name.as_str());
        name.unwrap_or(VM_ID)
    }

    /// Says which filter could not be started.
    pub(crate) fn failed(&self, error: proxy_wasm_engine::StartError) -> StartError {
        failed(self.filter.clone(), Box::new(error))
    }
}

fn vm_config(vm: VmSettings, plugins: Vec<Plugin>) -> VmConfig {
    VmConfig {
        vm_id: vm.id,
        configuration: vm.configuration,
        memory_limit: vm.memory,
        callback_limit: vm.time,
        plugins,
        profile: vm.profile,
        capabilities: vm.capabilities,
        log_limit: vm.log_limit,
        ..VmConfig::default()
    }
}

fn plugin(filter: &NetworkFilter) -> Plugin {
    Plugin {
        name: filter.name.clone(),
        root_id: filter.root_id.clone(),
        configuration: filter.configuration.clone(),
    }
}

fn balancer_plugin(root_id: String, own: &Balancer) -> Plugin {
    Plugin {
        name: root_id.clone(),
        root_id,
        configuration: own.configuration.to_string().into_bytes(),
    }
}

fn failed(
    filter: Option<(String, String)>,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> StartError {
    match filter {
        Some((name, file)) => StartError::NetworkFilter { name, file, source },
        None => StartError::Filter(source),
    }
}
