//! How a guest fails.

/// The guest trapped, ran out of memory or time; the VM must not be called again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Trap {
    /// Which callback, such as `proxy_on_tick`.
    pub callback: &'static str,
    /// Why.
    pub reason: TrapReason,
    message: String,
}

/// Why a guest was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapReason {
    /// It ran an illegal instruction; so a panic ends.
    Crash,
    /// It ran longer than a callback may.
    Time,
    /// It wanted more memory than it may have.
    Memory,
    /// Its stack was too deep.
    Stack,
    /// It called what it may not call at that moment.
    Forbidden,
    /// It had failed before.
    Dead,
}

/// Why a module cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not a module, or one this compiler refuses.
    #[error("not a usable wasm module: {0}")]
    Invalid(String),
    /// No or an unknown marker.
    #[error(
        "no proxy-wasm ABI marker: the module must export proxy_abi_version_0_1_0, \
         proxy_abi_version_0_2_0 or proxy_abi_version_0_2_1{0}"
    )]
    NoMarker(String),
    /// It imports what this host does not have, or in another shape.
    #[error("{0}")]
    Import(String),
    /// This machine cannot run compiled guests.
    #[error("the wasm engine does not start: {0}")]
    Engine(String),
}

/// Why a VM did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The module and its surroundings do not fit.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It crashed while starting.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// The host could not hand it anything.
    #[error(
        "the module exports neither malloc nor proxy_on_memory_allocate, with one size and one pointer"
    )]
    NoAllocator,
    /// `proxy_on_vm_start` said no.
    #[error("plugin {plugin}: proxy_on_vm_start refused the VM configuration")]
    VmRefused {
        /// Which plugin's root context.
        plugin: String,
    },
    /// `proxy_on_configure` said no.
    #[error("plugin {plugin}: proxy_on_configure refused the configuration")]
    PluginRefused {
        /// Which plugin.
        plugin: String,
    },
}
