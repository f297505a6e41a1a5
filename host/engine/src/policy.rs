//! Which host functions a guest may call at this moment.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Which host functions a guest may call at this moment.
pub(super) struct Gate {
    /// Whether there is anything to check: one branch on the usual path.
    guarded: bool,
    /// Somebody wants to see every call.
    watched: bool,
    phase: Phase,
    allowed: Option<Arc<BTreeSet<String>>>,
}

/// What the guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In a callback: all host functions may be called.
    Callback,
    /// Its start functions run.
    Starting,
    /// The host asked it for memory.
    Allocating,
}

/// What the gate says to a call.
pub(super) enum Pass {
    Granted,
    /// The operator took this capability away.
    Denied,
    /// Not now; the guest cannot go on.
    Forbidden(Forbidden),
}

/// A guest called what it may not call at that moment.
#[derive(Debug, thiserror::Error)]
#[error("{function} may not be called {when}; only proxy_log and WASI may")]
pub(super) struct Forbidden {
    function: &'static str,
    when: &'static str,
}

impl Gate {
    pub(super) fn new(allowed: Option<Arc<BTreeSet<String>>>, watched: bool) -> Gate {
        Gate {
            guarded: true,
            watched,
            phase: Phase::Starting,
            allowed,
        }
    }

    pub(super) fn open(&mut self) {
        self.restore(Phase::Callback);
    }

    /// Closes the gate while the guest's allocator runs; what to restore after.
    pub(super) fn enter_allocator(&mut self) -> Phase {
        let before = self.phase;
        self.restore(Phase::Allocating);
        before
    }

    pub(super) fn restore(&mut self, phase: Phase) {
        self.phase = phase;
        self.guarded = phase != Phase::Callback || self.allowed.is_some() || self.watched;
    }

    fn allows(&self, name: &str) -> bool {
        self.allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(name))
    }

    /// What the operator lets the guest have; `None`: all.
    pub(super) fn allowed(&self) -> Option<Arc<BTreeSet<String>>> {
        self.allowed.clone()
    }

    #[inline]
    pub(super) fn guarded(&self) -> bool {
        self.guarded
    }

    pub(super) fn pass(&self, function: &'static str) -> Pass {
        let when = match self.phase {
            Phase::Callback => None,
            Phase::Starting => Some("while the module starts (_initialize, main, _start)"),
            Phase::Allocating => Some("inside the allocator"),
        };
        let harmless = function == "proxy_log" || !function.starts_with("proxy_");
        match when {
            Some(when) if !harmless => Pass::Forbidden(Forbidden { function, when }),
            _ if !self.allows(function) => Pass::Denied,
            _ => Pass::Granted,
        }
    }
}
