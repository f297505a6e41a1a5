//! What the sessions of a worker and of a listener share.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::control::admission::{Admission, Gate};
use crate::control::sessions::Sessions;
use crate::error::StartError;
use crate::filters::chain::Chain;
use crate::filters::vm_owner::VmResources;
use crate::metrics::{Counters, ListenerIndex};
use crate::net::forward::Timeouts;
use crate::net::pipe::Buffers;
use crate::plan::{Plan, TrustedProxies};
use crate::proxy::requested_service::ServiceSelector;
use crate::proxy::shared_state::SharedState;
use crate::upstream::cluster::{Clusters, RoundRobin, Target};

/// What the sessions of one worker share.
pub(crate) struct WorkerContext {
    pub(crate) shared: Arc<SharedState>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) chain: Chain,
    pub(crate) sessions: Rc<Sessions>,
    /// To the places of the whole process.
    pub(crate) gate: Gate,
    pub(crate) buffers: Buffers,
    pub(crate) round_robin: RoundRobin,
    next_connection: Cell<u64>,
}

impl WorkerContext {
    /// Starts the worker's filters. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(
        shared: Arc<SharedState>,
        index: usize,
    ) -> Result<Rc<WorkerContext>, StartError> {
        let options = &shared.options;
        let counters = Arc::clone(shared.counters_of(index));
        let sessions = Rc::new(Sessions::default());
        let resources = VmResources {
            clusters: Arc::clone(&shared.clusters),
            vm_data: shared.vm_data.clone(),
            counters: Arc::clone(&counters),
            sessions: Rc::clone(&sessions),
            reload_backoff: options.reload_backoff,
            #[cfg(test)]
            fault: options.fault.clone(),
        };
        Ok(Rc::new(WorkerContext {
            chain: Chain::start(&shared.vms, &resources)?,
            round_robin: shared.clusters.turns(),
            buffers: Buffers::new(Arc::clone(&shared.pipes)),
            gate: Gate::new(Arc::clone(&shared.admission)),
            next_connection: Cell::new(index as u64 + 1),
            counters,
            sessions,
            shared,
        }))
    }

    /// A number no other connection of the process has.
    pub(crate) fn next_connection(&self) -> u64 {
        let next = self.next_connection.get();
        self.next_connection.replace(next + MOST_WORKERS)
    }
}

/// A listener as its sessions know it.
#[derive(Clone)]
pub(crate) struct ListenerContext {
    pub(crate) address: SocketAddr,
    /// The same, as each line of the access log has it.
    pub(crate) shown_address: Box<str>,
    /// Where connections go when no filter chooses.
    pub(crate) fallback: Target,
    /// Which of several services connections are for; `None`: there is one registry.
    pub(crate) services: Option<Arc<ServiceSelector>>,
    /// Where connections go when no filter chooses, by service.
    pub(crate) service_fallbacks: Vec<Target>,
    /// The service's port.
    pub(crate) port: u16,
    pub(crate) index: ListenerIndex,
    pub(crate) resend_first_flight: bool,
    pub(crate) timeouts: Timeouts,
    /// Who says who its clients are; `None`: nobody, and nothing is looked at.
    pub(crate) trusted_proxies: Option<Arc<TrustedProxies>>,
    pub(crate) proxy_header: ProxyHeader,
    /// Its own limit of connections, where it has one.
    pub(crate) admission: Option<Arc<Admission>>,
}

/// Whether replicas are sent a PROXY header: who the client is, and where it connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    Sent,
    None,
}

impl ListenerContext {
    /// The listeners of a plan; their addresses are those the plan gives.
    ///
    /// # Errors
    /// When a fallback is not defined.
    pub(crate) fn all(
        plan: &Plan,
        clusters: &Clusters,
    ) -> Result<Vec<ListenerContext>, StartError> {
        let services = plan
            .services
            .clone()
            .map(ServiceSelector::new)
            .map(Arc::new);
        let target = |name: &String| {
            let target = clusters.target(name);
            target.ok_or_else(|| StartError::NoSuchName(name.clone()))
        };
        let trusted_proxies = plan.trusted_proxies.clone().map(Arc::new);
        let contexts = plan.listeners.iter().map(|listener| {
            let fallbacks = listener.service_fallbacks.iter().map(target);
            Ok(ListenerContext {
                address: listener.bind,
                shown_address: listener.bind.to_string().into(),
                fallback: target(&listener.fallback)?,
                services: services.clone(),
                service_fallbacks: fallbacks.collect::<Result<_, _>>()?,
                port: listener.port,
                index: clusters.traffic_names.listener(listener.port),
                resend_first_flight: listener.resend_first_flight,
                timeouts: Timeouts {
                    idle: listener.idle_timeout,
                    half_close: Some(listener.half_close_timeout),
                    ..Timeouts::DEFAULT
                },
                trusted_proxies: trusted_proxies.clone(),
                proxy_header: match listener.proxy_protocol {
                    Some(_) => ProxyHeader::Sent,
                    None => ProxyHeader::None,
                },
                admission: None,
            })
        });
        contexts.collect()
    }

    /// The same listener at the address it was given in the end.
    pub(crate) fn at(self, address: SocketAddr) -> ListenerContext {
        ListenerContext {
            address,
            shown_address: address.to_string().into(),
            ..self
        }
    }
}

/// More workers than a process ever has, reloads included.
const MOST_WORKERS: u64 = 1 << 20;
