//! Resources for Istio: the filter in a gateway of a mesh.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dtr_lb_filter::config::Admin;
use dtr_lb_filter::contract::ClusterNames;

use super::listener::{tcp_proxy, tls_inspector};
use super::options::BootstrapOptions;
use super::resources::clusters;
use super::yaml::{Node, time, yaml};
use crate::config::{Address, Config, ConfigFile};
use crate::plan::{Listener, Plan, Services, listener_root};

/// What the resources need to know besides the configuration.
#[derive(Clone, Debug)]
pub struct IstioOptions {
    /// Where the filter is, such as `oci://registry.example.com/dtr-lb-filter:0.1.0`.
    pub url: String,
    /// The gateway's label `istio`.
    pub gateway: String,
    /// The certificates that `"verify": "system"` means in the gateway's image.
    pub system_roots: PathBuf,
}

/// Writes resources with which a gateway of Istio 1.20 or later balances: the registry as a
/// `ServiceEntry`, the gateway's ports, the filter as a `WasmPlugin` for each port, and an
/// `EnvoyFilter` with what these can't say.
#[must_use]
pub fn istio(file: &ConfigFile, options: &IstioOptions) -> String {
    // Their names must be none of the mesh's.
    let plan = Plan::with_names(file, &ClusterNames::with_prefix(PREFIX));
    let registries = file.registries().iter();
    let entries = registries.enumerate();
    let entries = entries.map(|(at, config)| service_entry(at, config, &plan));
    let head = [gateway(&plan, options), virtual_service(file, &plan)];
    let plugins = first_listeners(&plan).into_iter();
    let plugins = plugins.map(|listener| wasm_plugin(listener, &plan, options));
    let documents = entries
        .chain(head)
        .chain(plugins)
        .chain([envoy_filter(&plan, options)]);
    // Maps, lists, texts and numbers: nothing in it can fail to become YAML.
    let documents = documents.map(|one| yaml_serde::to_string(&one).unwrap_or_default());
    let documents: Vec<String> = documents.collect();
    format!("{HEADER}{}", documents.join("---\n"))
}

/// The registry: what the gateway's listeners lead to before they are patched.
fn service_entry(at: usize, config: &Config, plan: &Plan) -> Node {
    let fixed = config
        .replicas
        .iter()
        .all(|one| matches!(one.address, Address::Ip(_)));
    let ports = first_listeners(plan);
    let endpoints = config.replicas.iter().map(|replica| {
        let ports = ports.iter().map(|listener| {
            let port = listener.port;
            (port_name(port).into(), replica.port(port).into())
        });
        yaml!({
            "address": (replica.address.to_string()),
            "ports": (Node::Mapping(ports.collect())),
        })
    });
    let endpoints: Vec<Node> = endpoints.collect();
    let name = match config.service {
        None => NAME.to_owned(),
        // The service's name may be none for a resource.
        Some(_) => format!("{NAME}-{}", at + 1),
    };
    let ports: Vec<Node> = ports
        .iter()
        .map(|listener| {
            let port = listener.port;
            yaml!({ "number": (port), "name": (port_name(port)), "protocol": "TCP" })
        })
        .collect();
    yaml!({
        "apiVersion": (NETWORKING),
        "kind": "ServiceEntry",
        "metadata": { "name": (name) },
        "spec": {
            "hosts": [(config.fqdn.as_str())],
            "location": "MESH_EXTERNAL",
            "resolution": (if fixed { "STATIC" } else { "DNS" }),
            "ports": (ports),
            "endpoints": (endpoints),
        },
    })
}

/// The ports, as plain TCP: what is TLS passes through untouched.
fn gateway(plan: &Plan, options: &IstioOptions) -> Node {
    let servers = plan.listeners.iter().map(|listener| {
        let number = listener.bind.port();
        yaml!({
            "port": { "number": (number), "name": (port_name(number)), "protocol": "TCP" },
            "hosts": ["*"],
        })
    });
    yaml!({
        "apiVersion": (NETWORKING),
        "kind": "Gateway",
        "metadata": { "name": (NAME) },
        "spec": {
            "selector": { "istio": (options.gateway.as_str()) },
            "servers": (servers.collect::<Vec<Node>>()),
        },
    })
}

/// Where connections go that the filter does not steer.
fn virtual_service(file: &ConfigFile, plan: &Plan) -> Node {
    let default = plan
        .services
        .as_ref()
        .map_or(0, |services| services.default);
    let fqdn = file.registries().get(default).map(|one| one.fqdn.as_str());
    let fqdn = fqdn.unwrap_or_default();
    let routes = plan.listeners.iter().map(|listener| {
        yaml!({
            "match": [{ "port": (listener.bind.port()) }],
            "route": [{
                "destination": {
                    "host": (fqdn),
                    "port": { "number": (listener.port) },
                },
            }],
        })
    });
    yaml!({
        "apiVersion": (NETWORKING),
        "kind": "VirtualService",
        "metadata": { "name": (NAME) },
        "spec": {
            "hosts": ["*"],
            "gateways": [(NAME)],
            "tcp": (routes.collect::<Vec<Node>>()),
        },
    })
}

