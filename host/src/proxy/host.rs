//! The host as its owner holds it.

mod drain;
pub(crate) mod takeover;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::caught_panic::CaughtPanic;
use crate::control::admission::{Admission, Limit};
use crate::control::all_sessions::AllSessions;
use crate::control::lifecycle::Phase;
use crate::error::StartError;
use crate::filters::compiled_vm::CompiledVm;
use crate::filters::modules::Modules;
use crate::metrics::{Reloads, WorkerCounters};
use crate::net::fd_limit::FileBudget;
use crate::net::forward::DataCallbacks;
use crate::net::pipe::PipeBudget;
use crate::plan::Plan;
use crate::proxy::admin::desk::AdminDesk;
use crate::proxy::bound_listener::{BoundListener, LeftListener};
use crate::proxy::cluster_watch::ClusterWatch;
use crate::proxy::connection_limit;
use crate::proxy::context::ListenerContext;
use crate::proxy::generation::{Generation, GenerationArgs};
use crate::proxy::main_thread::{MainThread, Resolving};
use crate::proxy::options::HostOptions;
use crate::proxy::order_file::{LastWrite, OrderFile};
use crate::proxy::passed_sockets::PassedSockets;
use crate::proxy::predecessor::Predecessor;
use crate::proxy::shared_entries::Form;
use crate::proxy::shared_state::{AdminState, SharedState};
use crate::upstream::cluster::Clusters;
use crate::upstream::resolver::{DnsName, Resolver};
use proxy_wasm_engine::Shared;

/// A running host. Dropping it cuts every connection; [`Host::drain`] does not.
pub struct Host {
    options: HostOptions,
    file_budget: FileBudget,
    /// Counts the connections of all generations.
    admission: Arc<Admission>,
    pipes: Arc<PipeBudget>,
    vm_data: Shared,
    /// Of the file that keeps their orders.
    orders_written: LastWrite,
    modules: Modules,
    main_thread: MainThread,
    counters: Arc<WorkerCounters>,
    sessions: Arc<AllSessions>,
    reloads: Arc<Reloads>,
    /// How many workers there have been.
    workers: usize,
    /// What DNS has said of the plan's names.
    names: Vec<Arc<DnsName>>,
    /// The plan's; `None`: there has been none.
    clusters: Option<Arc<Clusters>>,
    listeners: Vec<BoundListener>,
    /// What plans gave up, while it is still there.
    left: Vec<LeftListener>,
    /// What listens for the admin listener already, until there is one.
    passed_admin: Option<BoundListener>,
    admin: Option<BoundListener>,
    /// Serves until this host does.
    predecessor: Option<Predecessor>,
    /// Until it has no sessions left.
    remaining: Option<JoinHandle<()>>,
    current: Generation,
    /// Those whose sessions are not over yet.
    retired: Vec<Generation>,
}

impl Host {
    /// Binds every listener, starts a filter on every worker, and accepts.
    /// Workers log to the caller's subscriber.
    ///
    /// # Errors
    /// When an address can't be bound, the plan names what isn't there, or the
    /// filter doesn't load or refuses its configuration. A DNS name that does
    /// not resolve is no error: it is logged and looked up again.
    pub async fn start(plan: Plan, wasm: &[u8], options: HostOptions) -> Result<Host, StartError> {
        Host::start_on(PassedSockets::default(), plan, wasm, options).await
    }

    /// As [`Host::start`], on sockets that listen already, where the plan's addresses are
    /// theirs.
    ///
    /// # Errors
    /// As in [`Host::start`], or a socket is on none of the plan's addresses.
    pub async fn start_on(
        sockets: PassedSockets,
        plan: Plan,
        wasm: &[u8],
        options: HostOptions,
    ) -> Result<Host, StartError> {
        let mut host = Host::new(options)?;
        (host.listeners, host.passed_admin) = sockets.of_plan(&plan)?;
        if let Some(order_file) = OrderFile::of(&plan, &host.vm_data, &host.orders_written) {
            order_file.load();
        }
        host.run(plan, wasm).await?;
        Ok(host)
    }

