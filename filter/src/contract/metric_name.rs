//! Names of metrics, and what of a name becomes a label.
//!
//! | name | kind | what |
//! |---|---|---|
//! | `dtr_lb.replica.NAME.active` | gauge | connections open now |
//! | `dtr_lb.replica.NAME.healthy` | gauge | 1 while it passes all its checks |
//! | `dtr_lb.replica.NAME.usable` | gauge | 1 while it may be given connections |
//! | `dtr_lb.replica.NAME.clock_skew_seconds` | gauge | by how much its clock differs from most others', either way |
//! | `dtr_lb.replica.NAME.connections` | counter | connections that reached it |
//! | `dtr_lb.replica.NAME.connect_failures` | counter | connect attempts of connections that failed |
//! | `dtr_lb.replica.NAME.probes_ok` | counter | probes with a good answer |
//! | `dtr_lb.replica.NAME.probes_failed.REASON` | counter | the others |
//! | `dtr_lb.replica.NAME.component_errors.COMPONENT` | counter | bad answers that name a part of the registry |
//! | `dtr_lb.replica.NAME.changes` | counter | times it went from healthy to unhealthy or back |
//! | `dtr_lb.listener.PORT.connections` | counter | connections given to a replica |
//! | `dtr_lb.listener.PORT.refused.REASON` | counter | connections given to none |
//! | `dtr_lb.usable` | gauge | replicas that may be given connections; of one of several services: `dtr_lb.usable.service.NAME` |
//! | `dtr_lb.changes_announced` | counter | times a VM announced to the others that verdicts or orders changed |
//! | `dtr_lb.not_steered` | counter | connections left to the proxy's own choice |
//!
//! [`labels`] takes a name apart; [`tags`] are the same rules for Envoy. Replicas'
//! names may hold dots: what follows a name is one of a fixed list, so that the
//! longest match is the name. Only a replica whose own name ends in one of those
//! that a label follows, such as `a.probes_failed`, is misread by Envoy.

/// Connections left to the proxy's own choice.
pub const NOT_STEERED: &str = "dtr_lb.not_steered";

/// Times a VM announced that verdicts or orders changed: what VMs look at before each
/// connection.
pub const CHANGES_ANNOUNCED: &str = "dtr_lb.changes_announced";

/// What follows a replica's name; the kinds that have a reason of their own are
/// in [`REPLICA_FAMILIES`].
pub(crate) const REPLICA_GAUGES: [&str; 3] = ["active", "healthy", "usable"];
/// Also a gauge; not known before the replica has answered.
pub(crate) const CLOCK_SKEW: &str = "clock_skew_seconds";
pub(crate) const REPLICA_COUNTERS: [&str; 4] =
    ["connections", "connect_failures", "changes", "probes_ok"];

/// What follows a replica's name and is followed by a label's value.
const REPLICA_FAMILIES: [(&str, &str); 2] =
    [(PROBES_FAILED, "reason"), (COMPONENT_ERRORS, "component")];
const PROBES_FAILED: &str = "probes_failed";
const COMPONENT_ERRORS: &str = "component_errors";
const REFUSED: &str = "refused";
const USABLE: &str = "dtr_lb.usable";
const OF_SERVICE: &str = ".service.";

/// The gauge of the replicas that may be given connections, of a service or of the only
/// registry.
#[must_use]
pub fn usable(service: Option<&str>) -> String {
    match service {
        None => USABLE.to_owned(),
        Some(service) => format!("{USABLE}{OF_SERVICE}{service}"),
    }
}

/// A metric of a replica: one of [`REPLICA_GAUGES`] or [`REPLICA_COUNTERS`].
pub(crate) fn replica(replica: &str, leaf: &str) -> String {
    format!("dtr_lb.replica.{replica}.{leaf}")
}

/// The counter of a replica's probes that failed for a reason.
pub(crate) fn probes_failed(replica: &str, reason: &str) -> String {
    format!("dtr_lb.replica.{replica}.{PROBES_FAILED}.{reason}")
}

/// The counter of a replica's bad answers that name a component.
pub(crate) fn component_errors(replica: &str, component: &str) -> String {
    format!("dtr_lb.replica.{replica}.{COMPONENT_ERRORS}.{component}")
}

