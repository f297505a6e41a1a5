//! Which host functions a guest may call at this moment.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Which host functions a guest may call at this moment.
pub(super) struct HostcallPolicy {
    /// Whether there is anything to check: one branch on the path usually taken.
    guarded: bool,
    /// An observer sees every call.
    watched: bool,
    phase: GuestPhase,
    allowed: Option<Arc<BTreeSet<String>>>,
}

/// What the guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GuestPhase {
    /// In a callback: all host functions may be called.
    Callback,
    /// Its start functions run.
    Starting,
    /// The host asked it for memory.
    Allocating,
}

/// What happens to a call.
pub(super) enum Decision {
    Allow,
    /// The operator took this capability away.
    Deny,
    /// Not now; the guest cannot go on.
    Trap(ForbiddenCall),
}

/// A guest called what it may not call at that moment.
#[derive(Debug, thiserror::Error)]
#[error("{function} may not be called {when}; only proxy_log and WASI may")]
pub(super) struct ForbiddenCall {
    function: &'static str,
    when: &'static str,
}

impl HostcallPolicy {
    pub(super) fn new(allowed: Option<Arc<BTreeSet<String>>>, watched: bool) -> HostcallPolicy {
        HostcallPolicy {
            guarded: true,
            watched,
            phase: GuestPhase::Starting,
            allowed,
        }
    }

    pub(super) fn finish_start(&mut self) {
        self.set_phase(GuestPhase::Callback);
    }

    /// Until the phase returned is set again, the guest may only log.
    pub(super) fn enter_allocator(&mut self) -> GuestPhase {
        let before = self.phase;
        self.set_phase(GuestPhase::Allocating);
        before
    }

    pub(super) fn set_phase(&mut self, phase: GuestPhase) {
        self.phase = phase;
        self.guarded = phase != GuestPhase::Callback || self.allowed.is_some() || self.watched;
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

    pub(super) fn decide(&self, function: &'static str) -> Decision {
        let when = match self.phase {
            GuestPhase::Callback => None,
            GuestPhase::Starting => Some("while the module starts (_initialize, main, _start)"),
            GuestPhase::Allocating => Some("inside the allocator"),
        };
        let harmless = function == "proxy_log" || !function.starts_with("proxy_");
        match when {
            Some(when) if !harmless => Decision::Trap(ForbiddenCall { function, when }),
            _ if !self.allows(function) => Decision::Deny,
            _ => Decision::Allow,
        }
    }
}
