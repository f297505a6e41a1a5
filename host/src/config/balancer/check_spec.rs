//! A health check as the operator writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::preset::Preset;
use crate::config::number::Statuses;
use crate::config::string::{HeaderName, HeaderValue, Pointer};
use crate::config::target::Target;
use crate::config::text::VERIFY;
use crate::unique_map::UniqueMap;

/// What is probed of each replica.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckSpec {
    /// Path and expectations of a known registry [default: that of the general `health`].
    pub(super) preset: Option<Preset>,
    /// Where and how replicas are probed [default: the preset's].
    pub(super) target: Option<Target>,
    /// Statuses of a healthy answer [default: the preset's].
    #[schemars(length(min = 1))]
    pub(super) statuses: Option<Vec<Statuses>>,
    /// Headers sent with the request; not `host`, which is the `fqdn`, nor those of the
    /// connection [default: none].
    pub(super) headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    /// What a JSON body must say [default: the preset's].
    pub(super) body: Option<BodySpec>,
    /// How the certificate is checked when the target is https: against the system's roots, not
    /// at all, or against those of a PEM file [default: that of the general `health`].
    #[schemars(title = VERIFY)]
    pub(super) verify: Option<String>,
}

/// What a healthy body contains.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BodySpec {
    /// Where in the body the value stands; empty is the whole body.
    pub(super) pointer: Pointer,
    /// The value that stands there in a healthy answer; another one is unhealthy, of another
    /// type too.
    pub(super) healthy: serde_json::Value,
}
