//! The filter's plugins.

use std::collections::BTreeSet;

use serde_json::Value;

use super::options::BootstrapOptions;
use super::yaml::{Node, path_config_source, yaml};
use crate::plan::{ADMIN_ROOT, Plan, listener_root};

/// What the filter is to the listener it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterKind {
    Network,
    Http,
}

impl FilterKind {
    fn name(self) -> &'static str {
        match self {
            FilterKind::Network => "envoy.filters.network.wasm",
            FilterKind::Http => "envoy.filters.http.wasm",
        }
    }

    fn type_url(self) -> &'static str {
        match self {
            FilterKind::Network => {
                "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm"
            }
            FilterKind::Http => "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        }
    }
}

/// One plugin of the filter: the root id says what its connections are.
pub(super) struct Plugin {
    kind: FilterKind,
    root_id: String,
}

impl Plugin {
    /// The one that chooses for the connections to a port of the service.
    pub(super) fn of_port(port: u16) -> Plugin {
        Plugin {
            kind: FilterKind::Network,
            root_id: listener_root(port),
        }
    }

    /// The one that answers on the admin listener.
    pub(super) fn admin() -> Plugin {
        Plugin {
            kind: FilterKind::Http,
            root_id: ADMIN_ROOT.to_owned(),
        }
    }

    /// All of a plan, each once.
    pub(super) fn all(plan: &Plan) -> Vec<Plugin> {
        let ports: BTreeSet<u16> = plan.listeners.iter().map(|one| one.port).collect();
        let admin = plan.admin.iter().map(|_| Plugin::admin());
        ports
            .into_iter()
            .map(Plugin::of_port)
            .chain(admin)
            .collect()
    }

    /// The file that Envoy watches for its configuration. Envoy takes one plugin from a
    /// file, and refuses one with several.
    pub(super) fn file(&self) -> String {
        format!("{FILE}{}.json", self.root_id.replace('/', "-"))
    }

    /// Whether a file of this name is one of a plugin.
    pub(super) fn is_file(name: &str) -> bool {
        name.starts_with(FILE) && name.ends_with(".json")
    }

    /// The configuration as Envoy's extension discovery has it.
    ///
    /// Each revision has a plugin name of its own: for a plugin that is in all the same as
    /// one before it, whose connections are still open, Envoy takes that one, and does not
    /// configure it again.
    pub(super) fn resource(
        &self,
        plan: &Plan,
        options: &BootstrapOptions,
        revision: Revision,
    ) -> Node {
        let name = format!("{}{REVISION}{}", self.root_id, revision.0);
        yaml!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": (self.root_id.as_str()),
            "typed_config": (self.typed_config(&name, plan, options)),
        })
    }

    /// As it stands in a listener: with its configuration, or with the file where Envoy
    /// finds that.
    pub(super) fn filter(&self, plan: &Plan, options: &BootstrapOptions) -> Node {
        match &options.watched {
            None => yaml!({
                "name": (self.kind.name()),
                "typed_config": (self.typed_config(&self.root_id, plan, options)),
            }),
            Some(folder) => yaml!({
                "name": (self.root_id.as_str()),
                "config_discovery": {
                    "config_source": (path_config_source(folder, &self.file())),
                    "type_urls": [(self.kind.type_url())],
                },
            }),
        }
    }

    /// Its configuration. The VM's part is the same for all, so that they share one.
    fn typed_config(&self, name: &str, plan: &Plan, options: &BootstrapOptions) -> Node {
        let filename = options.wasm.to_string_lossy().into_owned();
        let (vm_id, configuration) = match &plan.balancer {
            Some(filter) => (filter.vm_id.as_str(), by_line(&filter.configuration)),
            None => ("", String::new()),
        };
        yaml!({
            "@type": (self.kind.type_url()),
            "config": {
                "name": (name),
                "root_id": (self.root_id.as_str()),
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
            },
        })
    }
}

/// How often the configuration of the plugins in a folder has been another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Revision(u64);

impl Revision {
    /// The one that a plugin's resource is of; the first if it says none.
    pub(super) fn of(resource: &Value) -> Revision {
        let name = resource["typed_config"]["config"]["name"].as_str();
        let number = name.and_then(|name| name.rsplit_once(REVISION)?.1.parse().ok());
        Revision(number.unwrap_or_default())
    }

    pub(super) fn next(self) -> Revision {
        Revision(self.0.wrapping_add(1))
    }
}

/// JSON with one line for each field of the whole.
fn by_line(configuration: &serde_json::Value) -> String {
    let fields = configuration.as_object().into_iter().flatten();
    let lines: Vec<String> = fields
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// Between a plugin's root id and its revision.
const REVISION: char = '#';
/// Files of plugins begin so.
const FILE: &str = "ecds-";
