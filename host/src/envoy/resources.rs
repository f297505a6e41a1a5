//! What a plan comes to in Envoy: its listeners and clusters.

use super::listener_name::listener_names;
use super::options::BootstrapOptions;
use super::yaml::Node;
use super::{cluster, listener};
use crate::plan::Plan;

/// One for each address where clients connect, and the filter's own.
pub(super) fn listeners(plan: &Plan, options: &BootstrapOptions) -> Vec<Node> {
    let traffic = plan.listeners.iter().zip(listener_names(plan));
    let traffic = traffic.map(|(one, name)| listener::traffic(&name, one, plan, options));
    let admin = plan.admin.iter();
    let admin = admin.map(|admin| listener::admin(admin, plan, options));
    traffic.chain(admin).collect()
}

/// The pools, the clusters of one endpoint, and the routes over them.
pub(super) fn clusters(plan: &Plan, options: &BootstrapOptions) -> Vec<Node> {
    let pools = plan.pools.iter().map(|pool| cluster::pool(pool, plan));
    let single = plan.clusters.iter();
    let single = single.map(|one| cluster::single(one, plan, options));
    let routes = plan.routes.iter().map(cluster::route);
    pools.chain(single).chain(routes).collect()
}
