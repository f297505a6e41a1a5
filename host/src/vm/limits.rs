//! How much memory a guest may have.

use wasmtime::ResourceLimiter;

/// Grants memory up to a limit and remembers that it refused.
pub(super) struct Limits {
    memory: usize,
    /// Set when the guest asked for more than it may have.
    pub(super) refused: bool,
}

impl Limits {
    pub(super) fn new(memory: usize) -> Limits {
        Limits {
            memory,
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
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory && maximum.is_none_or(|most| desired <= most);
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MOST_ELEMENTS && maximum.is_none_or(|most| desired <= most))
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        4
    }

    fn tables(&self) -> usize {
        8
    }
}

/// Most elements of a table; large guests have some ten thousand.
const MOST_ELEMENTS: usize = 1 << 20;
