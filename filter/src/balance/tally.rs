//! Connections, counted.

use serde::{Deserialize, Serialize};

/// One replica's connections. Its fields' order is that of the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Open now.
    pub(crate) active: u32,
    /// That ever reached it.
    pub(crate) connections: u64,
    /// Connect attempts that failed.
    pub(crate) failures: u64,
    /// That it ended before their first byte, with nobody else to blame.
    pub(crate) unserved: u64,
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.active = self.active.saturating_add(other.active);
        self.connections = self.connections.saturating_add(other.connections);
        self.failures = self.failures.saturating_add(other.failures);
        self.unserved = self.unserved.saturating_add(other.unserved);
    }

    /// This tally less the totals of another; what is open stays.
    pub(crate) fn without_totals(&self, other: &Tally) -> Tally {
        Tally {
            active: self.active,
            connections: self.connections.saturating_sub(other.connections),
            failures: self.failures.saturating_sub(other.failures),
            unserved: self.unserved.saturating_sub(other.unserved),
        }
    }

    /// Only the totals: nothing is open.
    pub(crate) fn totals(&self) -> Tally {
        Tally { active: 0, ..*self }
    }
}
