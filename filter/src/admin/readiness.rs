//! The balancer's own health: what its `/_ping` answers.

use crate::balance::listener::Listener;
use crate::balance::order::Order;
use crate::balance::replica::{Replica, ReplicaId};
use crate::balancer::Balancer;
use crate::health::verdict::Verdict;

/// Whether enough replicas are usable on each port, or held back only for the failures
/// of clients' connections: a client must not be able to have the balancer say that it
/// is not ready.
///
/// # Errors
///
/// Which port has too few, and what is wrong with the others.
pub fn check(balancer: &Balancer) -> Result<(), String> {
    let needed = balancer.config().min_healthy as usize;
    let pool = balancer.pool();
    for listener in pool.listeners() {
        let usable = pool.ready(listener);
        if usable < needed {
            return Err(too_few(balancer, listener, usable));
        }
    }
    Ok(())
}

/// Whether any of these has enough: a balancer of several registries is of use as long
/// as one of them can be reached.
///
/// # Errors
///
/// What is wrong with each.
pub fn check_any<'a>(balancers: impl IntoIterator<Item = &'a Balancer>) -> Result<(), String> {
    let mut errors = Vec::new();
    for balancer in balancers {
        match (check(balancer), balancer.config().service_name()) {
            (Ok(()), _) => return Ok(()),
            (Err(error), None) => errors.push(error),
            (Err(error), Some(name)) => errors.push(format!("{name}: {error}")),
        }
    }
    Err(errors.join("; "))
}

fn too_few(balancer: &Balancer, listener: &Listener, usable: usize) -> String {
    let (pool, needed) = (balancer.pool(), balancer.config().min_healthy);
    let (port, all) = (listener.port, pool.ring().len());
    let mut text = format!("port {port}: {usable} of {all} replicas usable, {needed} needed");
    for id in pool.ring().iter().take(MOST_NAMED) {
        if let Some(replica) = pool.get(*id)
            && !listener.availability(*id).is_healthy()
            && !listener.is_ejected(*id)
        {
            let why = reason(balancer, *id, replica);
            text.push_str(&format!("; {}: {why}", replica.name));
        }
    }
    text
}

/// Why a replica is not usable.
fn reason(balancer: &Balancer, id: ReplicaId, replica: &Replica) -> String {
    if replica.order() != Order::Ready {
        return replica.order().name().to_owned();
    }
    let mut watches = balancer.prober().of(id);
    let bad = watches.find(|it| replica.verdicts.get(it.check) == Some(&Verdict::Unhealthy));
    match bad.and_then(|watch| watch.state.failure.as_ref()) {
        Some(failure) => failure.in_one_line(),
        None => "unhealthy".to_owned(),
    }
}

/// No more replicas than this are named.
const MOST_NAMED: usize = 16;
