//! The registries that one VM balances: each has a balancer of its own, and a
//! connection is for the one whose name its client asks for.

use crate::balancer::Balancer;
use crate::config::{Config, PluginConfig};
use crate::contract::ServerNames;
use crate::shared::board::Store;
use crate::time::Moment;
use std::time::Duration;

/// The registries of one VM; none before it is configured.
#[derive(Debug, Default)]
pub struct Services {
    all: Vec<Service>,
    /// The number of the next.
    next: u32,
    asked: Asked,
}

/// One registry.
#[derive(Debug)]
pub struct Service {
    id: ServiceId,
    presence: Presence,
    /// What balances it.
    pub balancer: Balancer,
}

/// The number of a registry, which no other has in this VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Configured,
    /// Connections of its are open, that is all.
    Removed,
}

/// How a connection says which registry it is for.
#[derive(Debug, Default)]
enum Asked {
    /// There is but one, or none.
    #[default]
    Nothing,
    /// By these names; without one of them it is for the default.
    Names {
        names: ServerNames<ServiceId>,
        default: ServiceId,
        limit: Duration,
    },
}

impl Services {
    /// Goes on with a configuration. A service that was there before, by name, keeps what
    /// it knows; one that is gone stays until its last connection is over. Seeds as in
    /// [`Balancer::new`].
    pub fn configure(&mut self, config: &PluginConfig, seed: u64, unix_ms: u64, now: Moment) {
        let registries = config.registries();
        for service in &mut self.all {
            let name = service.name();
            let is_it = |config: &&Config| config.service_name() == name;
            if let Some(config) = registries.iter().find(is_it) {
                service.presence = Presence::Configured;
                service.balancer.configure(config.clone(), now);
            } else {
                service.presence = Presence::Removed;
                let emptied = emptied(service.balancer.config());
                service.balancer.configure(emptied, now);
            }
        }
        for config in registries {
            if self.of_name(config.service_name()).is_none() {
                // Two must not probe in step.
                let seed = seed.wrapping_add(u64::from(self.next));
                self.all.push(Service {
                    id: ServiceId(self.next),
                    presence: Presence::Configured,
                    balancer: Balancer::new(config.clone(), seed, unix_ms),
                });
                self.next = self.next.wrapping_add(1);
            }
        }
        self.asked = self.asked_by(config);
    }

    /// Whether there is no registry at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How long a client may take to ask for a registry; `None`: it need not ask.
    pub fn asked_within(&self) -> Option<Duration> {
        match &self.asked {
            Asked::Nothing => None,
            Asked::Names { limit, .. } => Some(*limit),
        }
    }

    /// The registry of connections that need not ask.
    pub fn only(&self) -> Option<ServiceId> {
        match &self.asked {
            Asked::Nothing => Some(self.configured().next()?.id),
            Asked::Names { .. } => None,
        }
    }

    /// The registry for who asks for this name.
    pub fn asked_for(&self, server_name: &str) -> Option<ServiceId> {
        match &self.asked {
            Asked::Nothing => self.only(),
            Asked::Names { names, default, .. } => {
                Some(*names.find(server_name).unwrap_or(default))
            }
        }
    }

    /// The service of this name, which no client uses.
    pub fn named(&self, name: &str) -> Option<ServiceId> {
        let mut configured = self.configured();
        let found = configured.find(|one| one.name() == Some(name));
        found.map(|service| service.id)
    }

    /// The registry that has, or had, this replica.
    pub fn of_replica(&self, name: &str) -> Option<ServiceId> {
        let has = |service: &&Service| service.balancer.replica(name).is_some();
        self.all.iter().find(has).map(|service| service.id)
    }

    /// The registry of this number, unless it is gone.
    pub fn get_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.all.iter_mut().find(|service| service.id == id)
    }

    /// All of them, those included that are configured no more.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.all.iter_mut()
    }

    /// The balancers of those that are configured, in the operator's order as far as they
    /// came at once.
    pub fn balancers_mut(&mut self) -> Vec<&mut Balancer> {
        let configured = self.all.iter_mut().filter(|one| one.is_configured());
        configured.map(|one| &mut one.balancer).collect()
    }

    /// When to call again though nothing happens; `None`: never.
    pub fn next_wake(&self) -> Option<Moment> {
        let wakes = self.all.iter().map(|service| service.balancer.next_wake());
        wakes.flatten().min()
    }

    /// Whether no connection is open here.
    pub fn are_idle(&self) -> bool {
        self.all.iter().all(|service| service.balancer.is_idle())
    }

    /// Whether connections that are older than this VM are to be counted here, see
    /// [`Balancer::may_adopt`].
    pub fn may_adopt(&self, now: Moment) -> bool {
        self.all.iter().all(|one| one.balancer.may_adopt(now))
    }

    /// Leaves probing to the others, see [`Balancer::retire`].
    pub fn retire(&mut self, store: &mut impl Store, now: Moment) {
        for service in &mut self.all {
            service.retire(store, now);
        }
    }

    /// Forgets those that are configured no more and have no connection left.
    pub fn forget_removed(&mut self, store: &mut impl Store, now: Moment) {
        let is_over = |service: &mut Service| {
            service.presence == Presence::Removed && service.balancer.is_idle()
        };
        for mut service in self.all.extract_if(.., is_over) {
            service.retire(store, now);
        }
    }

    fn configured(&self) -> impl Iterator<Item = &Service> {
        self.all.iter().filter(|one| one.is_configured())
    }

    fn of_name(&self, name: Option<&str>) -> Option<&Service> {
        let mut all = self.all.iter();
        all.find(|one| one.name() == name)
    }

    fn asked_by(&self, config: &PluginConfig) -> Asked {
        let PluginConfig::Several(several) = config else {
            return Asked::Nothing;
        };
        let names = self.configured().flat_map(|one| {
            let service = one.balancer.config().service.iter();
            let names = service.flat_map(|service| &service.names);
            names.map(|name| (name.as_str(), one.id))
        });
        let first = self.configured().next().map(|one| one.id);
        Asked::Names {
            names: ServerNames::new(names),
            default: self.named(&several.default).or(first).unwrap_or_default(),
            limit: Duration::from_millis(several.hello_timeout_ms),
        }
    }
}

