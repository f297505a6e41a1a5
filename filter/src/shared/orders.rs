//! The operator's orders, as they stand on the board.

use crate::balance::order::Order;
use serde::{Deserialize, Serialize};

/// By replica, only what differs from ready; and since when, in Unix milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Orders(Vec<(String, Order, u64)>);

impl Orders {
    /// The order for a replica, and since when it holds.
    pub(crate) fn of(&self, replica: &str) -> (Order, u64) {
        let found = self.0.iter().find(|(name, ..)| name == replica);
        found.map_or_else(Default::default, |(_, order, since)| (*order, *since))
    }

    /// Sets the order for a replica; since when it holds. The same order once more
    /// changes nothing, the time neither.
    pub(crate) fn set(&mut self, replica: &str, order: Order, unix_ms: u64) -> u64 {
        let since = match self.of(replica) {
            (held, since) if held == order && order != Order::Ready => since,
            _ => unix_ms,
        };
        self.0.retain(|(name, ..)| name != replica);
        if order != Order::Ready {
            self.0.push((replica.to_owned(), order, since));
        }
        since
    }
}
