//! What no single field of a chain's file shows; defaults.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::file::{self, ChainFile};
use super::{Chain, ChainCluster, ChainListener};
use crate::config::defaults::{CONNECT_TIMEOUT, DNS_REFRESH, DRAIN_TIMEOUT, HALF_CLOSE_TIMEOUT};
use crate::config::duration::BoundedDuration;
use crate::config::network_filter;
use crate::config::number::MaxConnections;
use crate::config::own_listener::OwnListeners;
use crate::config::problems::Problems;
use crate::config::takeover_socket;
use crate::config::verify::Verify;
use crate::config::warnings;

/// Checks the file, reads the modules it names, and fills in defaults.
pub(in crate::config) fn validate(file: ChainFile, problems: &mut Problems) -> Chain {
    if file.listeners.is_empty() {
        let problem = r#"list at least one, such as {"bind": "0.0.0.0:443", "cluster": "web"}"#;
        problems.refuse("listeners", json!([]), problem);
    }
    let filters = network_filter::load(file.filters, problems);
    let clusters = clusters(file.clusters, problems);
    let listeners = listeners(file.listeners, &clusters, problems);
    let admin = file.admin.map(|admin| admin.read(problems));
    let takeover_socket = file.takeover_socket.as_deref();
    let takeover_socket = takeover_socket.map(|path| takeover_socket::read(path, problems));
    let bind = admin.as_ref().map(|admin| admin.bind);
    let own = OwnListeners::new(listeners.iter().map(|one| one.bind), bind);
    for (at, cluster) in clusters.iter().enumerate() {
        for (index, endpoint) in cluster.endpoints.iter().enumerate() {
            let place = (&endpoint.address, endpoint.port);
            if let Some(problem) = own.problem(place, problems.source()) {
                let field = format!("clusters[{at}].endpoints[{index}]");
                problems.refuse(&field, endpoint.address.to_string(), problem);
            }
        }
    }
    let idle_timeout = file.idle_timeout.map(BoundedDuration::get);
    warnings::of_idle_timeout(idle_timeout, problems);
    Chain {
        listeners,
        clusters,
        filters,
        admin,
        takeover_socket,
        watch: file.watch,
        idle_timeout,
        resend_first_flight: file.resend_first_flight.unwrap_or(true),
        half_close_timeout: file
            .half_close_timeout
            .map_or(HALF_CLOSE_TIMEOUT, BoundedDuration::get),
        max_connections: file.max_connections.map(MaxConnections::u32),
        dns_refresh: file.dns_refresh.map_or(DNS_REFRESH, BoundedDuration::get),
        drain_delay: file
            .drain_delay
            .map_or(Duration::ZERO, BoundedDuration::get),
        drain_timeout: file
            .drain_timeout
            .map_or(DRAIN_TIMEOUT, BoundedDuration::get),
        warnings: Vec::new(),
        source: problems.source().clone(),
    }
}

fn clusters(file: Vec<file::Cluster>, problems: &mut Problems) -> Vec<ChainCluster> {
    let mut names = BTreeSet::new();
    let mut clusters = Vec::new();
    for (index, cluster) in file.into_iter().enumerate() {
        let field = format!("clusters[{index}]");
        if !names.insert(cluster.name.0.clone()) {
            let problem = "another cluster has this name; give each its own";
            problems.refuse(&format!("{field}.name"), cluster.name.0.as_str(), problem);
        }
        clusters.push(self::cluster(cluster, &field, problems));
    }
    clusters
}

fn cluster(cluster: file::Cluster, field: &str, problems: &mut Problems) -> ChainCluster {
    if cluster.endpoints.is_empty() {
        let problem = r#"list at least one, such as "10.0.0.11:443""#;
        problems.refuse(&format!("{field}.endpoints"), json!([]), problem);
    }
    let tls = cluster.tls.map(|tls| {
        let field = format!("{field}.tls");
        Verify::read(tls.verify.as_deref(), &field, problems)
    });
    if tls == Some(Verify::None) {
        warnings::of_no_verification(&format!("{field}.tls.verify"), problems);
    }
    ChainCluster {
        name: cluster.name.0,
        endpoints: cluster.endpoints,
        connect_timeout: cluster
            .connect_timeout
            .map_or(CONNECT_TIMEOUT, BoundedDuration::get),
        protocol: cluster.protocol,
        tls,
    }
}

fn listeners(
    file: Vec<file::Listener>,
    clusters: &[ChainCluster],
    problems: &mut Problems,
) -> Vec<ChainListener> {
    let name = |index: usize| format!("clusters[{index}].name");
    let names_are_known = !problems.is_refused("clusters")
        && !(0..clusters.len()).any(|index| problems.is_refused(&name(index)));
    let mut listeners: Vec<ChainListener> = Vec::new();
    for (index, listener) in file.into_iter().enumerate() {
        let (bind, cluster) = (listener.bind.0, listener.cluster.0);
        if names_are_known && clusters.iter().all(|known| known.name != cluster) {
            let mut known: Vec<&str> = clusters.iter().map(|one| one.name.as_str()).collect();
            known.sort_unstable();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            let field = format!("listeners[{index}].cluster");
            let problem = format!("no cluster has this name; known: {known}");
            problems.refuse(&field, cluster.as_str(), problem);
        }
        let same = |other: &ChainListener| other.bind == bind && bind.port() != 0;
        if let Some(other) = listeners.iter().position(same) {
            let field = format!("listeners[{index}].bind");
            let problem = format!("listeners[{other}] has this address too; remove one");
            problems.refuse(&field, bind.to_string(), problem);
        }
        listeners.push(ChainListener {
            bind,
            cluster,
            max_connections: listener.max_connections.map(MaxConnections::u32),
        });
    }
    listeners
}
