//! The registries that one VM balances: each has a balancer of its own, and a
//! connection is for the one whose name its client asks for.

use crate::balancer::Balancer;
use crate::clients::Clients;
use crate::config::{Config, PluginConfig};
use crate::contract::ServerNames;
use crate::shared::board::Store;
use crate::time::Moment;
use std::time::Duration;

/// The registries of one VM; none before it is configured.
#[derive(Debug, Default)]
pub struct Registries {
    all: Vec<Registry>,
    /// The number of the next.
    next: u32,
    selection: Selection,
    /// Which clients may connect, whichever registry they ask for.
    pub clients: Clients,
}

/// One registry.
#[derive(Debug)]
pub struct Registry {
    id: RegistryId,
    presence: Presence,
    /// What balances it.
    pub balancer: Balancer,
}

/// The number of a registry, which no other has in this VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegistryId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Configured,
    /// It is configured no more since then, and goes on for a while: where several plugins
    /// share a VM, connections under one may still be those of the configuration before.
    Removed(Moment),
    /// Only its open connections are left.
    Emptied,
}

/// How a connection says which registry it is for.
#[derive(Debug, Default)]
enum Selection {
    /// There is but one, or none.
    #[default]
    Nothing,
    /// By these names; without one of them it is for the default.
    Names {
        names: ServerNames<RegistryId>,
        default: RegistryId,
        limit: Duration,
    },
}

impl Registries {
    /// Goes on with a configuration. A service that was there before, by name, keeps what
    /// it knows; one that is gone stays for a while, and until its last connection is over.
    /// Seeds as in [`Balancer::new`].
    pub fn configure(&mut self, config: &PluginConfig, seed: u64, unix_ms: u64, now: Moment) {
        let mut before = std::mem::take(&mut self.all);
        for config in config.registries() {
            let is_it = |one: &Registry| one.name() == config.service_name();
            let registry = match before.iter().position(is_it) {
                Some(at) => {
                    let mut known = before.remove(at);
                    known.presence = Presence::Configured;
                    known.balancer.configure(config.clone(), now);
                    known
                }
                None => self.registry(config, seed, unix_ms),
            };
            self.all.push(registry);
        }
        for mut removed in before {
            if removed.is_configured() {
                removed.presence = Presence::Removed(now);
            }
            self.all.push(removed);
        }
        self.selection = self.selection(config);
        // The same in all.
        let first = config.registries().first();
        self.clients
            .configure(first.and_then(|first| first.clients.as_ref()));
    }

    /// Whether there is no registry at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How long a client may take to ask for a registry; `None`: it need not ask.
    pub fn hello_timeout(&self) -> Option<Duration> {
        match &self.selection {
            Selection::Nothing => None,
            Selection::Names { limit, .. } => Some(*limit),
        }
    }

    /// The registry of connections that need not ask.
    pub fn only(&self) -> Option<RegistryId> {
        match &self.selection {
            Selection::Nothing => Some(self.configured().next()?.id),
            Selection::Names { .. } => None,
        }
    }

    /// The registry for clients that ask for this name.
    pub fn of_server_name(&self, server_name: &str) -> Option<RegistryId> {
        match &self.selection {
            Selection::Nothing => self.only(),
            Selection::Names { names, default, .. } => {
                Some(*names.find(server_name).unwrap_or(default))
            }
        }
    }

    /// The service of this name, as the configuration has it.
    pub fn named(&self, name: &str) -> Option<RegistryId> {
        let mut configured = self.configured();
        let found = configured.find(|one| one.name() == Some(name));
        found.map(|one| one.id)
    }

    /// The registry that has, or had, this replica.
    pub fn of_replica(&self, name: &str) -> Option<RegistryId> {
        let has = |one: &&Registry| one.balancer.replica(name).is_some();
        self.all.iter().find(has).map(|one| one.id)
    }

    /// The registry of this number, unless it is gone.
    pub fn get_mut(&mut self, id: RegistryId) -> Option<&mut Registry> {
        self.all.iter_mut().find(|one| one.id == id)
    }

