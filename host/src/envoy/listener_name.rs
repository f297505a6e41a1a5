//! Names of listeners.

use crate::plan::{Listener, Plan};

/// The names of a plan's listeners for clients, in its order. A name says the port and
/// the address, so that it is the same listener's in every configuration: Envoy would
/// drain one that changes its name.
#[must_use]
pub fn listener_names(plan: &Plan) -> Vec<String> {
    let name = |index: usize, listener: &Listener| {
        let before = plan.listeners.iter().take(index);
        let is_alike = |one: &&Listener| (one.port, one.bind) == (listener.port, listener.bind);
        let name = format!("traffic-{}-{}", listener.port, listener.bind);
        // There may be several at port 0, which is any free port.
        match before.filter(is_alike).count() {
            0 => name,
            alike => format!("{name}-{alike}"),
        }
    };
    let listeners = plan.listeners.iter().enumerate();
    listeners.map(|(index, one)| name(index, one)).collect()
}

/// The name of the filter's own listener.
pub const ADMIN_NAME: &str = "admin";