impl Service {
    /// Its number.
    pub fn id(&self) -> ServiceId {
        self.id
    }

    fn name(&self) -> Option<&str> {
        self.balancer.config().service_name()
    }

    fn is_configured(&self) -> bool {
        self.presence == Presence::Configured
    }

    fn retire(&mut self, store: &mut impl Store, now: Moment) {
        let scope = self.balancer.scope();
        self.balancer.retire(&mut scope.within(store), now);
    }
}

/// The same service without replicas: it probes nobody, and its metrics say so.
fn emptied(config: &Config) -> Config {
    Config {
        replicas: Vec::new(),
        listeners: Vec::new(),
        compare: None,
        ..config.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::stream::{StreamId, UpstreamOutcome};
    use crate::config::{self, Service as Named};
    use crate::effect::{Effect, Fact};
    use crate::sample;
    use crate::shared::memory_store::MemoryStore;

    const NOW: Moment = Moment::START;

    fn registry(name: &str, names: &[&str]) -> Config {
        let mut config = sample::config(2);
        for replica in &mut config.replicas {
            replica.name = format!("{name}/{}", replica.name);
        }
        config.service = Some(Named {
            name: name.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        });
        config
    }

    fn several(services: Vec<Config>, default: &str) -> PluginConfig {
        PluginConfig::Several(config::Services {
            services,
            default: default.to_owned(),
            hello_timeout_ms: 1000,
        })
    }

    fn configured(config: &PluginConfig) -> Services {
        let mut services = Services::default();
        services.configure(config, 1, 0, NOW);
        services
    }

    #[test]
    fn a_name_leads_to_its_service_and_any_other_to_the_default() {
        let dtr = || registry("dtr", &["dtr.example.com"]);
        let quay = || registry("quay", &["quay.example.com", "*.quay.example.com"]);
        let services = configured(&several(vec![dtr(), quay()], "quay"));
        let [dtr_id, quay_id] = ["dtr", "quay"].map(|name| services.named(name));
        assert!(dtr_id.is_some() && quay_id.is_some() && dtr_id != quay_id);
        let cases = [
            ("dtr.example.com", dtr_id),
            ("a.quay.example.com", quay_id),
            ("x.example.com", quay_id),
            ("", quay_id),
        ];
        for (name, expected) in cases {
            assert_eq!(services.asked_for(name), expected, "{name:?}");
        }
        assert_eq!(services.only(), None, "a client has to ask");
        assert_eq!(services.of_replica("quay/r2"), quay_id);
        let lost = configured(&several(vec![dtr(), quay()], "gone"));
        assert_eq!(lost.asked_for(""), lost.named("dtr"), "the first");
    }

    #[test]
    fn one_registry_need_not_be_asked_for() {
        let services = configured(&PluginConfig::One(Box::new(sample::config(2))));
        assert!(services.only().is_some());
        assert_eq!(services.asked_for("anything"), services.only());
        assert_eq!(services.asked_within(), None);
        assert!(
            configured(&several(vec![registry("a", &[])], "a"))
                .asked_within()
                .is_some()
        );
        assert!(Services::default().is_empty() && Services::default().only().is_none());
    }

    #[test]
    fn a_service_that_is_gone_stays_until_its_last_connection_is_over() {
        let mut store = MemoryStore::default();
        let (dtr, quay) = (registry("dtr", &[]), registry("quay", &[]));
        let mut services = configured(&several(vec![dtr.clone(), quay.clone()], "dtr"));
        let kept = services.named("dtr");
        let gone = services.named("quay").expect("it is configured");
        let balancer = &mut services.get_mut(gone).expect("it is there").balancer;
        let listener = balancer.listener(443).expect("it has one");
        let _ = balancer.admit(StreamId(7), listener, 0, NOW);

        services.configure(&several(vec![dtr.clone()], "dtr"), 1, 0, NOW);
        services.forget_removed(&mut store, NOW);
        assert_eq!(services.named("dtr"), kept, "it is the same one");
        assert_eq!(services.named("quay"), None);
        assert!(!services.are_idle());
        let balancer = &mut services.get_mut(gone).expect("it stays").balancer;
        assert_eq!(balancer.listener(443), None, "nobody else gets there");
        balancer.observe(Fact::Tick, NOW);
        let probes = std::iter::from_fn(|| balancer.next_effect());
        let is_probe = |effect: &Effect| matches!(effect, Effect::Probe(_));
        assert_eq!(probes.filter(is_probe).count(), 0, "nobody is probed");

        balancer.observe(Fact::Closed(StreamId(7), UpstreamOutcome::Pending), NOW);
        services.forget_removed(&mut store, NOW);
        assert!(services.get_mut(gone).is_none());
        services.configure(&several(vec![dtr, quay], "dtr"), 1, 0, NOW);
        assert_ne!(
            services.named("quay"),
            Some(gone),
            "its number is not used again"
        );
        assert_eq!(services.balancers_mut().len(), 2);
    }
}