    /// All of them, those included that are configured no more.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Registry> {
        self.all.iter_mut()
    }

    /// The balancers of those that are configured, in the operator's order.
    pub fn balancers_mut(&mut self) -> Vec<&mut Balancer> {
        let configured = self.all.iter_mut().filter(|one| one.is_configured());
        configured.map(|one| &mut one.balancer).collect()
    }

    /// When to call again though nothing happens; `None`: never.
    pub fn next_wake(&self) -> Option<Moment> {
        let wakes = self.all.iter().map(|one| one.balancer.next_wake());
        wakes.flatten().min()
    }

    /// Whether no connection is open here.
    pub fn are_idle(&self) -> bool {
        self.all.iter().all(|one| one.balancer.is_idle())
    }

    /// Whether connections that are older than this VM are to be counted here, see
    /// [`Balancer::may_adopt`].
    pub fn may_adopt(&self, now: Moment) -> bool {
        self.all.iter().all(|one| one.balancer.may_adopt(now))
    }

    /// Leaves probing to the others, see [`Balancer::retire`].
    pub fn retire(&mut self, store: &mut impl Store, now: Moment) {
        for registry in &mut self.all {
            registry.balancer.retire(store, now);
        }
    }

    /// Has those that have been removed for long end: at once they probe nobody, and are
    /// forgotten when they have no connection left.
    pub fn forget_removed(&mut self, store: &mut impl Store, now: Moment) {
        for registry in &mut self.all {
            if let Presence::Removed(since) = registry.presence
                && now.since(since) >= GRACE
            {
                registry.presence = Presence::Emptied;
                let emptied = emptied(registry.balancer.config());
                registry.balancer.configure(emptied, now);
            }
        }
        let is_over =
            |one: &mut Registry| one.presence == Presence::Emptied && one.balancer.is_idle();
        for mut registry in self.all.extract_if(.., is_over) {
            registry.balancer.retire(store, now);
        }
    }

    fn configured(&self) -> impl Iterator<Item = &Registry> {
        self.all.iter().filter(|one| one.is_configured())
    }

    /// A new one.
    fn registry(&mut self, config: &Config, seed: u64, unix_ms: u64) -> Registry {
        let number = self.next;
        self.next = number.wrapping_add(1);
        // Two must not probe in step.
        let seed = seed.wrapping_add(u64::from(number));
        Registry {
            id: RegistryId(number),
            presence: Presence::Configured,
            balancer: Balancer::new(config.clone(), seed, unix_ms),
        }
    }

    fn selection(&self, config: &PluginConfig) -> Selection {
        let PluginConfig::Several(several) = config else {
            return Selection::Nothing;
        };
        let names = self.configured().flat_map(|one| {
            let service = one.balancer.config().service.iter();
            let names = service.flat_map(|service| &service.names);
            names.map(|name| (name.as_str(), one.id))
        });
        let first = self.configured().next().map(|one| one.id);
        Selection::Names {
            names: ServerNames::new(names),
            default: self.named(&several.default).or(first).unwrap_or_default(),
            limit: Duration::from_millis(several.hello_timeout_ms),
        }
    }
}

impl Registry {
    /// Its number.
    pub fn id(&self) -> RegistryId {
        self.id
    }

    fn name(&self) -> Option<&str> {
        self.balancer.config().service_name()
    }

    fn is_configured(&self) -> bool {
        self.presence == Presence::Configured
    }
}

