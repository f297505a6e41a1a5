//! What Envoy discovers of a plan: the contents of the files that it watches.

use serde_json::{Value, json};

use super::options::BootstrapOptions;
use super::plugin::{Plugin, Revision};
use super::resources::{clusters, listeners};
use super::yaml::Node;
use crate::plan::Plan;
use crate::sha256::sha256;

/// The file of one plugin.
pub(super) struct PluginFile {
    pub(super) name: String,
    pub(super) resource: Value,
}

/// The clusters, as the file of clusters has them.
pub(super) fn cluster_resources(plan: &Plan, options: &BootstrapOptions) -> Vec<Value> {
    typed(CLUSTER, clusters(plan, options))
}

/// The listeners, as the file of listeners has them.
pub(super) fn listener_resources(plan: &Plan, options: &BootstrapOptions) -> Vec<Value> {
    typed(LISTENER, listeners(plan, options))
}

/// The files of the plugins.
pub(super) fn plugin_files(
    plan: &Plan,
    options: &BootstrapOptions,
    revision: Revision,
) -> Vec<PluginFile> {
    let plugins = Plugin::all(plan).into_iter();
    plugins
        .map(|plugin| PluginFile {
            name: plugin.file(),
            resource: json(plugin.resource(plan, options, revision)),
        })
        .collect()
}

/// A file of resources, one a line; and the version by which Envoy says that it has it.
pub(super) struct Resources {
    pub(super) version: String,
    pub(super) text: String,
}

impl Resources {
    pub(super) fn new<'a>(resources: impl IntoIterator<Item = &'a Value>) -> Resources {
        let lines: Vec<String> = resources.into_iter().map(Value::to_string).collect();
        let lines = lines.join(",\n");
        let version = fingerprint(lines.as_bytes());
        Resources {
            text: format!("{{\"version_info\":\"{version}\",\"resources\":[\n{lines}\n]}}\n"),
            version,
        }
    }

    /// The resources of a file's text; `None`: it is no such file.
    pub(super) fn read(text: &str) -> Option<Vec<Value>> {
        let mut file: Value = serde_json::from_str(text).ok()?;
        match file.get_mut("resources")?.take() {
            Value::Array(resources) => Some(resources),
            _ => None,
        }
    }
}

/// The name of a resource, which is unique among those of its file.
pub(super) fn name(resource: &Value) -> &str {
    resource["name"].as_str().unwrap_or_default()
}

/// Twelve digits that are others for other contents.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let mut digits = sha256(bytes);
    digits.truncate(12);
    digits
}

fn typed(type_url: &str, nodes: Vec<Node>) -> Vec<Value> {
    let typed = |node| {
        let mut resource = json!({ "@type": type_url });
        if let (Value::Object(fields), Value::Object(more)) = (&mut resource, json(node)) {
            fields.extend(more);
        }
        resource
    };
    nodes.into_iter().map(typed).collect()
}

/// Maps with texts as keys, lists, texts and numbers: nothing in it can fail to become
/// JSON.
fn json(node: Node) -> Value {
    serde_json::to_value(node).unwrap_or_default()
}

/// The file of the clusters.
pub(super) const CLUSTERS_FILE: &str = "cds.json";
/// The file of the listeners.
pub(super) const LISTENERS_FILE: &str = "lds.json";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