    /// A host that does nothing yet.
    fn new(options: HostOptions) -> Result<Host, StartError> {
        CaughtPanic::note_places();
        let failed = |source| StartError::Worker { worker: 0, source };
        let file_budget = FileBudget::raise();
        let modules = Modules::new(options.module_cache.clone());
        Ok(Host {
            options,
            file_budget,
            admission: Arc::default(),
            pipes: PipeBudget::new(file_budget.pipes()),
            vm_data: Shared::new(),
            orders_written: LastWrite::default(),
            modules,
            main_thread: MainThread::spawn().map_err(failed)?,
            counters: Arc::default(),
            sessions: Arc::default(),
            reloads: Arc::new(Reloads::new()),
            workers: 0,
            names: Vec::new(),
            clusters: None,
            listeners: Vec::new(),
            left: Vec::new(),
            passed_admin: None,
            admin: None,
            predecessor: None,
            remaining: None,
            current: Generation::default(),
            retired: Vec::new(),
        })
    }

    /// Goes on with another plan, another filter, or both. New workers accept from
    /// the same sockets, so that no client is turned away; the old ones stay until
    /// their last connection is over. What VMs share, orders and verdicts among
    /// it, stays as it is.
    ///
    /// # Errors
    /// As in [`Host::start`]; the host then goes on as before.
    pub async fn reload(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        let outcome = self.rediscover(plan, wasm).await;
        self.reloads.count(&outcome);
        outcome
    }

    /// As [`Host::reload`], with the plan of the same configuration, whose names stand for
    /// other replicas now: what came of the file that was read last is shown as before.
    ///
    /// # Errors
    /// As in [`Host::reload`].
    pub async fn rediscover(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        self.retired.retain(Generation::is_alive);
        self.run(plan, wasm).await
    }

    /// Shows in the metrics that a reload failed before there was a plan: the
    /// configuration could not be read, or is wrong.
    pub fn note_failed_reload(&self) {
        self.reloads.count(&Err::<(), _>(()));
    }

    /// Shows in the metrics that the configuration to be read again is the one in use.
    pub fn note_unchanged_configuration(&self) {
        self.reloads.unchanged();
    }

