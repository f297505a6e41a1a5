//! Whether a replica can be done without.

use anyhow::anyhow;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::health::verdict::Verdict;

use crate::cli::balancer_status::{ListenerStatus, RegistryStatus, ReplicaStatus};

/// Refuses to take out a replica that is the last one to serve a port.
///
/// # Errors
/// Whose clients would be turned away, and what to do.
pub(super) fn refuse(
    registry: &RegistryStatus,
    replica: &ReplicaStatus,
) -> Result<(), anyhow::Error> {
    let lost = registry.listeners.iter().filter(|listener| {
        let now = Serves::of(replica, listener);
        let others = registry
            .replicas
            .iter()
            .filter(|it| it.name != replica.name);
        let best = others.map(|other| Serves::of(other, listener)).max();
        now > best.unwrap_or(Serves::No)
    });
    let ports: Vec<String> = lost.map(|listener| listener.port.to_string()).collect();
    if ports.is_empty() {
        return Ok(());
    }
    let name = &replica.name;
    let clients = match &registry.service {
        Some(service) => format!("clients of {} (service {})", registry.fqdn, service.name),
        None => format!("clients of {}", registry.fqdn),
    };
    let port = match ports.len() {
        1 => "port",
        _ => "ports",
    };
    let ports = ports.join(" and ");
    let others: Vec<String> = (registry.replicas.iter())
        .filter(|other| other.name != *name)
        .map(|other| format!("{}: {}", other.name, other.state))
        .collect();
    let remedy = match others.is_empty() {
        true => "it is the only one configured".to_owned(),
        false => format!("bring another one back first ({})", others.join(", ")),
    };
    Err(anyhow!(
        "{name} is the last usable replica on {port} {ports}: without it new {clients} are turned \
         away there; {remedy}, or give --force"
    ))
}

/// Whether new connections to a port are given to a replica; the greater the rather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Serves {
    No,
    /// While there is no better one: connections to it have failed.
    InNeed,
    Yes,
}

impl Serves {
    fn of(replica: &ReplicaStatus, listener: &ListenerStatus) -> Serves {
        let active = replica.connections.active;
        let is_full = replica
            .max_connections
            .is_some_and(|most| active >= u64::from(most));
        let is_bad = replica.checks.iter().any(|check| {
            check.verdict == Verdict::Unhealthy && listener.checks.contains(&check.name)
        });
        match (replica.order, replica.held_for_ms) {
            (Order::Drain | Order::Maintenance, _) => Serves::No,
            _ if is_bad || is_full => Serves::No,
            (Order::Ready, Some(_)) => Serves::InNeed,
            (Order::Ready, None) => Serves::Yes,
        }
    }
}

#[cfg(test)]
mod tests;
