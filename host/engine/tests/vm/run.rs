//! A guest at work, and what came of its host calls.

use proxy_wasm_engine::{ContextId, Effect, Shared, Trap, Vm};

/// A guest at work.
pub(crate) struct Run {
    pub(crate) vm: Vm,
    pub(crate) shared: Shared,
    pub(crate) vm_id: String,
    pub(crate) root: ContextId,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a guest at work")
    }
}

impl Run {
    pub(crate) fn tick(&mut self) -> Result<(), Trap> {
        self.vm.tick(self.root)
    }

    /// What came of the call of this number, counted over all callbacks.
    #[track_caller]
    pub(crate) fn outcome(&self, index: u8) -> Outcome {
        let raw = self
            .shared
            .data(&self.vm_id, &[index, b's'])
            .expect("the call was done");
        let number = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap());
        Outcome {
            status: number(24),
            numbers: [
                number(0),
                number(4),
                number(8),
                number(12),
                number(16),
                number(20),
            ],
            bytes: self
                .shared
                .data(&self.vm_id, &[index, b'b'])
                .unwrap_or_default(),
        }
    }

    pub(crate) fn done(&self, index: u8) -> bool {
        self.shared.data(&self.vm_id, &[index, b's']).is_some()
    }

    pub(crate) fn statuses(&self, count: u8) -> Vec<u32> {
        (0..count).map(|index| self.outcome(index).status).collect()
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.vm.next_effect()).collect()
    }
}

/// What came of one host call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: u32,
    /// The numbers at R1, R2, ...
    pub(crate) numbers: [u32; 6],
    /// The bytes at R1, as many as R2 says.
    pub(crate) bytes: Vec<u8>,
}
