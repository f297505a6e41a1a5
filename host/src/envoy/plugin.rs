//! The filter's plugins.

use super::options::BootstrapOptions;
use super::yaml::{Node, yaml};
use crate::plan::Plan;

/// One plugin. The VM's part is the same for all, so that they share one.
pub(super) fn plugin(root_id: &str, plan: &Plan, options: &BootstrapOptions) -> Node {
    let filename = options.wasm.to_string_lossy().into_owned();
    let (vm_id, configuration) = match &plan.balancer {
        Some(filter) => (filter.vm_id.as_str(), by_line(&filter.configuration)),
        None => ("", String::new()),
    };
    yaml!({
        "name": (root_id),
        "root_id": (root_id),
        "failure_policy": "FAIL_RELOAD",
        // Else a request that waits for its body would never be shown it.
        "allow_on_headers_stop_iteration": true,
        "reload_config": { "backoff": { "base_interval": "0.1s" } },
        "vm_config": {
            "vm_id": (vm_id),
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": (filename) } },
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": (configuration),
        },
    })
}

/// JSON with one line for each field of the whole.
fn by_line(configuration: &serde_json::Value) -> String {
    let fields = configuration.as_object().into_iter().flatten();
    let lines: Vec<String> = fields
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}
