//! What a guest forgets to give back.

use std::fmt;

use super::kit::TestKit;

/// What is left that should not be; made by [`TestKit::leaks`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaks {
    /// Contexts beyond the roots and the open streams, over all workers.
    pub contexts: usize,
    /// Clusters of calls without a timeout that nobody has answered: such a
    /// call may stay open for ever.
    pub calls: Vec<String>,
}

impl Leaks {
    /// Whether nothing leaks.
    pub fn is_empty(&self) -> bool {
        self.contexts == 0 && self.calls.is_empty()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contexts > 0 {
            write!(
                f,
                "{} contexts were never deleted: their streams ended, but on_done said false and \
                 Envoy never asks a stream again. ",
                self.contexts
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
    /// What is left that should not be, at this moment.
    pub fn leaks(&self) -> Leaks {
        let stage = self.stage().borrow();
        let mut contexts = 0;
        for (index, worker) in stage.workers.iter().enumerate() {
            let Some(vm) = &worker.vm else { continue };
            let connections = stage.connections.iter();
            let connections = connections
                .filter(|connection| connection.worker == index && connection.context.is_some());
            let streams = stage.streams.iter();
            let streams =
                streams.filter(|stream| stream.worker == index && stream.context.is_some());
            let known = vm.roots().len() + connections.count() + streams.count();
            contexts += vm.context_count().saturating_sub(known);
        }
        let calls = stage.calls.values();
        let calls = calls.filter(|call| call.endless);
        Leaks {
            contexts,
            calls: calls.map(|call| call.cluster.clone()).collect(),
        }
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
        let mut stage = self.stage().borrow_mut();
        let workers = stage.workers.iter_mut();
        workers
            .filter_map(|worker| worker.vm.as_mut())
            .map(crate::vm::Vm::memory_size)
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
