//! Where everything happens: workers, clusters, streams, and the order of events.

pub(crate) mod event_queue;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::{Effect, Peer, Shared, StartError, Trap, Vm};

use crate::builder::OnTrap;
use crate::calls::Call;
use crate::cluster::{Behaviour, Cluster, Request};
use crate::fault::{Fault, Faults};
use crate::http::stream::{Stream, StreamEnd};
use crate::simulator::event_queue::{CallKey, Event, EventQueue};
use crate::state::KitState;
use crate::state::worker::Worker;
use crate::tcp::connection::Connection;
use crate::transcript::explain;

/// Where everything happens.
pub(crate) struct Simulator {
    pub(crate) kit_state: Arc<KitState>,
    pub(crate) shared: Shared,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Clusters ever named, for their made-up addresses.
    addresses: Vec<String>,
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
            clusters: BTreeMap::new(),
            addresses: Vec::new(),
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
        if !self.addresses.iter().any(|known| known == name) {
            self.addresses.push(name.to_owned());
        }
        self.clusters.insert(name.to_owned(), cluster);
    }

    pub(crate) fn remove_cluster(&mut self, name: &str) {
        self.kit_state.remove_cluster(name);
        self.clusters.remove(name);
    }

    /// A cluster's host, given or made up.
    pub(crate) fn address_of(&self, name: &str, cluster: &Cluster) -> SocketAddr {
        let made_up = || {
            let found = self.addresses.iter().position(|known| known == name);
            let number = u16::try_from(found.unwrap_or_default() + 1).unwrap_or(u16::MAX);
            let [high, low] = number.to_be_bytes();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, high, low)), 80)
        };
        cluster.address.unwrap_or_else(made_up)
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

    /// How the next call to this cluster goes; `None`: there is no such cluster.
    pub(crate) fn behaviour(&mut self, name: &str, request: &Request) -> Option<Cluster> {
        if let Some(fault) = self.call_faults.call() {
            return Some(fault.decide(request));
        }
        self.decided(name, request, 0)
    }

    fn decided(&self, name: &str, request: &Request, depth: usize) -> Option<Cluster> {
        let cluster = self.clusters.get(name)?.decide(request);
        match &cluster.behaviour {
            Behaviour::FirstOf(clusters) if depth < 8 => {
                self.decided(clusters.first()?, request, depth + 1)
            }
            _ => Some(cluster),
        }
    }

    /// Calls a worker's guest. `None`: it has no VM, or the guest trapped.
    pub(crate) fn guest<T>(
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

    /// Builds a worker's VM.
    pub(crate) fn start_vm(&mut self, worker: usize) -> Result<(), StartError> {
        self.workers[worker].start(&self.shared)
    }

    /// Moves time, and lets happen in order what is due on the way.
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

    /// Lets everything happen that follows from what happened, without time passing.
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

    pub(crate) fn carry_out_effects(&mut self) -> bool {
        let mut any = false;
        for worker in 0..self.workers.len() {
            while let Some(effect) =
                (self.workers[worker].vm.as_mut()).and_then(proxy_wasm_engine::Vm::next_effect)
            {
                any = true;
                self.carry_out(worker, effect);
            }
        }
        any
    }

    fn deliver(&mut self) -> bool {
        let mut any = false;
        for worker in 0..self.workers.len() {
            if self.workers[worker].state.take_woken() {
                any = true;
                self.guest(worker, Vm::deliver);
            }
        }
        any
    }

    fn carry_out(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Tick { root, period } => {
                let setting = self.workers[worker].set_tick(root, period);
                if let (Some(period), Some(setting)) = (period, setting) {
                    let event = Event::Tick {
                        worker,
                        root,
                        setting,
                    };
                    self.event_queue.put(self.now() + period, event);
                }
            }
            Effect::HttpCall(call) => self.http_call(worker, call),
            Effect::GrpcCall(call) => self.grpc_call(worker, call),
            Effect::GrpcStream(call) => self.grpc_stream(worker, call),
            Effect::GrpcSend {
                token,
                message,
                end,
            } => self.grpc_send(worker, token, message, end),
            Effect::GrpcClose(token) => self.grpc_half_close(worker, token),
            Effect::GrpcCancel(token) => self.forget_call(worker, token),
            Effect::ContinueDownstream(context) => self.continue_downstream(worker, context),
            Effect::ContinueUpstream(context) => self.continue_upstream(worker, context),
            Effect::ContinueRequest(context) => self.continue_request(worker, context),
            Effect::ContinueResponse(context) => self.continue_response(worker, context),
            Effect::CloseStream(context) => self.close_connection(worker, context),
            Effect::ResetHttp(context) => self.reset_http(worker, context),
            Effect::LocalResponse {
                context,
                status,
                headers,
                body,
                details,
                ..
            } => self.local_response(worker, context, status, headers, body, details),
            Effect::SkipData(context) => self.skip_data(worker, context),
            Effect::ClearRouteCache(_) => {}
        }
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

    fn tick(&mut self, worker: usize, root: proxy_wasm_engine::ContextId, setting: u64) {
        let current = |simulator: &Simulator| {
            let found = simulator.workers[worker].ticks.get(&root).copied();
            found.filter(|tick| tick.number == setting)
        };
        if current(self).is_none() {
            return;
        }
        self.guest(worker, |vm| vm.tick(root));
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

    /// The VM is dead: its calls end, its connections go on without it, its
    /// requests fail; it is built again after a while.
    fn trapped(&mut self, worker: usize, trap: Trap) {
        let injected = self.kit_state.take_injected_trap();
        let why = self.kit_state.with_transcript(explain::explain);
        let why = why.map(|why| format!("\n{why}")).unwrap_or_default();
        let note = format!("the VM is dead: {trap}{why}");
        self.kit_state.note(worker, note);
        if !injected && self.on_trap == OnTrap::Panic {
            panic!("the guest trapped in {}: {trap}{why}", trap.callback);
        }
        self.traps.push(trap);
        self.discard_vm(worker);
        let at = self.now() + REBUILD_AFTER;
        self.event_queue.put(at, Event::Rebuild { worker });
    }

    /// Ends all streams and all plugins.
    pub(crate) fn shut_down(&mut self) {
        self.is_shut_down = true;
        for key in 0..self.connections.len() {
            self.close(key, Peer::Local);
        }
        for key in 0..self.streams.len() {
            self.finish_stream(key, StreamEnd::Reset);
        }
        for worker in 0..self.workers.len() {
            let roots = self.workers[worker].vm.as_ref().map(Vm::roots);
            for root in roots.unwrap_or_default() {
                self.guest(worker, |vm| vm.finish_root(root));
            }
        }
    }

    /// Lets go of everything that belonged to a worker's VM.
    pub(crate) fn discard_vm(&mut self, worker: usize) {
        self.workers[worker].vm = None;
        self.workers[worker].ticks.clear();
        self.event_queue.drop_ticks(worker);
        self.calls.retain(|key, _| key.worker != worker);
        self.orphan_connections(worker);
        self.orphan_streams(worker);
    }

    fn rebuild(&mut self, worker: usize) {
        if self.workers[worker].vm.is_some() {
            return;
        }
        self.kit_state.note(worker, "the VM is built again");
        if let Err(error) = self.start_vm(worker) {
            let injected = self.kit_state.take_injected_trap();
            let note = format!("the VM did not start again: {error}");
            self.kit_state.note(worker, note);
            if !injected && self.on_trap == OnTrap::Panic {
                panic!("the guest did not start again after a trap: {error}");
            }
            let at = self.now() + REBUILD_AFTER;
            self.event_queue.put(at, Event::Rebuild { worker });
        }
    }
}

impl Drop for Simulator {
    /// A failed assertion shows what guest and host said to each other.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let transcript = self.kit_state.transcript();
            let shown = match std::env::var_os(SHOW_ALL) {
                Some(_) => transcript.clone(),
                None => transcript.last(SHOWN),
            };
            eprintln!("--- what guest and host said to each other ---");
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
/// How long a worker is without a VM after a trap.
const REBUILD_AFTER: Duration = Duration::from_secs(1);
