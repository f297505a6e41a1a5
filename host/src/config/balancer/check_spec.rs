//! A health check as the operator writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::preset::Preset;
use crate::config::number::Statuses;
use crate::config::string::{HeaderName, HeaderValue, Pointer};
use crate::config::target::Target;
use crate::unique_map::UniqueMap;

/// What is probed of each replica.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckSpec {
    /// Path and expectations of a known registry [default: dtr].
    pub(super) preset: Option<Preset>,
    /// Where and how it is probed: https:PORT/PATH, http:PORT/PATH or tcp:PORT [default:
    /// https:443 and the preset's path].
    pub(super) target: Option<Target>,
    /// Statuses of a healthy answer: numbers, or ranges such as "200-399" [default: the
    /// preset's].
    pub(super) statuses: Option<Vec<Statuses>>,
    /// Sent with the request; not host [default: none].
    pub(super) headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    /// What a JSON body must say [default: the preset's].
    pub(super) body: Option<BodySpec>,
    /// How the certificate is checked when the target is https: system, none, or the path of
    /// a PEM file, from the configuration's folder [default: system].
    pub(super) verify: Option<String>,
}

/// What a healthy body contains.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BodySpec {
    /// At this JSON pointer of the body ...
    pub(super) pointer: Pointer,
    /// ... stands this value.
    pub(super) healthy: serde_json::Value,
}