/// The counter of the connections that a listener gave to a replica.
pub(crate) fn listener_connections(port: u16) -> String {
    format!("dtr_lb.listener.{port}.connections")
}

/// The counter of the connections that a listener refused for a reason.
pub(crate) fn listener_refused(port: u16, reason: &str) -> String {
    format!("dtr_lb.listener.{port}.{REFUSED}.{reason}")
}

/// Rules that turn parts of names into labels: tag and regular expression, as in
/// the `stats_tags` of Envoy's `stats_config`. The first group is what is taken
/// out of the name, the second is the label's value.
pub fn tags() -> [(&'static str, String); 5] {
    let leaves = (REPLICA_GAUGES.iter())
        .chain(&REPLICA_COUNTERS)
        .chain([&CLOCK_SKEW]);
    let leaves = leaves.map(|leaf| (*leaf).to_owned());
    let families = REPLICA_FAMILIES.map(|(family, _)| format!(r"{family}\.[a-z-]+"));
    let leaves: Vec<String> = leaves.chain(families).collect();
    [
        (
            "replica",
            format!(
                r"^wasmcustom\.dtr_lb\.replica\.((.+)\.)(?:{})$",
                leaves.join("|")
            ),
        ),
        // One rule for both: Envoy takes a tag's name only once.
        (
            "reason",
            format!(
                r"^wasmcustom\.dtr_lb\.(?:replica\..+\.{PROBES_FAILED}|listener\.[0-9]+\.{REFUSED})(\.([a-z-]+))$"
            ),
        ),
        (
            "component",
            format!(r"^wasmcustom\.dtr_lb\.replica\..+\.{COMPONENT_ERRORS}(\.([a-z-]+))$"),
        ),
        (
            "listener",
            r"^wasmcustom\.dtr_lb\.listener\.(([0-9]+)\.)".to_owned(),
        ),
        (
            "service",
            r"^wasmcustom\.dtr_lb\.usable(\.service\.(.+))$".to_owned(),
        ),
    ]
}

/// A name without its labels, and the labels: what [`tags`] do, without regular
/// expressions. Names that are not ours come back as they are.
pub fn labels(name: &str) -> (String, Vec<(&'static str, String)>) {
    let found = if let Some(rest) = name.strip_prefix("dtr_lb.listener.") {
        listener_labels(rest)
    } else if let Some(rest) = name.strip_prefix("dtr_lb.replica.") {
        replica_labels(rest)
    } else if let Some(rest) = name.strip_prefix(USABLE) {
        let service = rest.strip_prefix(OF_SERVICE);
        service.map(|service| (USABLE.to_owned(), vec![("service", service.to_owned())]))
    } else {
        None
    };
    found.unwrap_or_else(|| (name.to_owned(), Vec::new()))
}

type Labelled = (String, Vec<(&'static str, String)>);

fn listener_labels(rest: &str) -> Option<Labelled> {
    let (port, leaf) = rest.split_once('.')?;
    let mut labels = vec![("listener", port.to_owned())];
    let leaf = match leaf.split_once('.') {
        Some((leaf, reason)) => {
            labels.push(("reason", reason.to_owned()));
            leaf
        }
        None => leaf,
    };
    Some((format!("dtr_lb.listener.{leaf}"), labels))
}

fn replica_labels(rest: &str) -> Option<Labelled> {
    let (head, last) = rest.rsplit_once('.')?;
    let is_gauge = REPLICA_GAUGES.contains(&last) || last == CLOCK_SKEW;
    if is_gauge || REPLICA_COUNTERS.contains(&last) {
        let labels = vec![("replica", head.to_owned())];
        return Some((format!("dtr_lb.replica.{last}"), labels));
    }
    let (replica, family) = head.rsplit_once('.')?;
    let mut families = REPLICA_FAMILIES.iter();
    let (family, label) = families.find(|(known, _)| *known == family)?;
    let labels = vec![("replica", replica.to_owned()), (*label, last.to_owned())];
    Some((format!("dtr_lb.replica.{family}"), labels))
}

#[cfg(test)]
mod tests;
