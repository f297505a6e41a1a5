//! The last events: what the log has of replicas and orders, for those who look at the
//! status.

use crate::effect::Level;
use serde::{Deserialize, Serialize};

/// The last of them, oldest first: [`MOST_EVENTS`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Events(Vec<Event>);

/// A change of a replica's state, an order, a port without a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub unix_ms: u64,
    /// How much the operator should care.
    pub level: Level,
    /// The text of the line in the log.
    pub text: String,
    /// Who asked for it, an address and a port; empty: nobody did.
    pub client: String,
}

impl Events {
    /// Adds some; the oldest give way.
    pub(crate) fn add(&mut self, events: &[Event]) {
        self.0.extend_from_slice(events);
        let more = self.0.len().saturating_sub(MOST_EVENTS);
        self.0.drain(..more);
    }

    pub(crate) fn into_vec(self) -> Vec<Event> {
        self.0
    }
}

/// As many are kept.
const MOST_EVENTS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let event = |unix_ms| Event {
            unix_ms,
            level: Level::Warn,
            text: String::new(),
            client: String::new(),
        };
        let mut events = Events::default();
        let times = |events: &Events| -> Vec<u64> {
            let events = events.clone().into_vec();
            events.iter().map(|event| event.unix_ms).collect()
        };
        for some in [0..30, 30..50, 50..52, 52..152] {
            let last = some.end;
            events.add(&some.map(event).collect::<Vec<_>>());
            let expected: Vec<u64> = (last.saturating_sub(50)..last).collect();
            assert_eq!(times(&events), expected, "up to {last}");
        }
    }
}
