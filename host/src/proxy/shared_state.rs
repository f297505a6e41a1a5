//! What the workers of a host share.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use crate::control::admission::Admission;
use crate::control::all_sessions::AllSessions;
use crate::control::lifecycle::Phase;
use crate::error::StartError;
use crate::filters::compiled_vm::CompiledVm;
use crate::metrics::{Counters, Reloads, WorkerCounters};
use crate::net::forward::DataCallbacks;
use crate::net::pipe::PipeBudget;
use crate::plan::{Admin, AdminTls};
use crate::proxy::admin::desk::AdminDesk;
use crate::proxy::options::HostOptions;
use crate::proxy::order_file::OrderFile;
use crate::upstream::cluster::Clusters;
use proxy_wasm_engine::Shared;

/// What all workers of a generation share.
pub(crate) struct SharedState {
    pub(crate) options: HostOptions,
    pub(crate) clusters: Arc<Clusters>,
    /// The names of the plan's replicas.
    pub(crate) replicas: HashSet<String>,
    /// The names of its services; `None`: it has one registry, or none.
    pub(crate) services: Option<Vec<String>>,
    /// Those services that are asked for their own word on their replicas.
    pub(crate) with_cluster_status: Vec<Option<String>>,
    /// One for each VM a worker has.
    pub(crate) vms: Vec<Arc<CompiledVm>>,
    /// Which chunks the filters are shown.
    pub(crate) data_callbacks: DataCallbacks,
    /// What the VMs of all workers share.
    pub(crate) vm_data: Shared,
    /// Counts the connections of all workers, those of earlier plans included.
    pub(crate) admission: Arc<Admission>,
    pub(crate) pipes: Arc<PipeBudget>,
    /// The admin listener; `None`: there is none.
    pub(crate) admin: Option<AdminState>,
    /// Keeps orders for the next start; `None`: they end with the process.
    pub(super) order_file: Option<Arc<OrderFile>>,
    /// How many clients the admin listener may have.
    pub(crate) admin_connections: usize,
    pub(crate) phases: watch::Receiver<Phase>,
    /// The number of its first worker.
    pub(crate) first_worker: usize,
    /// One for each of its workers.
    pub(crate) counters: Vec<Arc<Counters>>,
    /// Those of other generations among them.
    pub(crate) all_counters: Arc<WorkerCounters>,
    /// Those of other generations among them.
    pub(crate) all_sessions: Arc<AllSessions>,
    pub(crate) reloads: Arc<Reloads>,
    /// Where its workers take requests of the admin listener.
    pub(crate) admin_desk: AdminDesk,
}

/// The generation that runs; `None`: none yet.
pub(crate) type Current = watch::Receiver<Option<Arc<SharedState>>>;

/// The admin listener, as it is configured.
pub(crate) struct AdminState {
    /// Who may see and change what there.
    pub(crate) access: dtr_lb_filter::config::Admin,
    /// What clients are shown; `None`: they speak in the clear.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl AdminState {
    /// # Errors
    /// The TLS library refuses the certificate.
    pub(super) fn of(admin: &Admin) -> Result<AdminState, StartError> {
        let tls = admin.tls.as_ref().map(AdminTls::server_config);
        Ok(AdminState {
            access: admin.access.clone(),
            tls: tls.transpose().map_err(StartError::Tls)?.map(Arc::new),
        })
    }
}

impl SharedState {
    /// What a worker counts; by its number.
    pub(crate) fn counters_of(&self, worker: usize) -> &Arc<Counters> {
        &self.counters[worker - self.first_worker]
    }
}