    /// Where connections are accepted, in the order of the plan's listeners.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(BoundListener::address).collect()
    }

    /// Where the admin listener is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(BoundListener::address)
    }

    /// Starts workers for a plan and has them accept instead of the current ones.
    async fn run(&mut self, mut plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        let count = self.options.workers.get();
        let limit = self.connection_limit(&plan)?;
        plan.show_limit(limit.connections);
        let lookup = Arc::clone(&self.options.lookup);
        let mut resolver = Resolver::new(lookup).after(&self.names);
        let clusters = Arc::new(Clusters::of(&plan, &mut resolver)?);
        let contexts = ListenerContext::all(&plan, &clusters)?;
        let binds: Vec<_> = contexts.iter().map(|context| context.address).collect();
        let mut listeners = Vec::new();
        for context in contexts {
            let bound =
                BoundListener::open(&self.listeners, &self.left, context.address, &binds, count)?;
            let context = context.at(bound.address());
            listeners.push((bound, context));
        }
        let own_limits = plan.listeners.iter().map(connection_limit::of_listener);
        let own_limits: Vec<_> = own_limits.collect();
        for ((bound, context), limit) in listeners.iter_mut().zip(&own_limits) {
            let admission = || Arc::clone(bound.admission());
            context.admission = limit.as_ref().map(|_| admission());
        }
        let admin = match &plan.admin {
            Some(admin) => {
                let known = self.admin.as_slice();
                let known = match self.passed_admin.as_slice() {
                    [] => known,
                    passed => passed,
                };
                let binds = [admin.bind];
                Some(BoundListener::open(known, &[], admin.bind, &binds, 1)?)
            }
            None => None,
        };
        // The one there is goes on.
        let new_admin = match (&admin, &self.admin) {
            (Some(next), Some(last)) if Arc::ptr_eq(next.succession(), last.succession()) => None,
            (Some(next), _) => Some(next.copies()?),
            (None, Some(_)) => Some(Vec::new()),
            (None, None) => None,
        };
        let traffic = listeners.iter().map(|(bound, _)| bound.address());
        let own = traffic.chain(admin.as_ref().map(BoundListener::address));
        clusters.refuse_loops(own.collect())?;
        resolver.resolve(self.options.resolve_limit).await;

        let order_file = OrderFile::of(&plan, &self.vm_data, &self.orders_written);
        let order_file = order_file.map(Arc::new);
        let vms = CompiledVm::all(&mut self.modules, &plan, wasm)?;
        let (phases, watching) = watch::channel(Phase::Starting);
        let shared = Arc::new(SharedState {
            clusters: Arc::clone(&clusters),
            replicas: plan.clusters.iter().map(|it| it.replica.clone()).collect(),
            services: plan.services.as_ref().map(|it| it.names.clone()),
            with_cluster_status: (plan.cluster_statuses.iter())
                .map(|asked| asked.service.clone())
                .collect(),
            data_callbacks: match vms.iter().any(|vm| vm.sees_data()) {
                true => DataCallbacks::All,
                false => DataCallbacks::None,
            },
            vms,
            vm_data: self.vm_data.clone(),
            admission: Arc::clone(&self.admission),
            pipes: Arc::clone(&self.pipes),
            admin: plan.admin.as_ref().map(AdminState::of).transpose()?,
            order_file: order_file.clone(),
            admin_connections: self.file_budget.admin_connections(),
            phases: watching,
            first_worker: self.workers,
            counters: self.counters.add(count, &clusters.traffic_names),
            all_counters: Arc::clone(&self.counters),
            all_sessions: Arc::clone(&self.sessions),
            reloads: Arc::clone(&self.reloads),
            admin_desk: AdminDesk::default(),
            options: self.options.clone(),
        });
        self.workers += count;
        let next = Generation::start(GenerationArgs {
            shared: Arc::clone(&shared),
            phases,
            listeners: &listeners,
        })
        .await?;
        let listeners: Vec<_> = listeners.into_iter().map(|(bound, _)| bound).collect();
        // Not before: a client whom the kernel has accepted must find a worker.
        for bound in listeners.iter().chain(&admin) {
            bound.listen()?;
        }
        if let Some(predecessor) = &mut self.predecessor {
            let kept = listeners.iter().chain(&admin);
            let form = predecessor.ready(kept, &self.vm_data).await?;
            // Not before: what fails leaves the file, and the other process writes it until then.
            if let (Form::Foreign(_), Some(order_file)) = (form, &order_file) {
                order_file.load();
            }
        }
        // Nothing can fail any more.
        self.modules.forget_unused();
        if let Some(shortfall) = connection_limit::shortfall(&plan, &limit, &self.file_budget) {
            tracing::warn!("{shortfall}");
        }
        self.admission.set_limit(limit);
        for (bound, limit) in listeners.iter().zip(own_limits) {
            if let Some(limit) = limit {
                bound.admission().set_limit(limit);
            }
        }
        if let Some(earlier) = self.clusters.replace(Arc::clone(&clusters)) {
            clusters.take_over(&earlier);
        }
        next.enter(Phase::Running);
        self.main_thread.set_current(shared);
        self.main_thread.keep_orders(order_file);
        if let Some(sockets) = new_admin {
            self.main_thread.serve_admin(sockets);
        }
        let vm_data = self.vm_data.clone();
        let watches = plan.cluster_statuses.into_iter().map(|plan| ClusterWatch {
            plan: Arc::new(plan),
            clusters: Arc::clone(&clusters),
            vm_data: vm_data.clone(),
        });
        self.main_thread
            .watch_clusters(watches.collect(), vm_data.clone());
        self.names = resolver.names().to_vec();
        self.main_thread.resolve(Resolving {
            resolver,
            refresh: plan.dns_refresh,
            backoff: self.options.reload_backoff,
            #[cfg(test)]
            fault: self.options.fault.clone(),
        });
        self.left.retain(LeftListener::is_there);
        let ends = self.listeners.iter();
        self.left
            .extend(ends.filter_map(|bound| bound.end_unless_in(&listeners)));
        let last = std::mem::replace(&mut self.current, next);
        last.enter(Phase::Retiring);
        if !last.is_empty() {
            self.retired.push(last);
        }
        (self.listeners, self.admin) = (listeners, admin);
        self.passed_admin = None;
        Ok(())
    }

    /// How many connections a plan allows.
    ///
    /// # Errors
    /// When there are no files for another set of workers.
    fn connection_limit(&mut self, plan: &Plan) -> Result<Limit, StartError> {
        // It may have been raised since.
        self.file_budget = FileBudget::raise();
        let last = usize::from(self.admission.open() > 0);
        let needs = connection_limit::file_needs(plan, &self.options, self.retired.len() + last);
        if !self.current.is_empty() {
            self.file_budget.check_room(&needs)?;
        }
        let budget = &self.file_budget;
        Ok(connection_limit::whole(plan, &self.options, budget, &needs))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        enter(&self.retired, Phase::Over);
        self.current.enter(Phase::Over);
    }
}

fn enter(generations: &[Generation], phase: Phase) {
    for generation in generations {
        generation.enter(phase);
    }
}
