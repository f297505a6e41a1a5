//! The objects of a configuration, in the order of the reference.

use dtr_lb::config::ConfigFile;
use serde_json::{Value, json};

/// An object of a configuration, and its table in the reference.
pub(super) struct Section {
    /// Where it stands in the file, or what it is.
    pub(super) heading: &'static str,
    /// What the schema calls it.
    pub(super) definition: &'static str,
    /// A file that has it.
    pub(super) file: &'static str,
    /// The JSON pointer that leads to it there.
    pub(super) at: &'static str,
    /// What is said before the table.
    pub(super) intro: &'static str,
}

/// The section's file with another field in the object.
pub(super) fn file_with(section: &Section, field: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(section.file).unwrap();
    file.pointer_mut(section.at).unwrap()[field] = value;
    file.to_string()
}

/// The fields that the reader knows there, in their order.
pub(super) fn known(section: &Section) -> Vec<String> {
    // It lists them when it meets another one.
    let file = file_with(section, "?", json!(0));
    let message = ConfigFile::parse(&file, "lb.json").unwrap_err().to_string();
    let mut lines = message.lines().filter(|line| line.contains("\"?\""));
    let known = lines.find_map(|line| line.split_once("known: "));
    let (_, known) = known.expect(&message);
    known.split(", ").map(str::to_owned).collect()
}

pub(super) const SECTIONS: [Section; 17] = [
    Section {
        heading: "Top level",
        definition: "Balancer",
        file: BALANCER,
        at: "",
        intro: "The file of one registry. In that of [several](#several-registries) some of these \
                fields stand in each service.",
    },
    Section {
        heading: "`replicas`",
        definition: "Replica",
        file: BALANCER,
        at: "/replicas/0",
        intro: "A replica's address and port must not be one the balancer itself listens on: it \
                would connect to itself over and over. A fixed address is refused; where a DNS \
                name leads there, that address is left out, and the log says so.",
    },
    Section {
        heading: "`listeners`",
        definition: "Listener",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "listeners": [{ "bind": "0.0.0.0:443" }] }"#,
        at: "/listeners/0",
        intro: "To listen on all of IPv4 and of IPv6, list both.",
    },
    Section {
        heading: "`listeners[].health`",
        definition: "CheckSpec",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "listeners": [{ "bind": "0.0.0.0:443", "health": {} }] }"#,
        at: "/listeners/0/health",
        intro: "The check of one port. How often it is made, [`health`](#health) says for all.",
    },
    Section {
        heading: "`health`",
        definition: "Health",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "health": {} }"#,
        at: "/health",
        intro: "The check of all ports that have none of their own, and when replicas are probed.",
    },
    Section {
        heading: "`health.body`",
        definition: "BodySpec",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "health": { "body": {} } }"#,
        at: "/health/body",
        intro: "Also of `listeners[].health`.",
    },
    Section {
        heading: "`passive`",
        definition: "Passive",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "passive": {} }"#,
        at: "/passive",
        intro: "What clients' own connections tell of a replica, between two probes.",
    },
    Section {
        heading: "`cluster_status`",
        definition: "ClusterStatus",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "cluster_status": { "user": "admin", "password_file": "password" } }"#,
        at: "/cluster_status",
        intro: "For registries of the DTR family, which say at `/api/v0/meta/cluster_status` how \
                their replicas are.",
    },
    Section {
        heading: "`admin`",
        definition: "Admin",
        file: r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }],
                   "admin": { "bind": "127.0.0.1:8181", "token": "replace-this-one" } }"#,
        at: "/admin",
        intro: "The listener of the page, the API and the metrics.",
    },
    Section {
        heading: "`admin.tls`",
        definition: "AdminTls",
        file: r#"{ "admin": { "tls": {} } }"#,
        at: "/admin/tls",
        intro: "The certificate of the admin listener.",
    },
    Section {
        heading: "Several registries",
        definition: "Services",
        file: SERVICES,
        at: "",
        intro: "A file with `services` balances several registries on the same listeners. Its \
                top level:",
    },
    Section {
        heading: "`services`",
        definition: "Service",
        file: SERVICES,
        at: "/services/0",
        intro: "Each service:",
    },
    Section {
        heading: "A chain of filters",
        definition: "Chain",
        file: CHAIN,
        at: "",
        intro: "A file with `clusters`, or with `filters` and neither `replicas` nor `services`, \
                has network filters that others wrote and no balancer. Its top level:",
    },
    Section {
        heading: "`listeners` of a chain",
        definition: "ChainListener",
        file: CHAIN,
        at: "/listeners/0",
        intro: "Where connections are accepted, and where they go.",
    },
    Section {
        heading: "`clusters`",
        definition: "Cluster",
        file: CHAIN,
        at: "/clusters/0",
        intro: "Where connections and the filters' calls may go.",
    },
    Section {
        heading: "`clusters[].tls`",
        definition: "Tls",
        file: r#"{ "listeners": [{ "bind": "0.0.0.0:443", "cluster": "web" }], "clusters": [
                   { "name": "web", "endpoints": ["10.0.0.11:443"], "tls": {} }] }"#,
        at: "/clusters/0/tls",
        intro: "TLS for the filters' calls.",
    },
    Section {
        heading: "`filters`",
        definition: "NetworkFilter",
        file: CHAIN,
        at: "/filters/0",
        intro: "Of a chain, or before the balancer of one registry or several.",
    },
];

const BALANCER: &str = r#"{
    "fqdn": "dtr.example.com",
    "replicas": [{ "address": "10.0.0.11" }, { "address": "10.0.0.12" }],
    "accept_proxy_from": ["10.1.0.0/16"]
}"#;

const SERVICES: &str = r#"{
    "services": [{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }] }]
}"#;

const CHAIN: &str = r#"{
    "listeners": [{ "bind": "0.0.0.0:443", "cluster": "web" }],
    "clusters": [{ "name": "web", "endpoints": ["10.0.0.11:443"] }],
    "filters": [{ "wasm": "filter.wasm" }]
}"#;
