//! Faults that a test injects.

use proxy_wasm_engine::TrapReason;

use crate::cluster::Cluster;
use proxy_wasm_engine::Status;

/// Something that goes wrong once, or a few times: [`trap_in`], [`returns`], [`cas_lost`], [`unknown_cluster`],
/// [`memory_exhausted`], [`next_call`].
///
/// Injected with [`TestKit::fault`](crate::TestKit::fault) while running, or with
/// [`Builder::fault`](crate::Builder::fault) before the start.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    /// How many times it could strike and does not.
    pub(crate) skip: u32,
    /// How many times it strikes after that.
    pub(crate) times: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum FaultKind {
    Trap { callback: String },
    Status { hostcall: String, status: Status },
    CasLost,
    Memory,
    Call(Cluster),
}

impl Fault {
    /// Strikes the `n`th time from now that it could, counted from 1, not the next.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn nth(mut self, n: u32) -> Fault {
        assert!(n > 0, "fault: nth counts from 1");
        self.skip = n - 1;
        self
    }

    /// Strikes `times` times in a row, not once.
    pub fn times(mut self, times: u32) -> Fault {
        self.times = times;
        self
    }

    /// Whether it is about what clusters answer, not about the guest.
    pub(crate) fn is_of_calls(&self) -> bool {
        matches!(self.kind, FaultKind::Call(_))
    }

    fn once(kind: FaultKind) -> Fault {
        Fault {
            kind,
            skip: 0,
            times: 1,
        }
    }
}

/// The guest traps in this callback, such as `proxy_on_tick`.
pub fn trap_in(callback: impl Into<String>) -> Fault {
    Fault::once(FaultKind::Trap {
        callback: callback.into(),
    })
}

/// This host function, such as `proxy_get_property`, does nothing but return
/// this status.
pub fn returns(hostcall: impl Into<String>, status: Status) -> Fault {
    Fault::once(FaultKind::Status {
        hostcall: hostcall.into(),
        status,
    })
}

/// A compare-and-swap on shared data is lost to somebody else. Writes without
/// a compare value do not count.
pub fn cas_lost() -> Fault {
    Fault::once(FaultKind::CasLost)
}

/// An HTTP call finds its cluster unknown.
pub fn unknown_cluster() -> Fault {
    returns("proxy_http_call", Status::BAD_ARGUMENT)
}

/// The guest gets no more memory. Unlike the other faults this one strikes
/// every time, at each attempt to grow.
pub fn memory_exhausted() -> Fault {
    Fault::once(FaultKind::Memory).times(u32::MAX)
}

/// The next HTTP or gRPC call, to whatever cluster, goes like this: `next_call(refuses())`.
pub fn next_call(behaviour: Cluster) -> Fault {
    Fault::once(FaultKind::Call(behaviour))
}

/// Faults not yet used up.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn trap(&mut self, callback: &str) -> Option<TrapReason> {
        self.strike(|kind| match kind {
            FaultKind::Trap { callback: wanted } if wanted == callback => Some(TrapReason::Crash),
            _ => None,
        })
    }

    /// `cas`: the compare value, should this be a write of shared data.
    pub(crate) fn status(&mut self, hostcall: &str, cas: Option<u64>) -> Option<Status> {
        self.strike(|kind| match kind {
            FaultKind::Status {
                hostcall: wanted,
                status,
            } if wanted == hostcall => Some(*status),
            FaultKind::CasLost if cas.is_some_and(|cas| cas != 0) => Some(Status::CAS_MISMATCH),
            _ => None,
        })
    }

    pub(crate) fn memory(&mut self) -> Option<()> {
        self.strike(|kind| matches!(kind, FaultKind::Memory).then_some(()))
    }

    pub(crate) fn call(&mut self) -> Option<Cluster> {
        self.strike(|kind| match kind {
            FaultKind::Call(cluster) => Some(cluster.clone()),
            _ => None,
        })
    }

    /// The first fault that fits and is due strikes; those that fit and are not
    /// due come nearer.
    fn strike<T>(&mut self, mut fits: impl FnMut(&FaultKind) -> Option<T>) -> Option<T> {
        let mut struck = None;
        for fault in &mut self.0 {
            let Some(found) = fits(&fault.kind) else {
                continue;
            };
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() {
                fault.times = fault.times.saturating_sub(1);
                struck = Some(found);
            }
        }
        self.0.retain(|fault| fault.times > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_when_its_turn_comes_and_is_used_up() {
        let mut faults = Faults::default();
        faults.add(trap_in("proxy_on_tick").nth(2).times(2));
        let struck = [
            "proxy_on_tick",
            "proxy_on_log",
            "proxy_on_tick",
            "proxy_on_tick",
        ]
        .map(|callback| faults.trap(callback).is_some());
        assert_eq!(struck, [false, false, true, true]);
        assert!(faults.trap("proxy_on_tick").is_none());
    }

    #[test]
    fn a_write_without_compare_value_cannot_lose() {
        let mut faults = Faults::default();
        faults.add(cas_lost());
        assert_eq!(faults.status("proxy_set_shared_data", Some(0)), None);
        assert_eq!(
            faults.status("proxy_set_shared_data", Some(7)),
            Some(Status::CAS_MISMATCH)
        );
        assert_eq!(faults.status("proxy_set_shared_data", Some(7)), None);
    }
}
