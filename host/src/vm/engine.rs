//! Compiled guests.

use super::abi::AbiVersion;
use super::trap::LoadError;

/// One process's compiler and epoch clock. Cheap to clone.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// A compiler with its own clock thread, which sleeps while no VM lives.
    ///
    /// # Errors
    /// When this machine cannot run compiled guests.
    pub fn new() -> Result<Engine, LoadError> {
        unimplemented!()
    }
}

/// A compiled guest. Cheap to clone.
#[derive(Clone)]
pub struct Module {}

impl Module {
    /// Compiles a guest (binary or text form) and checks its ABI marker and imports.
    ///
    /// # Errors
    /// When it is not a module, has no known marker, or imports what no host has.
    pub fn compile(_engine: &Engine, _wasm: &[u8]) -> Result<Module, LoadError> {
        unimplemented!()
    }

    /// What the marker says.
    pub fn abi(&self) -> AbiVersion {
        unimplemented!()
    }
}
