//! A chain of network filters as the operator writes it, and what it comes to.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ConfigError;
use super::address::{Bind, Endpoint};
use super::check::{CONNECT_TIMEOUT, DNS_REFRESH, DRAIN_TIMEOUT};
use super::check_spec::verify;
use super::error::Source;
use super::network_filter::{Failure, NetworkFilter, VmSettings};
use super::number::{BoundedInt, Size};
use super::text::{AbiName, BoundedDuration, ClusterName};
use crate::plan::{self, Plan, Pool, Protocol};
use proxy_wasm_engine::Profile;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    listeners: Vec<Listener>,
    clusters: Vec<Cluster>,
    #[serde(default)]
    filters: Vec<Filter>,
    admin: Option<Admin>,
    idle_timeout: Option<BoundedDuration<1>>,
    dns_refresh: Option<BoundedDuration<10>>,
    drain_timeout: Option<BoundedDuration<0>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    bind: Bind,
    cluster: ClusterName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    name: ClusterName,
    endpoints: Vec<Endpoint>,
    connect_timeout: Option<BoundedDuration<1>>,
    #[serde(default)]
    protocol: HttpVersion,
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HttpVersion {
    #[default]
    Http1,
    Http2,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    verify: Option<String>,
}

/// One filter, of either form of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    wasm: String,
    name: Option<String>,
    #[serde(default)]
    root_id: String,
    #[serde(default)]
    configuration: Value,
    #[serde(default)]
    vm_id: String,
    #[serde(default)]
    vm_configuration: Value,
    #[serde(default)]
    profile: Behaviour,
    capabilities: Option<Vec<AbiName>>,
    memory: Option<Size<65_536, 4_294_967_296>>,
    time: Option<BoundedDuration<1>>,
    log_limit: Option<BoundedInt<1, 1_000_000>>,
    #[serde(default)]
    failure: OnFailure,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Behaviour {
    #[default]
    Envoy,
    Spec,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnFailure {
    #[default]
    Reload,
    Open,
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    bind: Bind,
}

/// Checks what no single field tells, reads the modules, and fills in defaults.
pub(super) fn plan(file: File, source: &Source, folder: &Path) -> Result<Plan, ConfigError> {
    if file.listeners.is_empty() {
        let remedy = r#"list at least one, such as {"bind": "0.0.0.0:443", "cluster": "web"}"#;
        return Err(source.refuse("listeners", json!([]), remedy));
    }
    let mut plan = Plan {
        listeners: Vec::new(),
        clusters: Vec::new(),
        routes: Vec::new(),
        pools: Vec::new(),
        network_filters: filters(file.filters, source, folder)?,
        balancer: None,
        admin: file.admin.map(|admin| plan::Admin { bind: admin.bind.0 }),
        drain_timeout: file
            .drain_timeout
            .map_or(DRAIN_TIMEOUT, BoundedDuration::get),
        dns_refresh: file.dns_refresh.map_or(DNS_REFRESH, BoundedDuration::get),
    };
    let mut names = BTreeSet::new();
    for (at, cluster) in file.clusters.into_iter().enumerate() {
        let field = format!("clusters[{at}]");
        if !names.insert(cluster.name.0.clone()) {
            let problem = "another cluster has this name; give each its own";
            return Err(source.refuse(&format!("{field}.name"), cluster.name.0, problem));
        }
        self::cluster(cluster, &field, source, folder, &mut plan)?;
    }
    for (at, listener) in file.listeners.into_iter().enumerate() {
        if !names.contains(&listener.cluster.0) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let problem = format!(
                "no cluster has this name; known: {}",
                match known.is_empty() {
                    true => "none".to_owned(),
                    false => known.join(", "),
                }
            );
            let field = format!("listeners[{at}].cluster");
            return Err(source.refuse(&field, listener.cluster.0, problem));
        }
        if let Some(twin) = (plan.listeners.iter())
            .position(|other| other.bind == listener.bind.0 && other.bind.port() != 0)
        {
            let problem = format!("listeners[{twin}] has this address too; remove one");
            let field = format!("listeners[{at}].bind");
            return Err(source.refuse(&field, listener.bind.0.to_string(), problem));
        }
        plan.listeners.push(plan::Listener {
            bind: listener.bind.0,
            port: listener.bind.0.port(),
            fallback: listener.cluster.0,
            idle_timeout: file.idle_timeout.map(BoundedDuration::get),
        });
    }
    Ok(plan)
}

