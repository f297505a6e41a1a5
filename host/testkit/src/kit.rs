//! The kit: a guest in a simulation that a test controls.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm_engine::{ContextId, Metric, Shared, StartError, Trap};

use crate::calls::grpc::GrpcStream;
use crate::cluster::{Cluster, DEFAULT, Request};
use crate::fault::Fault;
use crate::http::request::HttpRequest;
use crate::simulator::Simulator;
use crate::state::LogLine;
use crate::tcp::connect::TcpConnect;
use crate::transcript::Transcript;

/// A guest in a simulation that a test controls.
///
/// Time stands still but for [`TestKit::advance`]. Whatever else a test does,
/// all that follows from it at the same moment has happened when the call
/// returns. Handles of connections and requests stay usable side by side.
///
/// A trap that no [`Fault`] brought about panics, and says why the guest
/// trapped; when a test fails, the transcript is printed.
pub struct TestKit {
    simulator: Rc<RefCell<Simulator>>,
}

impl TestKit {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>) -> TestKit {
        TestKit { simulator }
    }

    /// Time since the kit started.
    pub fn now(&self) -> Duration {
        self.simulator.borrow().now()
    }

    /// Moves time on. Ticks, answers and timeouts that are due on the way
    /// happen in order, each at its own moment.
    pub fn advance(&mut self, by: Duration) {
        self.simulator.borrow_mut().advance(by);
    }

    /// Moves time on to the next thing that is to happen, a tick for instance,
    /// and lets it happen; says how long that took. `None`: nothing is.
    pub fn advance_to_next(&mut self) -> Option<Duration> {
        let mut simulator = self.simulator.borrow_mut();
        let by = simulator
            .event_queue
            .next()?
            .saturating_sub(simulator.now());
        simulator.advance(by);
        Some(by)
    }

    /// Prepares a TCP connection: [`TcpConnect::connect`] opens it.
    pub fn tcp(&mut self) -> TcpConnect {
        TcpConnect::new(self.simulator.clone(), DEFAULT)
    }

    /// Prepares an HTTP request: [`HttpRequest::send`] or [`HttpRequest::open`] sends it.
    pub fn http(&mut self) -> HttpRequest {
        HttpRequest::new(self.simulator.clone(), DEFAULT)
    }

    /// The upstream's end of the newest gRPC stream that is open to this cluster;
    /// `None`: none is. For a cluster that [`hangs`](crate::hangs), or to send what
    /// the guest did not ask for.
    pub fn grpc_stream(&mut self, cluster: &str) -> Option<GrpcStream> {
        let key = self.simulator.borrow().find_grpc_stream(cluster)?;
        Some(GrpcStream::new(self.simulator.clone(), key))
    }

    /// Calls a function of the guest by its number (`on_foreign_function`), in
    /// the first plugin of the first worker.
    pub fn foreign_function(&mut self, function: u32, arguments: impl AsRef<[u8]>) {
        let root = self.roots().first().copied();
        let mut simulator = self.simulator.borrow_mut();
        if let Some(root) = root {
            simulator.call_guest(0, |vm| {
                vm.foreign_function(root, function, arguments.as_ref())
            });
            simulator.settle();
        }
    }

    /// Adds a cluster, or lets one behave otherwise from now on.
    pub fn cluster(&mut self, name: &str, behaviour: Cluster) {
        self.simulator.borrow_mut().set_cluster(name, behaviour);
    }

    /// Takes a cluster away: calls to it are refused with a bad argument.
    pub fn remove_cluster(&mut self, name: &str) {
        self.simulator.borrow_mut().remove_cluster(name);
    }

    /// Injects a fault from now on.
    pub fn fault(&mut self, fault: Fault) {
        self.simulator.borrow_mut().add_fault(fault);
    }

    /// Removes all faults that have not struck yet.
    pub fn clear_faults(&mut self) {
        self.simulator.borrow_mut().clear_faults();
    }

    /// A property that every context can read from now on, by its path with
    /// dots. Numbers are 8 bytes, little-endian.
    pub fn set_property(&mut self, path: impl Into<String>, value: impl AsRef<[u8]>) {
        let value = value.as_ref().to_vec();
        (self.simulator.borrow().kit_state).set_property(None, path.into(), value);
    }

    /// Every request that clusters got, in order: HTTP calls, gRPC messages, and
    /// requests of HTTP streams that came through.
    pub fn requests(&self) -> Vec<Request> {
        self.simulator.borrow().requests.clone()
    }

    /// Those of one cluster.
    pub fn requests_to(&self, cluster: &str) -> Vec<Request> {
        let simulator = self.simulator.borrow();
        let to = simulator.requests.iter();
        to.filter(|request| request.cluster == cluster)
            .cloned()
            .collect()
    }

    /// Value of this counter or gauge, or how many values a histogram counted;
    /// `None`: no guest has defined it.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let found = self
            .metrics()
            .into_iter()
            .find(|metric| metric.name == name);
        found.map(|metric| metric.value)
    }

    /// All metrics, by name.
    pub fn metrics(&self) -> Vec<Metric> {
        self.simulator.borrow().shared.metrics()
    }

    /// What guests of this VM id share, to hand to another kit.
    pub fn shared(&self) -> Shared {
        self.simulator.borrow().shared.clone()
    }

    /// What is stored under this key of shared data.
    pub fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        let simulator = self.simulator.borrow();
        let vm_id = &simulator.workers[0].config.vm_id;
        simulator.shared.data(vm_id, key.as_bytes())
    }

    /// Writes shared data, as another VM would.
    pub fn set_shared_data(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let simulator = self.simulator.borrow();
        let vm_id = &simulator.workers[0].config.vm_id;
        let put = simulator
            .shared
            .set_data(vm_id, key.as_bytes(), value.as_ref());
        assert!(put, "shared data: no room for key {key:?}");
    }

    /// Puts an item into the queue of this name, as another VM would.
    ///
    /// # Panics
    /// When no guest has registered it.
    pub fn enqueue(&mut self, queue: &str, item: impl AsRef<[u8]>) {
        {
            let simulator = self.simulator.borrow();
            let vm_id = &simulator.workers[0].config.vm_id;
            let put = simulator
                .shared
                .enqueue(vm_id, queue.as_bytes(), item.as_ref());
            assert!(
                put,
                "queue {queue:?}: no guest has registered it, so nobody would get the item"
            );
        }
        self.simulator.borrow_mut().settle();
    }

    /// Lines the guest logged, in order.
    pub fn logs(&self) -> Vec<LogLine> {
        self.simulator.borrow().kit_state.logs()
    }

    /// Whether the guest logged a line that contains this text.
    pub fn logged(&self, text: &str) -> bool {
        self.logs().iter().any(|line| line.message.contains(text))
    }

    /// All callbacks and host function calls so far.
    pub fn transcript(&self) -> Transcript {
        self.simulator.borrow().kit_state.transcript()
    }

    /// Traps so far that did not end the test: those that faults brought about.
    pub fn traps(&self) -> Vec<Trap> {
        self.simulator.borrow().traps.clone()
    }

    /// Whether each worker has a working VM.
    pub fn is_alive(&self) -> bool {
        let simulator = self.simulator.borrow();
        simulator.workers.iter().all(|worker| worker.vm.is_some())
    }

    /// Replaces each worker's VM by a new one that finds the same shared data,
    /// as a reload does. Established connections go on without a filter.
    ///
    /// # Errors
    /// When the guest does not start again.
    pub fn restart(&mut self) -> Result<(), StartError> {
        let mut simulator = self.simulator.borrow_mut();
        for worker in 0..simulator.workers.len() {
            simulator.discard_vm(worker);
            simulator.start_vm(worker)?;
        }
        simulator.settle();
        Ok(())
    }

    /// The root contexts of the first worker, in the order of the plugins.
    pub fn roots(&self) -> Vec<ContextId> {
        let simulator = self.simulator.borrow();
        let vm = simulator.workers[0].vm.as_ref();
        vm.map(proxy_wasm_engine::Vm::roots).unwrap_or_default()
    }

    pub(crate) fn simulator(&self) -> &Rc<RefCell<Simulator>> {
        &self.simulator
    }
}
