//! Panics and stops that tests ask for.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

/// A place that a worker, or the main thread, comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Before a worker's VMs start.
    Start,
    /// When a worker has begun to accept.
    Life,
    /// In the task that accepts, which has a client.
    Accept,
    /// In a session that has a replica.
    Session,
    /// In a timer of a filter.
    Tick,
    /// In the task of a filter's HTTP call.
    HttpCall,
    /// In a call into a VM.
    VmCall,
    /// In the task that accepts clients of the admin listener.
    AdminAccept,
    /// Before names are looked up again.
    Resolver,
    /// When a worker has accepted its last connection.
    Drain,
}

/// What is still to happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultSwitch(Arc<Mutex<Option<(Fault, Event)>>>);

#[derive(Debug)]
enum Event {
    Panic,
    /// The thread stands still until the other end is used or dropped.
    Wait(Receiver<()>),
}

impl FaultSwitch {
    /// The first to come by panics.
    pub(crate) fn new(fault: Fault) -> FaultSwitch {
        let switch = FaultSwitch::default();
        switch.arm(fault);
        switch
    }

    /// The next to come by panics.
    pub(crate) fn arm(&self, fault: Fault) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *pending = Some((fault, Event::Panic));
    }

    /// The first to come by waits, with all its thread.
    pub(crate) fn stopping(fault: Fault, until: Receiver<()>) -> FaultSwitch {
        FaultSwitch(Arc::new(Mutex::new(Some((fault, Event::Wait(until))))))
    }

    /// Whether nobody has come by yet.
    pub(crate) fn is_pending(&self) -> bool {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.is_some()
    }

    /// Panics, or waits, if this is the place.
    pub(crate) fn strike(&self, place: Fault) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = pending.take_if(|(fault, _)| *fault == place);
        drop(pending);
        match event {
            None => {}
            Some((_, Event::Panic)) => panic!("a test asked for a panic in {place:?}"),
            // An error: the test dropped the other end.
            Some((_, Event::Wait(until))) => drop(until.recv()),
        }
    }
}
