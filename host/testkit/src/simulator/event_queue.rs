//! Events in the order of their time.

use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm_engine::{CallToken, ContextId};

/// Something that happens at a set time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A root's tick, unless its period was set anew since.
    Tick {
        worker: usize,
        root: ContextId,
        setting: u64,
    },
    /// The answer to a call arrives; no effect when the call is over.
    Answer(CallKey),
    /// A call times out; no effect when the call is over.
    CallTimeout(CallKey),
    /// A connect attempt ends, well or not.
    Connected { connection: usize, attempt: u32 },
    /// An upstream's answer to an HTTP stream arrives.
    Response { exchange: usize },
    /// An HTTP stream times out.
    ResponseTimeout { exchange: usize },
    /// A VM that trapped is built again.
    Rebuild { worker: usize },
}

/// A call of the guest. Tokens begin anew with each VM, so its
/// generation is part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallKey {
    pub(crate) worker: usize,
    pub(crate) generation: u32,
    pub(crate) token: CallToken,
}

/// Events by time; those of one moment in the order they were added.
#[derive(Default)]
pub(crate) struct EventQueue {
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
}

impl EventQueue {
    pub(crate) fn put(&mut self, at: Duration, event: Event) {
        self.events.insert((at, self.count), event);
        self.count += 1;
    }

    /// The next event that is due by then, and when it is.
    pub(crate) fn take_due(&mut self, by: Duration) -> Option<(Duration, Event)> {
        let first = self.events.first_entry()?;
        let (at, _) = *first.key();
        (at <= by).then(|| (at, first.remove()))
    }

    /// When the next event is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Forgets a worker's ticks: its VM is gone.
    pub(crate) fn drop_ticks(&mut self, gone: usize) {
        (self.events)
            .retain(|_, event| !matches!(event, Event::Tick { worker, .. } if *worker == gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_age() {
        let mut event_queue = EventQueue::default();
        let at = Duration::from_secs;
        for (when, worker) in [(2, 0), (1, 1), (2, 2), (3, 3)] {
            event_queue.put(at(when), Event::Rebuild { worker });
        }
        let mut order = Vec::new();
        while let Some((_, Event::Rebuild { worker })) = event_queue.take_due(at(2)) {
            order.push(worker);
        }
        assert_eq!(order, [1, 0, 2]);
        assert_eq!(event_queue.next(), Some(at(3)));
    }
}