/// How long a service goes on that is configured no more: longer than a proxy takes to
/// give all its plugins the same configuration.
const GRACE: Duration = Duration::from_secs(15);

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
    use crate::config::{self, Service};
    use crate::effect::{Effect, Fact};
    use crate::health::probe_response::ProbeResponse;
    use crate::sample;
    use crate::shared::memory_store::MemoryStore;

    const NOW: Moment = Moment::START;

    fn registry(name: &str, names: &[&str]) -> Config {
        let mut config = sample::config(2);
        for replica in &mut config.replicas {
            replica.name = format!("{name}/{}", replica.name);
        }
        config.service = Some(Service {
            name: name.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        });
        config
    }

    fn several(services: Vec<Config>, default: &str) -> PluginConfig {
        PluginConfig::Several(config::ServicesConfig {
            services,
            default: default.to_owned(),
            hello_timeout_ms: 1000,
        })
    }

    fn configured(config: &PluginConfig) -> Registries {
        let mut registries = Registries::default();
        registries.configure(config, 1, 0, NOW);
        registries
    }

    #[test]
    fn a_name_leads_to_its_service_and_any_other_to_the_default() {
        let dtr = || registry("dtr", &["dtr.example.com"]);
        let quay = || registry("quay", &["quay.example.com", "*.quay.example.com"]);
        let registries = configured(&several(vec![dtr(), quay()], "quay"));
        let [dtr_id, quay_id] = ["dtr", "quay"].map(|name| registries.named(name));
        assert!(dtr_id.is_some() && quay_id.is_some() && dtr_id != quay_id);
        let cases = [
            ("dtr.example.com", dtr_id),
            ("a.quay.example.com", quay_id),
            ("x.example.com", quay_id),
            ("", quay_id),
        ];
        for (name, expected) in cases {
            assert_eq!(registries.of_server_name(name), expected, "{name:?}");
        }
        assert_eq!(registries.only(), None, "a client has to ask");
        assert_eq!(registries.of_replica("quay/r2"), quay_id);
        let lost = configured(&several(vec![dtr(), quay()], "gone"));
        assert_eq!(lost.of_server_name(""), lost.named("dtr"), "the first");
    }

    #[test]
    fn one_registry_need_not_be_asked_for() {
        let registries = configured(&PluginConfig::One(Box::new(sample::config(2))));
        assert!(registries.only().is_some());
        assert_eq!(registries.of_server_name("anything"), registries.only());
        assert_eq!(registries.hello_timeout(), None);
        assert!(
            configured(&several(vec![registry("a", &[])], "a"))
                .hello_timeout()
                .is_some()
        );
        assert!(Registries::default().is_empty() && Registries::default().only().is_none());
    }

    #[test]
    fn a_service_that_is_gone_stays_for_a_while_and_until_its_last_connection_is_over() {
        let mut store = MemoryStore::default();
        let (dtr, quay) = (registry("dtr", &[]), registry("quay", &[]));
        let mut registries = configured(&several(vec![dtr.clone(), quay.clone()], "dtr"));
        let kept = registries.named("dtr");
        let gone = registries.named("quay").expect("it is configured");
        let balancer = &mut registries.get_mut(gone).expect("it is there").balancer;
        let listener = balancer.listener(443).expect("it has one");
        let _ = balancer.admit(StreamId(7), listener, 0, NOW);

        registries.configure(&several(vec![dtr.clone()], "dtr"), 1, 0, NOW);
        registries.forget_removed(&mut store, NOW);
        assert_eq!(registries.named("dtr"), kept, "it is the same one");
        assert_eq!(registries.named("quay"), None);
        assert!(!registries.are_idle());
        let balancer = &mut registries.get_mut(gone).expect("it stays").balancer;
        assert!(balancer.listener(443).is_some(), "as it was, for a while");
        let later = NOW.plus(GRACE);
        registries.forget_removed(&mut store, later);
        let balancer = &mut registries.get_mut(gone).expect("it stays").balancer;
        assert_eq!(balancer.listener(443), None, "nobody gets there any more");
        balancer.observe(Fact::Tick, later);
        let probes = std::iter::from_fn(|| balancer.next_effect());
        let is_probe = |effect: &Effect| matches!(effect, Effect::Probe(_));
        assert_eq!(probes.filter(is_probe).count(), 0, "nobody is probed");

        balancer.observe(Fact::Closed(StreamId(7), UpstreamOutcome::Pending), later);
        registries.forget_removed(&mut store, later);
        assert!(registries.get_mut(gone).is_none());
        registries.configure(&several(vec![dtr, quay], "dtr"), 1, 0, later);
        assert_ne!(
            registries.named("quay"),
            Some(gone),
            "its number is not used again"
        );
        assert_eq!(registries.balancers_mut().len(), 2);
    }

    #[test]
    fn plugins_that_are_configured_one_after_the_other_cost_a_service_nothing() {
        let mut store = MemoryStore::default();
        let (dtr, quay) = (registry("dtr", &[]), registry("quay", &[]));
        let both = several(vec![dtr.clone(), quay], "dtr");
        let mut registries = configured(&both);
        let id = registries.named("quay").expect("it is configured");
        let is_up = |registries: &mut Registries| {
            let quay = &mut registries.get_mut(id).expect("it is there").balancer;
            let listener = quay.listener(443).expect("it has one");
            let replica = quay.replica("quay/r1").expect("it has it");
            quay.serves(listener, replica)
        };
        let mut down = |registries: &mut Registries| {
            let quay = &mut registries.get_mut(id).expect("it is there").balancer;
            quay.sync(&mut store, NOW);
            quay.observe(Fact::Tick, NOW);
            let effects: Vec<_> = std::iter::from_fn(|| quay.next_effect()).collect();
            for effect in effects {
                if let Effect::Probe(probe) = effect {
                    quay.observe(Fact::Answered(probe.probe, ProbeResponse::none()), NOW);
                }
            }
        };
        down(&mut registries);
        assert!(!is_up(&mut registries), "it is down");
        registries.configure(&several(vec![dtr], "dtr"), 1, 0, NOW);
        registries.configure(&both, 1, 0, NOW);
        assert_eq!(registries.named("quay"), Some(id));
        assert!(!is_up(&mut registries), "and known to be");
    }
}
