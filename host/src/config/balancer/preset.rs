//! Health endpoints of registries, by name.

use dtr_lb_filter::config::BodyCheck;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::target::Scheme;

/// A registry whose health endpoint is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    /// Docker Trusted Registry 2.3 and later, Mirantis Secure Registry.
    #[default]
    Dtr,
    /// Docker Trusted Registry up to 2.2.
    DtrLegacy,
    /// Universal Control Plane, Mirantis Kubernetes Engine.
    Ucp,
    /// Harbor, whose body says more than its status.
    Harbor,
    /// Quay.
    Quay,
    /// Distribution, the CNCF's registry.
    Distribution,
    /// Sonatype Nexus Repository.
    Nexus,
    /// GitLab's registry.
    Gitlab,
    /// Any web server.
    Http,
    /// Anything that listens, on the first listener's port where none is 443.
    Tcp,
}

impl Preset {
    pub(super) fn scheme(self) -> Scheme {
        match self {
            Preset::Http => Scheme::Http,
            Preset::Tcp => Scheme::Tcp,
            _ => Scheme::Https,
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Preset::Dtr | Preset::Ucp => "/_ping",
            Preset::DtrLegacy => "/health",
            Preset::Harbor => "/api/v2.0/health",
            Preset::Quay => "/health/instance",
            Preset::Distribution => "/v2/",
            Preset::Nexus => "/service/rest/v1/status",
            Preset::Gitlab => "/-/readiness?all=1",
            Preset::Http | Preset::Tcp => "/",
        }
    }

    /// Where a registry says how clients log in; `None`: it is asked nothing but its
    /// health.
    pub(super) fn login_path(self) -> Option<&'static str> {
        match self {
            Preset::Dtr
            | Preset::DtrLegacy
            | Preset::Harbor
            | Preset::Quay
            | Preset::Distribution => Some("/v2/"),
            Preset::Ucp | Preset::Nexus | Preset::Gitlab | Preset::Http | Preset::Tcp => None,
        }
    }

    /// Statuses of a healthy answer, as inclusive ranges.
    pub(super) fn statuses(self) -> Vec<(u16, u16)> {
        match self {
            // A registry that requires a login is healthy.
            Preset::Distribution => vec![(200, 200), (401, 401)],
            Preset::Http => vec![(200, 299)],
            _ => vec![(200, 200)],
        }
    }

    pub(super) fn body(self) -> Option<BodyCheck> {
        match self {
            // Harbor answers 200 when it is unhealthy, too.
            Preset::Harbor => Some(BodyCheck {
                pointer: "/status".to_owned(),
                healthy: "healthy".into(),
            }),
            _ => None,
        }
    }
}
