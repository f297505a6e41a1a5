//! A network filter as the operator writes it.

use proxy_wasm_engine::Profile;
use serde::Deserialize;
use serde_json::Value;

use super::{Failure, NetworkFilter, VmSettings};
use crate::config::duration::BoundedDuration;
use crate::config::number::{BoundedInt, Size};
use crate::config::problems::Problems;
use crate::config::string::AbiName;

/// One filter, of either form of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct NetworkFilterSpec {
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
    profile: ProfileName,
    capabilities: Option<Vec<AbiName>>,
    memory: Option<Size<65_536, 4_294_967_296>>,
    time: Option<BoundedDuration<1>>,
    log_limit: Option<BoundedInt<1, 1_000_000>>,
    #[serde(default)]
    failure: Failure,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
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
    let code = std::fs::read(&path).unwrap_or_else(|error| {
        let problem = format!(
            "can't be read: {}: {error}; give the path of the module, from the configuration's folder",
            path.display()
        );
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

/// What a plugin is handed: a text as it stands, anything else as JSON.
fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// A connection has a bit for each.
const MOST_FILTERS: usize = 32;
