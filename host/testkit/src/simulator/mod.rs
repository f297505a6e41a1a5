//! The simulator: workers, clusters, streams, and the order of events.

mod effects;
pub(crate) mod event_queue;
mod vm_failure;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Shared, StartError, Trap, Vm};

use crate::calls::call::Call;
use crate::cluster::clusters::Clusters;
use crate::cluster::{Cluster, Request};
use crate::fault::{Fault, Faults};
use crate::http::stream::Stream;
use crate::on_trap::OnTrap;
use crate::simulator::event_queue::{CallKey, Event, EventQueue};
use crate::state::KitState;
use crate::state::worker::Worker;
use crate::tcp::connection::Connection;

/// Runs the guests and everything around them in simulated time.
pub(crate) struct Simulator {
    pub(crate) kit_state: Arc<KitState>,
    pub(crate) shared: Shared,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clusters: Clusters,
    pub(crate) event_queue: EventQueue,
    pub(crate) calls: BTreeMap<CallKey, Call>,
    /// Every request a cluster got, in order.
    pub(crate) requests: Vec<Request>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) streams: Vec<Stream>,
    call_faults: Faults,
    /// Envoy's `allow_on_headers_stop_iteration`.
    pub(crate) body_while_headers_paused: bool,
    on_trap: OnTrap,
    pub(crate) traps: Vec<Trap>,
    pub(crate) last_connection_id: u64,
    pub(crate) is_shut_down: bool,
}

impl Simulator {
    pub(crate) fn new(kit_state: Arc<KitState>, shared: Shared, on_trap: OnTrap) -> Simulator {
        Simulator {
            kit_state,
            shared,
            workers: Vec::new(),
            clusters: Clusters::default(),
            event_queue: EventQueue::default(),
            calls: BTreeMap::new(),
            requests: Vec::new(),
            connections: Vec::new(),
            streams: Vec::new(),
            call_faults: Faults::default(),
            body_while_headers_paused: false,
            on_trap,
            traps: Vec::new(),
            last_connection_id: 0,
            is_shut_down: false,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.kit_state.now()
    }

    pub(crate) fn set_cluster(&mut self, name: &str, cluster: Cluster) {
        self.kit_state.add_cluster(name);
        self.clusters.set(name, cluster);
    }

    pub(crate) fn remove_cluster(&mut self, name: &str) {
        self.kit_state.remove_cluster(name);
        self.clusters.remove(name);
    }

    /// How the next call to this cluster goes; `None`: there is no such cluster.
    pub(crate) fn call_outcome(&mut self, name: &str, request: &Request) -> Option<Cluster> {
        match self.call_faults.call() {
            Some(fault) => Some(fault.decide(request)),
            None => self.clusters.serve(name, request),
        }
    }

    /// The proxy's end of a connection upstream, made up.
    pub(crate) fn local_address(&self, key: usize) -> SocketAddr {
        let port = u16::try_from(40_000 + key % 20_000).unwrap_or(40_000);
        SocketAddr::from(([10, 254, 0, 1], port))
    }

    pub(crate) fn add_fault(&mut self, fault: Fault) {
        if fault.is_of_calls() {
            self.call_faults.add(fault);
        } else {
            self.kit_state.with_faults(|faults| faults.add(fault));
        }
    }

    pub(crate) fn clear_faults(&mut self) {
        self.call_faults.clear();
        self.kit_state.with_faults(Faults::clear);
    }

    /// Calls a worker's guest. `None`: it has no VM, or the guest trapped.
    pub(crate) fn call_guest<T>(
        &mut self,
        worker: usize,
        call: impl FnOnce(&mut Vm) -> Result<T, Trap>,
    ) -> Option<T> {
        let vm = self.workers[worker].vm.as_mut()?;
        match call(vm) {
            Ok(value) => Some(value),
            Err(trap) => {
                self.trapped(worker, trap);
                None
            }
        }
    }

    /// What the filter of this context set with `set_envoy_filter_state`.
    pub(crate) fn filter_state(
        &self,
        worker: usize,
        context: Option<ContextId>,
        key: &str,
    ) -> Option<String> {
        let vm = self.workers[worker].vm.as_ref()?;
        vm.filter_state(context?, key).map(str::to_owned)
    }

    /// All of it, by key.
    pub(crate) fn filter_states(
        &self,
        worker: usize,
        context: ContextId,
    ) -> BTreeMap<String, String> {
        let vm = self.workers[worker].vm.iter();
        vm.flat_map(|vm| vm.filter_states(context))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Builds a worker's VM.
    pub(crate) fn start_vm(&mut self, worker: usize) -> Result<(), StartError> {
        self.workers[worker].start(&self.shared)
    }

    /// Moves time, and handles the events due on the way in order.
    pub(crate) fn advance(&mut self, by: Duration) {
        let target = self.now() + by;
        self.settle();
        while let Some((at, event)) = self.event_queue.take_due(target) {
            self.kit_state.set_now(at.max(self.now()));
            self.handle(event);
            self.settle();
        }
        self.kit_state.set_now(target);
    }

    /// Handles everything that is due now, and what follows from it at the same moment.
    pub(crate) fn settle(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            if self.carry_out_effects() || self.deliver() {
                continue;
            }
            match self.event_queue.take_due(self.now()) {
                Some((_, event)) => self.handle(event),
                None => return,
            }
        }
        panic!(
            "{MOST_AT_ONCE} things happened at one moment: the guest answers each answer with \
             another call; give its cluster .after(..) so that time passes"
        );
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        for worker in 0..self.workers.len() {
            if self.workers[worker].state.take_woken() {
                any = true;
                self.call_guest(worker, Vm::deliver);
            }
        }
        any
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick {
                worker,
                root,
                setting,
            } => self.tick(worker, root, setting),
            Event::Answer(key) => self.answer(key),
            Event::CallTimeout(key) => self.call_timeout(key),
            Event::Connected {
                connection,
                attempt,
            } => self.connect_attempt_ends(connection, attempt),
            Event::Response { exchange } => self.respond(exchange),
            Event::ResponseTimeout { exchange } => self.response_timeout(exchange),
            Event::Rebuild { worker } => self.rebuild(worker),
        }
    }

    fn tick(&mut self, worker: usize, root: ContextId, setting: u64) {
        let current = |simulator: &Simulator| {
            let found = simulator.workers[worker].ticks.get(&root).copied();
            found.filter(|tick| tick.number == setting)
        };
        if current(self).is_none() {
            return;
        }
        self.call_guest(worker, |vm| vm.tick(root));
        // Unless the tick itself set the period anew.
        self.carry_out_effects();
        if let Some(tick) = current(self) {
            let event = Event::Tick {
                worker,
                root,
                setting,
            };
            self.event_queue.put(self.now() + tick.period, event);
        }
    }
}

impl Drop for Simulator {
    /// A failed assertion shows the transcript.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let transcript = self.kit_state.transcript();
            let shown = match std::env::var_os(SHOW_ALL) {
                Some(_) => transcript.clone(),
                None => transcript.last(SHOWN),
            };
            eprintln!("--- transcript of callbacks and host functions ---");
            eprint!("{shown}");
            eprintln!("--- end of the transcript; {SHOW_ALL}=1 shows all of it ---");
        }
    }
}

/// Lines of the transcript that a failed test shows.
const SHOWN: usize = 200;
/// Set in the environment, this shows them all.
const SHOW_ALL: &str = "TESTKIT_TRANSCRIPT";
/// More events than this at one moment never end.
const MOST_AT_ONCE: usize = 100_000;
