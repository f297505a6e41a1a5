//! The filters of a worker, in the order in which connections pass them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::StartError;
use crate::filters::compiled_vm::CompiledVm;
use crate::filters::vm_owner::{VmOwner, VmResources};

/// The filters of a worker.
pub(crate) struct Chain {
    owners: Vec<Rc<VmOwner>>,
    pub(super) filters: Vec<ChainFilter>,
}

/// One filter: a plugin of a VM, or one for each of the service's ports.
pub(super) struct ChainFilter {
    pub(super) owner: Rc<VmOwner>,
    /// By port; `None`: whatever the port.
    plugins: Vec<(Option<u16>, usize)>,
}

impl ChainFilter {
    /// Its plugin for connections to a port of the service.
    pub(super) fn plugin(&self, port: u16) -> Option<usize> {
        let mut plugins = self.plugins.iter();
        let found = plugins.find(|(of, _)| of.is_none_or(|of| of == port));
        found.map(|(_, plugin)| *plugin)
    }
}

impl Chain {
    /// Starts every VM. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(
        vms: &[Arc<CompiledVm>],
        resources: &VmResources,
    ) -> Result<Chain, StartError> {
        let mut owners = Vec::new();
        let mut filters = BTreeMap::new();
        for compiled in vms {
            let owner = VmOwner::start(Arc::clone(compiled), resources.clone())
                .map_err(|error| compiled.failed(error))?;
            for (plugin, place) in compiled.places.iter().enumerate() {
                if let Some(place) = place {
                    let filter = filters.entry(place.slot).or_insert_with(|| ChainFilter {
                        owner: Rc::clone(&owner),
                        plugins: Vec::new(),
                    });
                    filter.plugins.push((place.port, plugin));
                }
            }
            owners.push(owner);
        }
        let filters = filters.into_values().collect();
        Ok(Chain { owners, filters })
    }

    /// The VM that answers on the admin listener.
    pub(crate) fn admin(&self) -> Option<&Rc<VmOwner>> {
        self.owners.iter().find(|owner| owner.has_admin())
    }

    /// Whether there are filters that somebody else wrote.
    pub(crate) fn has_others(&self) -> bool {
        self.owners.iter().any(|owner| !owner.is_balancer())
    }

    /// The worker accepts no more, and another one has taken over. The balancer's
    /// roots end, so that from now on only the new one probes and shares what it
    /// finds. Those of other filters stay as long as their connections, as in Envoy:
    /// a connection may wait for the reply to a call.
    pub(crate) fn retire(&self) {
        for owner in self.owners.iter().filter(|owner| owner.is_balancer()) {
            owner.retire();
        }
    }

    /// Ends every VM.
    pub(crate) fn stop(&self) {
        for owner in &self.owners {
            owner.stop();
        }
    }
}
