//! How a guest fails.

use std::fmt::Write as _;

use super::policy::ForbiddenCall;

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
    /// It ran an illegal instruction, as at the end of a panic.
    Crash,
    /// It ran longer than a callback may.
    Time,
    /// It wanted more memory than it may have.
    Memory,
    /// Its stack was too deep.
    Stack,
    /// It called what it may not call at that moment.
    Forbidden,
}

/// What is known beside the error itself.
pub(super) struct TrapContext {
    pub(super) callback: &'static str,
    pub(super) limit: std::time::Duration,
    pub(super) memory_limit: usize,
    /// Whether the guest was refused memory.
    pub(super) refused: bool,
    /// Its last critical log line.
    pub(super) last_critical_line: Option<String>,
}

impl Trap {
    pub(super) fn new(error: &wasmtime::Error, context: TrapContext) -> Trap {
        let code = error.downcast_ref::<wasmtime::Trap>().copied();
        let forbidden = error.downcast_ref::<ForbiddenCall>();
        let reason = match code {
            _ if forbidden.is_some() => TrapReason::Forbidden,
            Some(wasmtime::Trap::Interrupt) => TrapReason::Time,
            Some(wasmtime::Trap::StackOverflow) => TrapReason::Stack,
            _ if context.refused => TrapReason::Memory,
            _ => TrapReason::Crash,
        };
        let mut message = match reason {
            TrapReason::Crash => match code {
                Some(code) => code
                    .to_string()
                    .trim_start_matches("wasm trap: ")
                    .to_owned(),
                None => error.root_cause().to_string(),
            },
            TrapReason::Time => format!(
                "ran longer than {} ms; raise the callback limit or do less at once",
                context.limit.as_millis()
            ),
            TrapReason::Memory => format!(
                "out of memory: wanted more than its limit of {} bytes; raise the memory limit or \
                 keep less",
                context.memory_limit
            ),
            TrapReason::Stack => "its call stack is too deep (endless recursion?)".to_owned(),
            TrapReason::Forbidden => {
                forbidden.map_or_else(String::new, std::string::ToString::to_string)
            }
        };
        if let Some(line) = &context.last_critical_line {
            // Writing to a string does not fail.
            let _ = write!(message, "; last words: {}", line.trim().replace('\n', " "));
        }
        if let Some(names) = backtrace(error) {
            let _ = write!(message, "; in {names}");
        }
        let message = format!("{}: {message}", context.callback);
        Trap {
            callback: context.callback,
            reason,
            message,
        }
    }
}

/// The functions under way, innermost first.
fn backtrace(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<wasmtime::WasmBacktrace>()?.frames();
    let names: Vec<String> = frames
        .iter()
        .take(FRAMES)
        .map(|frame| match frame.func_name() {
            // Without the hash at its end.
            Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("function {}", frame.func_index()),
        })
        .collect();
    if names.is_empty() {
        return None;
    }
    let more = if frames.len() > FRAMES { " < ..." } else { "" };
    Some(names.join(" < ") + more)
}

/// How many functions of a backtrace are named.
pub(super) const FRAMES: usize = 20;

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
    /// It exports a callback in another shape than the ABI's.
    #[error("{0}")]
    Export(String),
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
        "the module exports neither malloc nor proxy_on_memory_allocate, taking a size and \
         returning an address"
    )]
    NoAllocator,
    /// `proxy_on_vm_start` returned false.
    #[error("plugin {plugin:?}: proxy_on_vm_start refused the VM configuration")]
    VmRefused {
        /// Which plugin's root context.
        plugin: String,
    },
    /// `proxy_on_configure` returned false.
    #[error("plugin {plugin:?}: proxy_on_configure refused the configuration")]
    PluginRefused {
        /// Which plugin.
        plugin: String,
    },
}
