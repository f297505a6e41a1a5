//! What follows when a VM traps, and how VMs end.

use std::time::Duration;

use proxy_wasm_engine::{Peer, Trap, Vm};

use crate::http::stream::StreamEnd;
use crate::on_trap::OnTrap;
use crate::simulator::Simulator;
use crate::simulator::event_queue::Event;
use crate::transcript::explain;

impl Simulator {
    /// The VM is gone: its calls end, its connections go on without it, its
    /// requests fail; it is built again after a while.
    pub(super) fn trapped(&mut self, worker: usize, trap: Trap) {
        let injected = self.kit_state.take_injected_trap();
        let why = self.kit_state.with_transcript(explain::explain);
        let why = why.map(|why| format!("\n{why}")).unwrap_or_default();
        let note = format!("the VM trapped: {trap}{why}");
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
                self.call_guest(worker, |vm| vm.finish_root(root));
            }
        }
    }

    /// Drops everything that belonged to a worker's VM.
    pub(crate) fn discard_vm(&mut self, worker: usize) {
        self.workers[worker].vm = None;
        self.workers[worker].ticks.clear();
        self.event_queue.drop_ticks(worker);
        self.calls.retain(|key, _| key.worker != worker);
        self.orphan_connections(worker);
        self.orphan_streams(worker);
    }

    pub(super) fn rebuild(&mut self, worker: usize) {
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

/// How long a worker is without a VM after a trap.
const REBUILD_AFTER: Duration = Duration::from_secs(1);
