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

    pub(crate) fn is_ready(&self) -> bool {
        *self == Order::Ready
    }
}

/// An order that is being given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder<'a> {
    /// What is wanted.
    pub order: Order,
    /// Why, shown with the order; `None`: as it was, if the order is the same.
    pub comment: Option<&'a str>,
    /// Who gives it: an address and a port; empty: that is not known.
    pub client: &'a str,
}

impl From<Order> for NewOrder<'_> {
    fn from(order: Order) -> Self {
        NewOrder {
            order,
            comment: None,
            client: "",
        }
    }
}

/// The order that holds for a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldOrder {
    pub(crate) order: Order,
    /// In Unix milliseconds; `None`: it stands in the configuration.
    pub(crate) since_unix_ms: Option<u64>,
    pub(crate) comment: String,
}

impl From<Order> for HeldOrder {
    fn from(order: Order) -> HeldOrder {
        HeldOrder {
            order,
            ..HeldOrder::default()
        }
    }
}
