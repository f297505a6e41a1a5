//! Leaks of a guest.

use std::fmt;

use crate::kit::TestKit;

/// What is left and should not be; made by [`TestKit::leaks`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaks {
    /// Contexts that nothing needs any more, over all workers: beyond the roots
    /// and the open streams, or after [`TestKit::shut_down`] all there are.
    pub contexts: usize,
    /// Connections and requests that the guest holds back, while no call and no
    /// tick is to come in which it could let them go.
    pub held: usize,
    /// Clusters of calls without a timeout that nobody has answered: such a
    /// call may stay open for ever.
    pub calls: Vec<String>,
}

impl Leaks {
    /// Whether nothing leaks.
    pub fn is_empty(&self) -> bool {
        self.contexts == 0 && self.held == 0 && self.calls.is_empty()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contexts > 0 {
            write!(
                f,
                "{} contexts are not deleted: a root whose on_done says false must call done \
                 (proxy_done) later. ",
                self.contexts
            )?;
        }
        if self.held > 0 {
            write!(
                f,
                "{} connections or requests are paused, and no call or tick is to come in which \
                 the guest could let them go. ",
                self.held
            )?;
        }
        if !self.calls.is_empty() {
            write!(
                f,
                "calls without a timeout are open, to {}: one that is never answered stays for ever.",
                self.calls.join(", ")
            )?;
        }
        Ok(())
    }
}

impl TestKit {
    /// What leaks at this moment.
    pub fn leaks(&self) -> Leaks {
        let simulator = self.simulator().borrow();
        let (mut contexts, mut held) = (0, 0);
        for (index, worker) in simulator.workers.iter().enumerate() {
            let Some(vm) = &worker.vm else { continue };
            let connections = simulator.connections.iter();
            let connections = connections
                .filter(|connection| connection.worker == index && connection.context.is_some());
            let streams = simulator.streams.iter();
            let streams =
                streams.filter(|stream| stream.worker == index && stream.context.is_some());
            let waiting = simulator.calls.keys().any(|key| key.worker == index);
            if !waiting && worker.ticks.is_empty() {
                held += connections.clone().filter(|open| open.is_held()).count();
                held += streams.clone().filter(|open| open.is_held()).count();
            }
            let roots = if simulator.is_shut_down {
                0
            } else {
                vm.roots().len()
            };
            let known = roots + connections.count() + streams.count();
            contexts += vm.context_count().saturating_sub(known);
        }
        let calls = simulator.calls.values();
        let calls = calls.filter(|call| call.endless);
        Leaks {
            contexts,
            held,
            calls: calls.map(|call| call.cluster.clone()).collect(),
        }
    }

    /// Shuts down as a host does: closes connections, resets requests, then
    /// ends the plugins (`on_done`, `on_delete`). A guest that needs time for it
    /// gets it with [`TestKit::advance`].
    pub fn shut_down(&mut self) {
        let mut simulator = self.simulator().borrow_mut();
        simulator.shut_down();
        simulator.settle();
    }

    /// Asserts that nothing leaks at this moment.
    ///
    /// # Panics
    /// When something does; says what.
    #[track_caller]
    pub fn assert_no_leaks(&self) {
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "the guest leaks: {leaks}");
    }

    /// Linear memory in use, over all workers, bytes. It never shrinks.
    pub fn memory_size(&mut self) -> usize {
        let mut simulator = self.simulator().borrow_mut();
        let workers = simulator.workers.iter_mut();
        workers
            .filter_map(|worker| worker.vm.as_mut())
            .map(proxy_wasm_engine::Vm::memory_size)
            .sum()
    }

    /// How many bytes of linear memory the guest takes for each round, after as
    /// many rounds to warm up. Memory grows by pages of 64 KiB, so a leak of `n`
    /// bytes shows after `65536 / n` rounds: take some thousand.
    pub fn growth_per_round(
        &mut self,
        rounds: usize,
        mut round: impl FnMut(&mut TestKit),
    ) -> usize {
        for _ in 0..rounds {
            round(self);
        }
        let before = self.memory_size();
        for _ in 0..rounds {
            round(self);
        }
        let grown = self.memory_size().saturating_sub(before);
        grown / rounds.max(1)
    }
}
