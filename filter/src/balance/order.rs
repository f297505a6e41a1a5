//! What the operator orders of a replica.

use serde::{Deserialize, Serialize};

/// What the operator wants of a replica while all is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// It serves when it is healthy.
    #[default]
    Ready,
    /// No new connections; open ones go on, and it is still probed.
    Drain,
    /// No new connections, and no probes: it is being worked on.
    Maintenance,
}

impl Order {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Order::Ready => "ready",
            Order::Drain => "drain",
            Order::Maintenance => "maintenance",
        }
    }

    /// The order of a name.
    pub fn named(name: &str) -> Option<Order> {
        let all = [Order::Ready, Order::Drain, Order::Maintenance];
        all.into_iter().find(|order| order.name() == name)
    }
}
