//! Manifests for Kubernetes: plain Envoys that follow one configuration.

use std::collections::BTreeMap;

use super::yaml::{Node, extend, yaml};
use crate::plan::Plan;

/// What the manifests need to know besides the plan.
#[derive(Clone, Debug)]
pub struct KubernetesOptions {
    /// The configuration, as the operator wrote it.
    pub configuration: String,
    /// An image with this program as its entry point, which nodes can pull.
    pub image: String,
    /// An image with Envoy 1.40.
    pub envoy_image: String,
}

/// Writes manifests of a `Deployment` of Envoys, its `ConfigMap`, a `Service` and a
/// `PodDisruptionBudget`.
///
/// The `ConfigMap` holds the operator's file and not what Envoy watches: that would be
/// switched all at once, and connections lost whose cluster is not there yet. In each pod
/// this program writes the folder that Envoy watches, in order.
#[must_use]
pub fn kubernetes(plan: &Plan, options: &KubernetesOptions) -> String {
    let documents = [
        yaml!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": (NAME) },
            "data": { "lb.json": (options.configuration.as_str()) },
        }),
        deployment(plan, options),
        yaml!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": (named()),
            "spec": {
                "type": "LoadBalancer",
                // The client's address arrives as it is: source-hash and the access log
                // need it.
                "externalTrafficPolicy": "Local",
                "selector": (labels()),
                "ports": (service_ports(plan)),
            },
        }),
        yaml!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": { "name": (NAME) },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": (labels()) } },
        }),
    ];
    // Maps, lists, texts and numbers: nothing in it can fail to become YAML.
    let documents = documents.map(|one| yaml_serde::to_string(&one).unwrap_or_default());
    format!("{HEADER}{}", documents.join("---\n"))
}

fn deployment(plan: &Plan, options: &KubernetesOptions) -> Node {
    let labels = || yaml!({ "matchLabels": (labels()) });
    yaml!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": (named()),
        "spec": {
            "replicas": 2,
            "selector": (labels()),
            // No pod is taken away before another accepts connections.
            "strategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
            "template": {
                "metadata": { "labels": (self::labels()) },
                "spec": {
                    "terminationGracePeriodSeconds": (DRAIN_SECONDS + 20),
                    "automountServiceAccountToken": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": (USER),
                        "runAsGroup": (USER),
                        "fsGroup": (USER),
                        "seccompProfile": { "type": "RuntimeDefault" },
                        // Ports below 1024 are for everybody in the pod.
                        "sysctls": [{
                            "name": "net.ipv4.ip_unprivileged_port_start",
                            "value": "0",
                        }],
                    },
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": (labels()),
                    }],
                    // Envoy finds the folder written.
                    "initContainers": [(writer("write", "100m", &[], options))],
                    "containers": [
                        (envoy(plan, options)),
                        (writer("follow", "10m", &["--watch"], options)),
                    ],
                    "volumes": [
                        { "name": "config", "configMap": { "name": (NAME) } },
                        { "name": "watched", "emptyDir": {} },
                    ],
                },
            },
        },
    })
}

/// A container that writes what Envoy watches.
fn writer(name: &str, cpu: &str, more: &[&str], options: &KubernetesOptions) -> Node {
    let arguments = [
        "envoy",
        "--config",
        "/etc/dtr-lb/lb.json",
        "--out",
        WATCHED,
        "--dynamic",
        "--system-roots",
        "/etc/ssl/certs/ca-certificates.crt",
    ];
    let arguments = arguments.iter().chain(more);
    let arguments: Vec<Node> = arguments.map(|it| Node::from(*it)).collect();
    yaml!({
        "name": (name),
        "image": (options.image.as_str()),
        "args": (arguments),
        "resources": {
            "requests": { "cpu": (cpu), "memory": "32Mi" },
            "limits": { "memory": "128Mi" },
        },
        "securityContext": (restricted()),
        "volumeMounts": [
            { "name": "config", "mountPath": "/etc/dtr-lb", "readOnly": true },
            { "name": "watched", "mountPath": (WATCHED) },
        ],
    })
}

fn envoy(plan: &Plan, options: &KubernetesOptions) -> Node {
    let ports = plan.listeners.iter().map(|one| one.bind.port());
    let ports: Vec<Node> = ports
        .map(|port| yaml!({ "containerPort": (port) }))
        .collect();
    let container = yaml!({
        "name": "envoy",
        "image": (options.envoy_image.as_str()),
        "command": ["envoy"],
        "args": ["-c", (format!("{WATCHED}/envoy.yaml")), "--drain-time-s", "600"],
        "ports": (ports),
        // What is open goes on while no more comes; then SIGTERM ends the rest.
        "lifecycle": { "preStop": { "sleep": { "seconds": (DRAIN_SECONDS) } } },
        "resources": {
            "requests": { "cpu": "500m", "memory": "256Mi" },
            "limits": { "memory": "1Gi" },
        },
        "securityContext": (restricted()),
        "volumeMounts": [{ "name": "watched", "mountPath": (WATCHED), "readOnly": true }],
    });
    let first = plan.listeners.iter().map(|one| one.bind.port()).next();
    let accepts = first.map(|port| yaml!({ "tcpSocket": { "port": (port) } }));
    // Not whether the replicas are well: all pods see the same, and a service without a
    // pod serves nobody.
    extend(
        container,
        [(
            "readinessProbe",
            accepts.map_or(Node::Null, |probe| {
                extend(
                    probe,
                    [("periodSeconds", 2.into()), ("failureThreshold", 2.into())],
                )
            }),
        )],
    )
}

fn restricted() -> Node {
    yaml!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

/// The service's ports, each to the first listener for it.
fn service_ports(plan: &Plan) -> Vec<Node> {
    let mut ports = BTreeMap::new();
    for listener in &plan.listeners {
        ports.entry(listener.port).or_insert(listener.bind.port());
    }
    ports
        .into_iter()
        .map(|(port, target)| {
            yaml!({ "name": (format!("port-{port}")), "port": (port), "targetPort": (target) })
        })
        .collect()
}

fn labels() -> Node {
    yaml!({ "app.kubernetes.io/name": (NAME) })
}

fn named() -> Node {
    yaml!({ "name": (NAME), "labels": (labels()) })
}

const NAME: &str = "dtr-lb-envoy";
/// The folder that Envoy watches.
const WATCHED: &str = "/watched";
/// How long open connections may go on when a pod ends.
const DRAIN_SECONDS: u32 = 300;
/// Anybody but root.
const USER: u32 = 65_532;
const HEADER: &str = "\
# Written by `dtr-lb envoy --kubernetes`; write it again rather than edit it.
# kubectl apply --filename kubernetes.yaml, again whenever lb.json changes: the pods stay,
# and follow it when the kubelet has handed them the ConfigMap, within about a minute.
";