/// Reads the modules.
pub(super) fn filters(
    filters: Vec<Filter>,
    source: &Source,
    folder: &Path,
) -> Result<Vec<NetworkFilter>, ConfigError> {
    let count = filters.len();
    if count > MOST_FILTERS {
        let problem = format!("{count} filters are given; at most {MOST_FILTERS} can be");
        return Err(source.refuse_field("filters", problem));
    }
    let filters = filters.into_iter().enumerate();
    filters
        .map(|(at, one)| filter(one, &format!("filters[{at}]"), source, folder))
        .collect()
}

/// One endpoint is a cluster of the plan; several are a pool of them.
fn cluster(
    cluster: Cluster,
    field: &str,
    source: &Source,
    folder: &Path,
    plan: &mut Plan,
) -> Result<(), ConfigError> {
    let name = cluster.name.0;
    let several = cluster.endpoints.len() > 1;
    if cluster.endpoints.is_empty() {
        let remedy = r#"list at least one, such as "10.0.0.11:443""#;
        return Err(source.refuse(&format!("{field}.endpoints"), json!([]), remedy));
    }
    let tls = match &cluster.tls {
        Some(tls) => Some(verify(
            tls.verify.as_deref(),
            &format!("{field}.tls"),
            source,
            folder,
        )?),
        None => None,
    };
    let mut members = Vec::new();
    for (at, endpoint) in cluster.endpoints.into_iter().enumerate() {
        let member = match several {
            true => format!("{name}[{at}]"),
            false => name.clone(),
        };
        members.push(member.clone());
        plan.clusters.push(plan::Cluster {
            name: member,
            part_of: several.then(|| name.clone()),
            replica: endpoint.to_string(),
            host: endpoint.host,
            port: endpoint.port,
            tls: tls.clone(),
            protocol: match cluster.protocol {
                HttpVersion::Http1 => Protocol::Http1,
                HttpVersion::Http2 => Protocol::Http2,
            },
            connect_timeout: cluster
                .connect_timeout
                .map_or(CONNECT_TIMEOUT, BoundedDuration::get),
        });
    }
    if several {
        plan.pools.push(Pool {
            name,
            clusters: members,
        });
    }
    Ok(())
}

fn filter(
    filter: Filter,
    field: &str,
    source: &Source,
    folder: &Path,
) -> Result<NetworkFilter, ConfigError> {
    let path = folder.join(&filter.wasm);
    let code = std::fs::read(&path).map_err(|error| {
        let problem = format!(
            "can't be read: {}: {error}; give the path of the module, from the configuration's folder",
            path.display()
        );
        source.refuse(&format!("{field}.wasm"), filter.wasm.as_str(), problem)
    })?;
    let stem = || {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let settings = VmSettings::default();
    Ok(NetworkFilter {
        name: filter.name.or_else(stem).unwrap_or_default(),
        file: path.display().to_string(),
        code: code.into(),
        root_id: filter.root_id,
        configuration: bytes(filter.configuration),
        vm: VmSettings {
            id: filter.vm_id,
            configuration: bytes(filter.vm_configuration),
            profile: match filter.profile {
                Behaviour::Envoy => Profile::Envoy,
                Behaviour::Spec => Profile::Spec,
            },
            capabilities: filter
                .capabilities
                .map(|names| names.into_iter().map(|name| name.0).collect()),
            memory: filter.memory.map_or(settings.memory, Size::get),
            time: filter.time.map_or(settings.time, BoundedDuration::get),
            log_limit: filter.log_limit.map(BoundedInt::u32),
            failure: match filter.failure {
                OnFailure::Reload => Failure::Reload,
                OnFailure::Open => Failure::Open,
                OnFailure::Closed => Failure::Closed,
            },
        },
    })
}

/// What a plugin is handed: a text as it stands, anything else as JSON.
fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// As many as a connection has bits for.
const MOST_FILTERS: usize = 32;
