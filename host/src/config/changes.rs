//! What one configuration changes of another.

use std::fmt;

use super::balancer::{Config, Replica};
use super::chain::Chain;
use super::config_file::ConfigFile;

/// Fields by their names, and whether each is another in the one than in the other.
macro_rules! compared {
    ($now:expr, $before:expr, [$($field:ident),+ $(,)?]) => {
        [$((stringify!($field), $now.$field != $before.$field)),+]
    };
}

/// What one configuration changes of another, in a line:
/// `adds r4 (10.0.0.14); removes r3; changes r2 (address), policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

impl ConfigFile {
    /// What this balancer's configuration changes of the one before. A replica and a service
    /// are known by their names: under another it is another.
    #[must_use]
    pub fn changes_of(&self, before: &ConfigFile) -> Changes {
        let (now, then) = (self.registries(), before.registries());
        let added = replicas(now).filter(|one| named(then, one).is_none());
        let removed = replicas(then).filter(|one| named(now, one).is_none());
        let changed = replicas(now).filter_map(|after| {
            let fields = after.fields_other_than(named(then, after)?);
            (!fields.is_empty()).then(|| format!("{} ({})", after.name, fields.join(", ")))
        });
        let of_services = now.iter().flat_map(|after| {
            let same = |before: &&Config| before.service_name() == after.service_name();
            let before = then.iter().find(same);
            let fields = before.map_or_else(Vec::new, |before| after.own_fields_other_than(before));
            let fields = fields.into_iter();
            fields.map(|field| match after.service_name() {
                None => field.to_owned(),
                Some(service) => format!("{field} of {service}"),
            })
        });
        let general = match (now.first(), then.first()) {
            (Some(now), Some(then)) => now.general_fields_other_than(then),
            _ => self.fields_of_a_chain_other_than(before),
        };
        let of_all = self.fields_of_services_other_than(before);
        let general = general.into_iter().chain(of_all).map(str::to_owned);
        Changes {
            added: added
                .map(|one| format!("{} ({})", one.name, one.address))
                .collect(),
            removed: removed.map(|one| one.name.clone()).collect(),
            changed: changed.chain(of_services).chain(general).collect(),
        }
    }

    fn fields_of_services_other_than(&self, before: &ConfigFile) -> Vec<&'static str> {
        match (self, before) {
            (ConfigFile::Services(now), ConfigFile::Services(then)) => {
                other(compared!(now, then, [default, hello_timeout]))
            }
            (ConfigFile::Services(_), _) | (_, ConfigFile::Services(_)) => vec!["services"],
            _ => Vec::new(),
        }
    }

    /// What makes a file a chain stands for all that changes when it becomes one.
    fn fields_of_a_chain_other_than(&self, before: &ConfigFile) -> Vec<&'static str> {
        match (self, before) {
            (ConfigFile::Chain(now), ConfigFile::Chain(then)) => now.fields_other_than(then),
            _ => vec!["clusters"],
        }
    }
}

impl Chain {
    fn fields_other_than(&self, before: &Chain) -> Vec<&'static str> {
        other(compared!(
            self,
            before,
            [
                listeners,
                clusters,
                filters,
                admin,
                takeover_socket,
                watch,
                idle_timeout,
                resend_first_flight,
                half_close_timeout,
                max_connections,
                dns_refresh,
                drain_delay,
                drain_timeout
            ]
        ))
    }
}

fn replicas(registries: &[Config]) -> impl Iterator<Item = &Replica> {
    registries.iter().flat_map(|one| &one.replicas)
}

/// The replica of the same name.
fn named<'a>(registries: &'a [Config], replica: &Replica) -> Option<&'a Replica> {
    replicas(registries).find(|one| one.name == replica.name)
}

