//! The guest's memory as a host function sees it. Every address a guest names
//! is checked here and nowhere else.

use wasmtime::{AsContextMut, Caller, Memory};

use super::state::VmState;
use super::status::{HostcallError, HostcallResult};

/// A run of bytes the guest claims to have.
#[derive(Clone, Copy)]
pub(super) struct GuestSlice(pub(super) u32, pub(super) u32);

/// Where the host writes address and length of what it hands over: two addresses of 32-bit numbers.
#[derive(Clone, Copy)]
pub(super) struct OutPtr(pub(super) u32, pub(super) u32);

/// One host function at work.
pub(super) struct Call<'a, 'g> {
    caller: &'a mut Caller<'g, VmState>,
    memory: Memory,
}

impl<'a, 'g> Call<'a, 'g> {
    /// `None` when the guest exports no memory.
    pub(super) fn new(caller: &'a mut Caller<'g, VmState>) -> Option<Self> {
        let memory = match caller.data().memory {
            Some(memory) => memory,
            // In a start section: exports are not looked up yet.
            None => caller.get_export("memory")?.into_memory()?,
        };
        Some(Call { caller, memory })
    }

    pub(super) fn state(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    /// The guest's bytes and the VM's state, side by side.
    pub(super) fn split(&mut self) -> (GuestBytes<'_>, &mut VmState) {
        let (bytes, state) = self.memory.data_and_store_mut(self.caller.as_context_mut());
        (GuestBytes(bytes), state)
    }

    pub(super) fn put_u32(&mut self, at: u32, value: u32) -> HostcallResult {
        self.split().0.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: u32, value: u64) -> HostcallResult {
        self.split().0.put(at, &value.to_le_bytes())
    }

    /// Copies bytes into memory that the guest allocates and then owns, and writes
    /// where they are. For no bytes nothing is allocated; their address is 0.
    pub(super) fn give(&mut self, to: OutPtr, bytes: &[u8]) -> HostcallResult {
        let at = if bytes.is_empty() {
            0
        } else {
            let (view, _) = self.split();
            view.get(GuestSlice(to.0, 4))?;
            view.get(GuestSlice(to.1, 4))?;
            self.copy_in(bytes)?
        };
        let (mut view, _) = self.split();
        view.put(to.0, &at.to_le_bytes())?;
        view.put(to.1, &(bytes.len() as u32).to_le_bytes())
    }

    /// Like [`Call::give`], of bytes that `fill` writes into a buffer kept for it.
    pub(super) fn give_with(
        &mut self,
        to: OutPtr,
        fill: impl FnOnce(GuestBytes<'_>, &mut VmState, &mut Vec<u8>) -> HostcallResult,
    ) -> HostcallResult {
        let mut scratch = std::mem::take(&mut self.state().scratch);
        scratch.clear();
        let (view, state) = self.split();
        let answer = fill(view, state, &mut scratch).and_then(|()| self.give(to, &scratch));
        if scratch.capacity() <= SCRATCH_KEPT {
            self.state().scratch = scratch;
        }
        answer
    }

    /// Copies bytes into memory the guest allocates; where they are.
    pub(super) fn copy_in(&mut self, bytes: &[u8]) -> Result<u32, HostcallError> {
        let len = u32::try_from(bytes.len()).map_err(|_| HostcallError::Memory)?;
        // Taken out for the call: a clone would count references of its type, which all
        // VMs share.
        let allocate = self.state().allocate.take().ok_or(HostcallError::Memory)?;
        let before = self.state().policy.enter_allocator();
        let at = allocate.call(&mut *self.caller, (len,));
        let state = self.state();
        state.allocate = Some(allocate);
        let at = at.map_err(HostcallError::Broken)?;
        state.policy.set_phase(before);
        if at == 0 {
            return Err(HostcallError::Memory);
        }
        self.split().0.put(at, bytes)?;
        Ok(at)
    }
}

/// The guest's bytes.
pub(super) struct GuestBytes<'m>(&'m mut [u8]);

impl GuestBytes<'_> {
    pub(super) fn get(&self, slice: GuestSlice) -> Result<&[u8], HostcallError> {
        let from = slice.0 as usize;
        let to = from
            .checked_add(slice.1 as usize)
            .ok_or(HostcallError::Memory)?;
        self.0.get(from..to).ok_or(HostcallError::Memory)
    }

    /// Bytes as text; what is no UTF-8 is replaced.
    pub(super) fn text(
        &self,
        slice: GuestSlice,
    ) -> Result<std::borrow::Cow<'_, str>, HostcallError> {
        self.get(slice).map(String::from_utf8_lossy)
    }

    pub(super) fn get_u32(&self, at: u32) -> Result<u32, HostcallError> {
        let bytes = self.get(GuestSlice(at, 4))?;
        Ok(u32::from_le_bytes(
            bytes.try_into().map_err(|_| HostcallError::Memory)?,
        ))
    }

    pub(super) fn get_mut(&mut self, slice: GuestSlice) -> Result<&mut [u8], HostcallError> {
        let from = slice.0 as usize;
        let to = from
            .checked_add(slice.1 as usize)
            .ok_or(HostcallError::Memory)?;
        self.0.get_mut(from..to).ok_or(HostcallError::Memory)
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> HostcallResult {
        let len = u32::try_from(bytes.len()).map_err(|_| HostcallError::Memory)?;
        self.get_mut(GuestSlice(at, len))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// A buffer that grew beyond this is not kept.
const SCRATCH_KEPT: usize = 64 << 10;
