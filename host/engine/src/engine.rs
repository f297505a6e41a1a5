//! Compiled guests.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::{Config, InstancePre};

use super::abi::AbiVersion;
use super::epoch::{ClockGuard, EpochClock};
use super::exports::Exports;
use super::linker;
use super::state::VmState;
use super::trap::{FRAMES, LoadError};

/// One process's compiler and epoch clock. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    clock: Arc<EpochClock>,
}

impl Engine {
    /// A compiler with its own clock thread, which sleeps while no VM lives.
    ///
    /// # Errors
    /// When this machine cannot run compiled guests.
    pub fn new() -> Result<Engine, LoadError> {
        let mut config = Config::new();
        config
            // For any processor of this architecture, so that what one machine has compiled
            // serves on another. Filters gain nothing from what newer ones can do besides.
            .target(&target_lexicon::HOST.to_string())
            .map_err(|error| LoadError::Engine(format!("{error:#}")))?
            .epoch_interruption(true)
            .max_wasm_stack(STACK)
            // One more than are named, to know whether there are more.
            .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES + 1))
            // Reserving address space is free; growing then never moves memory.
            .memory_reservation(4 << 30);
        let wasm =
            wasmtime::Engine::new(&config).map_err(|error| LoadError::Engine(error.to_string()))?;
        let clock = EpochClock::start(&wasm)
            .map_err(|error| LoadError::Engine(format!("its clock thread: {error}")))?;
        Ok(Engine { wasm, clock })
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// The clock ticks until the guard is dropped.
    pub(super) fn keep_clock(&self) -> ClockGuard {
        EpochClock::keep(&self.clock)
    }
}

/// A compiled guest. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    engine: Engine,
    linked: InstancePre<VmState>,
    abi: AbiVersion,
}

impl Module {
    /// Compiles a guest (in binary form, and with the feature `wat` in text form) and checks its ABI marker, its
    /// imports and the shapes of its exports.
    ///
    /// # Errors
    /// When it is not a module, has no known marker, imports what this host does
    /// not have, or exports a callback of another shape.
    pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module, LoadError> {
        Module::link(engine, &Module::parse(engine, wasm)?)
    }

    pub(super) fn parse(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::Module, LoadError> {
        wasmtime::Module::new(&engine.wasm, wasm)
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))
    }

    pub(super) fn link(engine: &Engine, module: &wasmtime::Module) -> Result<Module, LoadError> {
        let abi = marker(module)?;
        Exports::check(module)?;
        let linked = linker::link(&engine.wasm, module)?;
        Ok(Module {
            engine: engine.clone(),
            linked,
            abi,
        })
    }

    /// The version of the marker.
    pub fn abi(&self) -> AbiVersion {
        self.abi
    }

    /// Whether the guest has a callback for the bytes of a TCP connection, of either
    /// direction.
    pub fn sees_data(&self) -> bool {
        let module = self.linked.module();
        let callbacks = ["proxy_on_downstream_data", "proxy_on_upstream_data"];
        callbacks
            .iter()
            .any(|name| module.get_export(name).is_some())
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn linked(&self) -> &InstancePre<VmState> {
        &self.linked
    }
}

/// The newest version the module is marked with.
fn marker(module: &wasmtime::Module) -> Result<AbiVersion, LoadError> {
    let markers: Vec<&str> = module
        .exports()
        .map(|export| export.name())
        .filter(|name| name.starts_with("proxy_abi_version_"))
        .collect();
    markers
        .iter()
        .filter_map(|name| AbiVersion::of_marker(name))
        .max()
        .ok_or_else(|| {
            LoadError::NoMarker(match markers.first() {
                Some(unknown) => format!(", but it exports {unknown}"),
                None => String::new(),
            })
        })
}

/// A guest's stack, bytes.
const STACK: usize = 512 << 10;