impl Config {
    /// The fields of the registry that are others, replicas aside.
    fn own_fields_other_than(&self, before: &Config) -> Vec<&'static str> {
        let health = (&self.health, &self.checks) != (&before.health, &before.checks);
        let fields = compared!(
            self,
            before,
            [
                fqdn,
                policy,
                when_all_down,
                on_down,
                min_healthy,
                slow_start,
                passive,
                compare_interval,
                cluster_status
            ]
        );
        let more = [
            ("names", self.names() != before.names()),
            ("health", health),
        ];
        other(fields.into_iter().chain(more))
    }

    /// The fields of the balancer that are others.
    fn general_fields_other_than(&self, before: &Config) -> Vec<&'static str> {
        let fields = compared!(
            self,
            before,
            [
                listeners,
                admin,
                state_dir,
                takeover_socket,
                watch,
                filters,
                connect_timeout,
                idle_timeout,
                resend_first_flight,
                half_close_timeout,
                max_connections,
                per_client_max_connections,
                allow,
                deny,
                dns_refresh,
                nameservers,
                drain_delay,
                drain_timeout
            ]
        );
        let trusted = |it: &Config| it.trusted_proxies.as_ref().map(|it| it.networks.clone());
        let timeout = |it: &Config| it.trusted_proxies.as_ref().map(|it| it.timeout);
        let more = [
            ("accept_proxy_from", trusted(self) != trusted(before)),
            (
                "proxy_protocol_timeout",
                trusted(self).is_some()
                    && trusted(before).is_some()
                    && timeout(self) != timeout(before),
            ),
        ];
        other(fields.into_iter().chain(more))
    }

    /// What clients ask for besides the fqdn.
    fn names(&self) -> &[String] {
        let names = self.service.as_ref().map(|it| it.names.as_slice());
        names.and_then(|names| names.get(1..)).unwrap_or_default()
    }
}

impl Replica {
    fn fields_other_than(&self, before: &Replica) -> Vec<&'static str> {
        other(compared!(
            self,
            before,
            [
                address,
                discover,
                ports,
                weight,
                backup,
                max_connections,
                state,
                id
            ]
        ))
    }
}

/// The names of those that are.
fn other(fields: impl IntoIterator<Item = (&'static str, bool)>) -> Vec<&'static str> {
    let others = fields.into_iter().filter(|(_, is_other)| *is_other);
    others.map(|(name, _)| name).collect()
}

impl Changes {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("adds", &self.added),
            ("removes", &self.removed),
            ("changes", &self.changed),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(verb, names)| format!("{verb} {}", names.join(", ")))
            .collect();
        match parts.is_empty() {
            true => f.write_str("changes nothing"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(replicas: &str, more: &str) -> ConfigFile {
        let text = format!(r#"{{ "fqdn": "dtr.example.com", "replicas": [{replicas}]{more} }}"#);
        ConfigFile::parse(&text, "lb.json").unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn changes_are_said_in_the_words_of_the_file() {
        const R1: &str = r#"{"name": "r1", "address": "10.0.0.1"}"#;
        let cases = [
            (R1, "", "changes nothing"),
            (R1, r#", "policy": "least-connections""#, "changes nothing"),
            (
                r#"{"name": "db1", "address": "10.0.0.1"}"#,
                "",
                "adds db1 (10.0.0.1); removes r1",
            ),
            (
                r#"{"name": "r1", "address": "10.0.0.9", "weight": 3, "ports": {"443": 8443}}"#,
                "",
                "changes r1 (address, ports, weight)",
            ),
            (
                r#"{"name": "r1", "address": "10.0.0.1"}, {"name": "r2", "address": "r2.internal"}"#,
                r#", "policy": "round-robin", "health": {"interval": "9s"}"#,
                "adds r2 (r2.internal); changes policy, health",
            ),
            (
                R1,
                r#", "listeners": [{"bind": "0.0.0.0:443"}], "max_connections": 5"#,
                "changes listeners, max_connections",
            ),
            (
                R1,
                r#", "accept_proxy_from": ["10.0.0.1"], "deny": ["10.0.0.2"]"#,
                "changes deny, accept_proxy_from",
            ),
        ];
        let before = config(R1, "");
        for (replicas, more, expected) in cases {
            let changes = config(replicas, more).changes_of(&before);
            assert_eq!(changes.to_string(), expected, "{replicas}{more}");
        }
    }

    #[test]
    fn a_chain_of_filters_has_fields_of_its_own() {
        let chain = |more: &str| {
            let text = format!(
                r#"{{ "listeners": [{{ "bind": "0.0.0.0:443", "cluster": "web" }}],
                     "clusters": [{{ "name": "web", "endpoints": ["10.0.0.1:443"] }}]{more} }}"#
            );
            ConfigFile::parse(&text, "chain.json").unwrap_or_else(|errors| panic!("{errors}"))
        };
        let before = chain("");
        let same = chain("").changes_of(&before);
        assert!(same.is_empty(), "{same}");
        let changes = chain(r#", "idle_timeout": "1h", "watch": true"#).changes_of(&before);
        assert_eq!(changes.to_string(), "changes watch, idle_timeout");
        let balancer = config(r#"{"name": "r1", "address": "10.0.0.1"}"#, "");
        let changes = balancer.changes_of(&before).to_string();
        assert_eq!(changes, "adds r1 (10.0.0.1); changes clusters");
    }
}
