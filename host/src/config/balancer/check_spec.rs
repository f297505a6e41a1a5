//! A health check as the operator writes it.

use serde::Deserialize;

use super::preset::Preset;
use crate::config::number::Statuses;
use crate::config::string::{HeaderName, HeaderValue, Pointer};
use crate::config::target::Target;
use crate::config::unique_map::UniqueMap;

/// What is probed of each replica.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckSpec {
    pub(super) preset: Option<Preset>,
    pub(super) target: Option<Target>,
    pub(super) statuses: Option<Vec<Statuses>>,
    pub(super) headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    pub(super) body: Option<BodySpec>,
    pub(super) verify: Option<String>,
}

/// What a healthy body contains.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodySpec {
    pub(super) pointer: Pointer,
    pub(super) healthy: serde_json::Value,
}
