//! A network filter as the operator writes it.

use std::path::Path;

use proxy_wasm_engine::Profile;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Failure, NetworkFilter, VmSettings};
use crate::config::duration::BoundedDuration;
use crate::config::number::{BoundedInt, Size};
use crate::config::problems::Problems;
use crate::config::string::AbiName;
use crate::config::text::PATH;

/// One filter, of either form of the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NetworkFilter")]
pub(in crate::config) struct NetworkFilterSpec {
    /// The module: ABI 0.1.0, 0.2.0 or 0.2.1, in binary form.
    #[schemars(title = PATH)]
    wasm: String,
    /// Names it in logs; property `plugin_name` [default: the file's name].
    #[schemars(title = "any text")]
    name: Option<String>,
    /// Which root context of the module; property `plugin_root_id` [default: empty].
    #[serde(default)]
    #[schemars(title = "any text")]
    root_id: String,
    /// What `on_configure` reads: a string as it stands, anything else as JSON [default:
    /// empty].
    #[serde(default)]
    configuration: Value,
    /// Filters of one `vm_id` share data and queues; of one module and the same settings below
    /// they share a VM too [default: empty].
    #[serde(default)]
    #[schemars(title = "any text")]
    vm_id: String,
    /// What `on_vm_start` reads: a string as it stands, anything else as JSON [default: empty].
    #[serde(default)]
    vm_configuration: Value,
    /// Whose behaviour counts where Envoy and the specification disagree [default: `envoy`].
    #[serde(default)]
    profile: ProfileName,
    /// The only host functions and callbacks it may use [default: all].
    capabilities: Option<Vec<AbiName>>,
    /// Most linear memory [default: `64MiB`].
    memory: Option<Size<65_536, 4_294_967_296>>,
    /// Longest a callback may run [default: `500ms`].
    time: Option<BoundedDuration<1>>,
    /// Most log lines a second; what is dropped is counted [default: no limit].
    log_limit: Option<BoundedInt<1, 1_000_000>>,
    /// What a crash of its VM means [default: `reload`].
    #[serde(default)]
    failure: Failure,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    #[default]
    Envoy,
    Spec,
}

/// Reads the modules of all filters.
pub(in crate::config) fn load(
    specs: Vec<NetworkFilterSpec>,
    problems: &mut Problems,
) -> Vec<NetworkFilter> {
    let count = specs.len();
    if count > MOST_FILTERS {
        let problem = format!("{count} filters are given; at most {MOST_FILTERS} can be");
        problems.refuse_field("filters", problem);
        return Vec::new();
    }
    let specs = specs.into_iter().enumerate();
    specs
        .map(|(index, spec)| load_one(spec, &format!("filters[{index}]"), problems))
        .collect()
}

fn load_one(spec: NetworkFilterSpec, field: &str, problems: &mut Problems) -> NetworkFilter {
    let path = problems.source().folder().join(&spec.wasm);
    let code = read_module(&path).unwrap_or_else(|problem| {
        problems.refuse(&format!("{field}.wasm"), spec.wasm.as_str(), problem);
        Vec::new()
    });
    let stem = || {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let defaults = VmSettings::default();
    NetworkFilter {
        name: spec.name.or_else(stem).unwrap_or_default(),
        file: path.display().to_string(),
        code: code.into(),
        root_id: spec.root_id,
        configuration: bytes(spec.configuration),
        vm: VmSettings {
            id: spec.vm_id,
            configuration: bytes(spec.vm_configuration),
            profile: match spec.profile {
                ProfileName::Envoy => Profile::Envoy,
                ProfileName::Spec => Profile::Spec,
            },
            capabilities: spec
                .capabilities
                .map(|names| names.into_iter().map(|name| name.0).collect()),
            memory: spec.memory.map_or(defaults.memory, Size::get),
            time: spec.time.map_or(defaults.time, BoundedDuration::get),
            log_limit: spec.log_limit.map(BoundedInt::u32),
            failure: spec.failure,
        },
    }
}

/// A module, as far as its beginning tells.
fn read_module(path: &Path) -> Result<Vec<u8>, String> {
    let code = std::fs::read(path).map_err(|error| {
        format!(
            "can't be read: {}: {error}; give the path of the module, from the configuration's folder",
            path.display()
        )
    })?;
    match code.starts_with(MAGIC) {
        true => Ok(code),
        false => Err(
            "no WebAssembly module in binary form; give what the compiler made, or turn \
                      text into it with wat2wasm"
                .to_owned(),
        ),
    }
}

/// What a plugin is handed: a text as it stands, anything else as JSON.
fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// How a module begins (WebAssembly Core Specification, 5.5.16).
const MAGIC: &[u8] = b"\0asm";

/// A connection has a bit for each.
pub(in crate::config) const MOST_FILTERS: usize = 32;