/// The filter for one port of the service.
fn wasm_plugin(listener: &Listener, plan: &Plan, options: &IstioOptions) -> Node {
    let port = listener.port;
    let numbers = plan.listeners.iter().filter(|one| one.port == port);
    let numbers = numbers.map(|one| yaml!({ "number": (one.bind.port()) }));
    let configuration = plan.balancer.clone().map(|mut balancer| {
        balancer.set("port", &port.into());
        // No admin listener is there, nor anybody's business what its token is.
        let nobody = serde_json::to_value(Admin::NOBODY).unwrap_or_default();
        balancer.set("admin", &nobody);
        balancer.configuration
    });
    let configuration = yaml_serde::to_value(configuration).unwrap_or_default();
    yaml!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": { "name": (format!("{NAME}-{port}")) },
        "spec": {
            "selector": { "matchLabels": { "istio": (options.gateway.as_str()) } },
            "type": "NETWORK",
            "url": (options.url.as_str()),
            "pluginName": (listener_root(port)),
            // With any other, nobody is served where the filter can't be fetched.
            "failStrategy": "FAIL_OPEN",
            "match": [{ "ports": (numbers.collect::<Vec<Node>>()) }],
            "pluginConfig": (configuration),
        },
    })
}

/// What the others can't say: clusters that the filter names, and how often a connection
/// is tried.
fn envoy_filter(plan: &Plan, options: &IstioOptions) -> Node {
    let of_image = BootstrapOptions {
        system_roots: options.system_roots.clone(),
        // Where the filter is, the WasmPlugin says.
        ..BootstrapOptions::with_wasm("")
    };
    let clusters = clusters(plan, &of_image).into_iter();
    let clusters = clusters.map(|cluster| {
        yaml!({
            "applyTo": "CLUSTER",
            "match": { "context": "GATEWAY" },
            "patch": { "operation": "ADD", "value": (cluster) },
        })
    });
    let inspectors = plan.services.iter().flat_map(|services| {
        let ports = plan.listeners.iter().map(|one| one.bind.port());
        ports.flat_map(|port| inspector(port, services))
    });
    let listeners = plan.listeners.iter().map(|listener| {
        yaml!({
            "applyTo": "NETWORK_FILTER",
            "match": {
                "context": "GATEWAY",
                "listener": {
                    "portNumber": (listener.bind.port()),
                    "filterChain": { "filter": { "name": "envoy.filters.network.tcp_proxy" } },
                },
            },
            "patch": { "operation": "MERGE", "value": (tcp_proxy(listener, plan)) },
        })
    });
    yaml!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": (NAME) },
        "spec": {
            "workloadSelector": { "labels": { "istio": (options.gateway.as_str()) } },
            "configPatches": (clusters.chain(inspectors).chain(listeners).collect::<Vec<Node>>()),
        },
    })
}

/// Has the filter know which of several services a client asks for in TLS.
fn inspector(port: u16, services: &Services) -> [Node; 2] {
    let patch = |apply_to: &str, operation: &str, value: Node| {
        yaml!({
            "applyTo": (apply_to),
            "match": { "context": "GATEWAY", "listener": { "portNumber": (port) } },
            "patch": { "operation": (operation), "value": (value) },
        })
    };
    let timeout = yaml!({ "listener_filters_timeout": (time(services.hello_timeout)) });
    [
        patch("LISTENER_FILTER", "INSERT_FIRST", tls_inspector()),
        patch("LISTENER", "MERGE", timeout),
    ]
}

/// One listener for each port of the service.
fn first_listeners(plan: &Plan) -> Vec<&Listener> {
    let mut first = BTreeMap::new();
    for listener in &plan.listeners {
        first.entry(listener.port).or_insert(listener);
    }
    first.into_values().collect()
}

fn port_name(port: u16) -> String {
    format!("tcp-{port}")
}

const NAME: &str = "dtr-lb";
const PREFIX: &str = "dtr-lb/";
const NETWORKING: &str = "networking.istio.io/v1";
const HEADER: &str = "\
# Written by `dtr-lb envoy --istio`; write it again rather than edit it.
# kubectl apply --namespace istio-ingress --filename istio.yaml: the gateway's own namespace.
# \"bind\" of a listener is the port where the gateway's pods listen.
";
