//! Panics that tests ask for.

use std::sync::{Arc, Mutex, PoisonError};

/// Where a worker panics, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Before its VMs start.
    Start,
    /// In a session that has a replica.
    Session,
    /// When it has accepted its last connection.
    Drain,
}

/// The panic that is still to come.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultSwitch(Arc<Mutex<Option<Fault>>>);

impl FaultSwitch {
    pub(crate) fn new(fault: Fault) -> FaultSwitch {
        FaultSwitch(Arc::new(Mutex::new(Some(fault))))
    }

    /// Panics if this is the place.
    pub(crate) fn strike(&self, place: Fault) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.take_if(|fault| *fault == place).is_some() {
            drop(pending);
            panic!("a test asked for a panic in {place:?}");
        }
    }
}
