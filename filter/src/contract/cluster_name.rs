//! Names of clusters.

use serde::{Deserialize, Serialize};

/// How clusters are named: templates, in which `{port}` is a port of the service,
/// `{replica}` the name of a replica and `{check}` that of a check. Others than the usual
/// ones keep them apart from clusters that a proxy has besides.
///
/// ```
/// use dtr_lb_filter::contract::ClusterNames;
///
/// let usual = ClusterNames::default();
/// assert_eq!(usual.replica(443, "r1"), "443/r1");
/// assert_eq!(usual.probe("ping", "r1"), "ping/r1");
/// assert_eq!(usual.pool(443), "443");
///
/// let mine = ClusterNames::with_prefix("dtr/");
/// assert_eq!(mine.replica(443, "r1"), "dtr/443/r1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterNames {
    /// Of a replica on one of the service's ports; also of the route to it that has no
    /// runner-up, and the beginning of those that have one.
    pub replica: String,
    /// Of what a check probes a replica through.
    pub probe: String,
    /// Of all replicas of one port: where connections go that the filter does not steer.
    pub pool: String,
}

impl ClusterNames {
    /// The usual names, after this.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> ClusterNames {
        let usual = ClusterNames::default();
        let after = |name: String| format!("{prefix}{name}");
        ClusterNames {
            replica: after(usual.replica),
            probe: after(usual.probe),
            pool: after(usual.pool),
        }
    }

    /// The names of one of several services, whose replicas' names tell them apart, but not
    /// its pools; `None`: it is the only registry.
    #[must_use]
    pub fn of_service(&self, service: Option<&str>) -> ClusterNames {
        let pool = match service {
            None => self.pool.clone(),
            Some(service) => format!("{}/{service}", self.pool),
        };
        ClusterNames {
            pool,
            ..self.clone()
        }
    }

    /// The cluster of a replica on one of the service's ports.
    #[must_use]
    pub fn replica(&self, port: u16, replica: &str) -> String {
        filled(
            &self.replica,
            &[("{port}", &port.to_string()), ("{replica}", replica)],
        )
    }

    /// The cluster that a check probes a replica through.
    #[must_use]
    pub fn probe(&self, check: &str, replica: &str) -> String {
        filled(&self.probe, &[("{check}", check), ("{replica}", replica)])
    }

    /// The cluster of all replicas of one port.
    #[must_use]
    pub fn pool(&self, port: u16) -> String {
        filled(&self.pool, &[("{port}", &port.to_string())])
    }
}

impl Default for ClusterNames {
    fn default() -> ClusterNames {
        ClusterNames {
            replica: "{port}/{replica}".to_owned(),
            probe: "{check}/{replica}".to_owned(),
            pool: "{port}".to_owned(),
        }
    }
}

fn filled(template: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter();
    fields.fold(template.to_owned(), |text, (field, value)| {
        text.replace(field, value)
    })
}
