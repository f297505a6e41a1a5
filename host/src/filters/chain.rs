//! The filters of a worker, in the order in which connections pass them.

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

/// One filter: a plugin of a VM.
pub(super) struct ChainFilter {
    pub(super) owner: Rc<VmOwner>,
    pub(super) plugin: usize,
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
        let mut filters = Vec::new();
        for compiled in vms {
            let owner = VmOwner::start(Arc::clone(compiled), resources.clone())
                .map_err(|error| compiled.failed(error))?;
            for (plugin, slot) in compiled.slots.iter().enumerate() {
                if let Some(slot) = *slot {
                    let owner = Rc::clone(&owner);
                    filters.push((slot, ChainFilter { owner, plugin }));
                }
            }
            owners.push(owner);
        }
        filters.sort_by_key(|(slot, _)| *slot);
        let filters = filters.into_iter().map(|(_, filter)| filter).collect();
        Ok(Chain { owners, filters })
    }

    /// The VM that answers on the admin listener.
    pub(crate) fn admin(&self) -> Option<&Rc<VmOwner>> {
        self.owners.iter().find(|owner| owner.has_admin())
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
