//! What no single field of a chain's file shows; defaults.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::file::{self, ChainFile};
use super::{Chain, ChainCluster, ChainListener};
use crate::config::defaults::{CONNECT_TIMEOUT, DNS_REFRESH, DRAIN_TIMEOUT, HALF_CLOSE_TIMEOUT};
use crate::config::duration::BoundedDuration;
use crate::config::error::ConfigError;
use crate::config::network_filter;
use crate::config::number::MaxConnections;
use crate::config::own_listener::OwnListeners;
use crate::config::source::Source;
use crate::config::verify::Verify;

/// Checks the file, reads the modules it names, and fills in defaults.
pub(in crate::config) fn validate(file: ChainFile, source: &Source) -> Result<Chain, ConfigError> {
    if file.listeners.is_empty() {
        let problem = r#"list at least one, such as {"bind": "0.0.0.0:443", "cluster": "web"}"#;
        return Err(source.refuse("listeners", json!([]), problem));
    }
    let filters = network_filter::load(file.filters, source)?;
    let clusters = clusters(file.clusters, source)?;
    let listeners = listeners(file.listeners, &clusters, source)?;
    let admin = file.admin.map(|admin| admin.bind.0);
    let own = OwnListeners::new(listeners.iter().map(|one| one.bind), admin);
    for (at, cluster) in clusters.iter().enumerate() {
        for (index, endpoint) in cluster.endpoints.iter().enumerate() {
            let field = format!("clusters[{at}].endpoints[{index}]");
            own.refuse(&field, (&endpoint.address, endpoint.port), source)?;
        }
    }
    Ok(Chain {
        listeners,
        clusters,
        filters,
        admin,
        idle_timeout: file.idle_timeout.map(BoundedDuration::get),
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
    })
}

fn clusters(file: Vec<file::Cluster>, source: &Source) -> Result<Vec<ChainCluster>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut clusters = Vec::new();
    for (index, cluster) in file.into_iter().enumerate() {
        let field = format!("clusters[{index}]");
        if !names.insert(cluster.name.0.clone()) {
            let problem = "another cluster has this name; give each its own";
            return Err(source.refuse(&format!("{field}.name"), cluster.name.0, problem));
        }
        clusters.push(self::cluster(cluster, &field, source)?);
    }
    Ok(clusters)
}

fn cluster(
    cluster: file::Cluster,
    field: &str,
    source: &Source,
) -> Result<ChainCluster, ConfigError> {
    if cluster.endpoints.is_empty() {
        let problem = r#"list at least one, such as "10.0.0.11:443""#;
        return Err(source.refuse(&format!("{field}.endpoints"), json!([]), problem));
    }
    let verify = |tls: file::Tls| {
        let field = format!("{field}.tls");
        Verify::read(tls.verify.as_deref(), &field, source)
    };
    Ok(ChainCluster {
        name: cluster.name.0,
        endpoints: cluster.endpoints,
        connect_timeout: cluster
            .connect_timeout
            .map_or(CONNECT_TIMEOUT, BoundedDuration::get),
        protocol: cluster.protocol,
        tls: cluster.tls.map(verify).transpose()?,
    })
}

fn listeners(
    file: Vec<file::Listener>,
    clusters: &[ChainCluster],
    source: &Source,
) -> Result<Vec<ChainListener>, ConfigError> {
    let mut listeners: Vec<ChainListener> = Vec::new();
    for (index, listener) in file.into_iter().enumerate() {
        let (bind, cluster) = (listener.bind.0, listener.cluster.0);
        if clusters.iter().all(|known| known.name != cluster) {
            let mut known: Vec<&str> = clusters.iter().map(|one| one.name.as_str()).collect();
            known.sort_unstable();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            let field = format!("listeners[{index}].cluster");
            let problem = format!("no cluster has this name; known: {known}");
            return Err(source.refuse(&field, cluster, problem));
        }
        let same = |other: &ChainListener| other.bind == bind && bind.port() != 0;
        if let Some(other) = listeners.iter().position(same) {
            let field = format!("listeners[{index}].bind");
            let problem = format!("listeners[{other}] has this address too; remove one");
            return Err(source.refuse(&field, bind.to_string(), problem));
        }
        listeners.push(ChainListener {
            bind,
            cluster,
            max_connections: listener.max_connections.map(MaxConnections::u32),
        });
    }
    Ok(listeners)
}
