//! How much memory a guest may have.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::observe::Observer;

/// Grants memory up to a limit and remembers that it refused.
pub(super) struct Limits {
    memory: usize,
    observer: Option<Arc<dyn Observer>>,
    /// Set when the guest asked for more than it may have.
    pub(super) refused: bool,
}

impl Limits {
    pub(super) fn new(memory: usize, observer: Option<Arc<dyn Observer>>) -> Limits {
        Limits {
            memory,
            observer,
            refused: false,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Its first memory is granted in any case.
        let observer = self.observer.as_ref().filter(|_| current > 0);
        let granted = desired <= self.memory
            && maximum.is_none_or(|most| desired <= most)
            && observer.is_none_or(|observer| observer.may_grow(current, desired));
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_ELEMENTS && maximum.is_none_or(|most| desired <= most))
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        4
    }
}

/// Most elements of a table; large guests have some ten thousand.
const MAX_ELEMENTS: usize = 100_000;
