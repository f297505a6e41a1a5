//! The filters of a worker in the order connections meet them, and how one
//! connection passes them.

use std::rc::Rc;
use std::sync::Arc;

use crate::control::sessions::Sessions;
use crate::error::StartError;
use crate::filters::vm_owner::VmOwner;
use crate::metrics::Counters;
use crate::proxy::shared_state::SharedState;

/// The filters of a worker.
pub(crate) struct Chain {
    guests: Vec<Rc<VmOwner>>,
    pub(super) links: Vec<ChainFilter>,
}

/// One filter: a plugin of a VM.
pub(super) struct ChainFilter {
    pub(super) guest: Rc<VmOwner>,
    pub(super) plugin: usize,
}

impl Chain {
    /// Starts every VM. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(
        site: &Arc<SharedState>,
        counters: &Arc<Counters>,
        sessions: &Rc<Sessions>,
    ) -> Result<Chain, StartError> {
        let mut guests = Vec::new();
        let mut links = Vec::new();
        for (at, program) in site.programs.iter().enumerate() {
            let guest = VmOwner::start(at, Arc::clone(site), Arc::clone(counters), sessions)
                .map_err(|error| program.failed(error))?;
            for (plugin, link) in program.links.iter().enumerate() {
                if let Some(link) = *link {
                    let guest = Rc::clone(&guest);
                    links.push((link, ChainFilter { guest, plugin }));
                }
            }
            guests.push(guest);
        }
        links.sort_by_key(|(link, _)| *link);
        let links = links.into_iter().map(|(_, link)| link).collect();
        Ok(Chain { guests, links })
    }

    /// The VM that answers on the admin listener.
    pub(crate) fn admin(&self) -> Option<&Rc<VmOwner>> {
        self.guests.iter().find(|guest| guest.has_admin())
    }

    /// The worker accepts no more, and another one has taken over. The balancer's
    /// roots say good-bye, so that its part is done by the new one alone; those of
    /// other filters stay as long as their connections, as in Envoy, or who waits
    /// for an answer would wait for ever.
    pub(crate) fn retire(&self) {
        for guest in self.guests.iter().filter(|guest| guest.is_balancer()) {
            guest.retire();
        }
    }

    /// Ends every VM.
    pub(crate) fn stop(&self) {
        for guest in &self.guests {
            guest.stop();
        }
    }
}
