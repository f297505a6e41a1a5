//! The plan of several registries: what each has as the only one, on the same listeners.

use dtr_lb_filter::contract::{self, ClusterNames, ServerNames};

use super::filter_config::several;
use super::{Balancer, Listener, Plan, Pool, Services};
use crate::config;

pub(super) fn plan(file: &config::Services, names: &ClusterNames) -> Plan {
    let registries = file.services.iter();
    let registries = registries.map(|config| Plan::of_registry(config, names));
    let mut registries: Vec<Plan> = registries.collect();
    let services = services(file);
    let listeners = listeners(&registries, names);
    let fallbacks = listeners
        .iter()
        .map(|one| pool(one, &registries, &services));
    let mut fallbacks: Vec<Pool> = fallbacks.collect();
    // Two addresses may serve one port.
    fallbacks.sort_by(|one, other| one.name.cmp(&other.name));
    fallbacks.dedup_by(|one, other| one.name == other.name);
    let configurations = registries
        .iter_mut()
        .filter_map(|plan| Some(plan.balancer.take()?.configuration));
    let balancer = Balancer {
        vm_id: contract::VM_ID.to_owned(),
        configuration: several(file, configurations.collect()),
    };
    let whole = registries.into_iter().reduce(|mut whole, plan| {
        whole.clusters.extend(plan.clusters);
        whole.routes.extend(plan.routes);
        whole.pools.extend(plan.pools);
        whole.cluster_statuses.extend(plan.cluster_statuses);
        whole
    });
    let mut whole = whole.unwrap_or_default();
    whole.pools.extend(fallbacks);
    Plan {
        listeners,
        balancer: Some(balancer),
        services: Some(services),
        ..whole
    }
}

fn services(file: &config::Services) -> Services {
    let names = file
        .services
        .iter()
        .filter_map(config::Config::service_name);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let by_name = file.services.iter().enumerate().flat_map(|(at, config)| {
        let names = config.service.iter().flat_map(|service| &service.names);
        names.map(move |name| (name.as_str(), at))
    });
    let default = names.iter().position(|name| *name == file.default);
    Services {
        by_name: ServerNames::new(by_name),
        default: default.unwrap_or_default(),
        hello_timeout: file.hello_timeout,
        names,
    }
}

/// The same for all but for the pools. The default's pool has the name of an only registry's:
/// so a listener of Envoy stays the same when the default is another.
fn listeners(registries: &[Plan], names: &ClusterNames) -> Vec<Listener> {
    let first = registries.first().map(|first| first.listeners.as_slice());
    let listeners = first.unwrap_or_default().iter().enumerate();
    let listeners = listeners.map(|(at, listener)| {
        let same = registries.iter().filter_map(|plan| plan.listeners.get(at));
        Listener {
            fallback: names.pool(listener.port),
            service_fallbacks: same.map(|one| one.fallback.clone()).collect(),
            ..listener.clone()
        }
    });
    listeners.collect()
}

/// The default's replicas, under the name of a listener's fallback.
fn pool(listener: &Listener, registries: &[Plan], services: &Services) -> Pool {
    let of_default = listener.service_fallbacks.get(services.default);
    let mut pools = registries.iter().flat_map(|plan| &plan.pools);
    let found = pools.find(|pool| Some(&pool.name) == of_default);
    Pool {
        name: listener.fallback.clone(),
        clusters: found.map(|pool| pool.clusters.clone()).unwrap_or_default(),
    }
}
