//! What runs in a VM: a module, its plugins, and where they stand in the chain.

use crate::error::StartError;
use crate::plan::{ADMIN_ROOT, Failure, NetworkFilter, Plan, STREAM_ROOT, VmSettings};
use proxy_wasm_engine::{Engine, Module, Plugin, VmConfig};

/// A module, its plugins, and where they stand in the chain. Each worker has a
/// VM of it.
pub(crate) struct CompiledVm {
    pub(crate) module: Module,
    pub(crate) config: VmConfig,
    pub(crate) failure: Failure,
    /// For each plugin its place in the chain; the balancer's admin has none.
    pub(crate) links: Vec<Option<usize>>,
    /// Its first filter's name and file; `None`: the balancer.
    filter: Option<(String, String)>,
}

impl CompiledVm {
    /// Every VM a worker needs for a plan.
    ///
    /// # Errors
    /// When a module does not compile.
    pub(crate) fn all(plan: &Plan, balancer: &[u8]) -> Result<Vec<CompiledVm>, StartError> {
        let engine = engine()?;
        let mut programs = Vec::new();
        for part in parts(plan) {
            programs.push(part.compile(&engine, plan, balancer)?);
        }
        Ok(programs)
    }

    /// Whether it is the balancer itself.
    pub(crate) fn is_balancer(&self) -> bool {
        self.filter.is_none()
    }

    /// The plugin that answers on the admin listener.
    pub(crate) fn admin(&self) -> Option<usize> {
        self.links.iter().position(Option::is_none)
    }

    /// The name of its (first) filter.
    pub(crate) fn name(&self) -> &str {
        let name = self.filter.as_ref().map(|(name, _)| name.as_str());
        name.unwrap_or(STREAM_ROOT)
    }

    /// Says which filter could not be started.
    pub(crate) fn failed(&self, error: proxy_wasm_engine::StartError) -> StartError {
        failed(self.filter.clone(), Box::new(error))
    }
}

/// Filters that share a VM.
pub(super) enum Part<'a> {
    Filters(Vec<(usize, &'a NetworkFilter)>),
    Balancer(usize, &'a crate::plan::Filter),
}

pub(super) fn parts(plan: &Plan) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (link, filter) in plan.network_filters.iter().enumerate() {
        let together = parts.iter_mut().find_map(|part| match part {
            Part::Filters(filters) if filters.iter().all(|(_, other)| share(other, filter)) => {
                Some(filters)
            }
            _ => None,
        });
        match together {
            Some(filters) => filters.push((link, filter)),
            None => parts.push(Part::Filters(vec![(link, filter)])),
        }
    }
    let balancer = plan.balancer.as_ref();
    parts.extend(balancer.map(|filter| Part::Balancer(plan.network_filters.len(), filter)));
    parts
}

/// Whether two filters live in one VM.
fn share(one: &NetworkFilter, other: &NetworkFilter) -> bool {
    !one.vm.id.is_empty() && one.vm == other.vm && one.code == other.code
}

impl Part<'_> {
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Part::Filters(filters) => filters.iter().map(|(_, one)| one.name.clone()).collect(),
            Part::Balancer(..) => vec![STREAM_ROOT.to_owned()],
        }
    }

    pub(super) fn file(&self) -> Option<String> {
        match self {
            Part::Filters(filters) => filters.first().map(|(_, one)| one.file.clone()),
            Part::Balancer(..) => None,
        }
    }

    pub(super) fn compile(
        &self,
        engine: &Engine,
        plan: &Plan,
        balancer: &[u8],
    ) -> Result<CompiledVm, StartError> {
        let filter = self.names().into_iter().next().zip(self.file());
        let compiled = |code: &[u8]| {
            Module::compile(engine, code).map_err(|error| failed(filter.clone(), Box::new(error)))
        };
        match self {
            Part::Filters(filters) => {
                let first = filters.first().map(|(_, one)| *one);
                Ok(CompiledVm {
                    module: compiled(first.map_or(&[][..], |one| &one.code))?,
                    config: vm_config(
                        first.map_or_else(VmSettings::default, |one| one.vm.clone()),
                        filters.iter().map(|(_, one)| plugin(one)).collect(),
                    ),
                    failure: first.map_or(Failure::Reload, |one| one.vm.failure),
                    links: filters.iter().map(|(link, _)| Some(*link)).collect(),
                    filter,
                })
            }
            Part::Balancer(link, own) => {
                let mut links = vec![Some(*link)];
                let mut plugins = vec![balancer_plugin(STREAM_ROOT, own)];
                if plan.admin.is_some() {
                    links.push(None);
                    plugins.push(balancer_plugin(ADMIN_ROOT, own));
                }
                let settings = VmSettings {
                    id: own.vm_id.clone(),
                    ..VmSettings::default()
                };
                Ok(CompiledVm {
                    module: compiled(balancer)?,
                    config: vm_config(settings, plugins),
                    failure: Failure::Reload,
                    links,
                    filter: None,
                })
            }
        }
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

fn balancer_plugin(root: &str, own: &crate::plan::Filter) -> Plugin {
    Plugin {
        name: root.to_owned(),
        root_id: root.to_owned(),
        configuration: own.configuration.to_string().into_bytes(),
    }
}

pub(super) fn engine() -> Result<Engine, StartError> {
    Engine::new().map_err(|error| StartError::Filter(Box::new(error)))
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
