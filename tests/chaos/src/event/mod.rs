//! Faults, each a value: what happens, in which order, and what clients may see of it.
//!
//! A new one is one more value in a file of this folder, in that file's `ALL`.

mod act;
mod balancer_faults;
mod clients;
mod names;
mod outages;
mod replica_faults;
mod restarts;
mod upgrades;

use std::time::Duration;

use crate::load::{Mix, Outcome};
use crate::proxy::{Kind, Log};

pub(crate) use act::{Act, Certificate, Change, Dns, Sight};

/// One fault under load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// For `--event` and the table.
    pub(crate) name: &'static str,
    /// One sentence for the table.
    pub(crate) what: &'static str,
    /// What happens, one after the other, once the load runs.
    pub(crate) script: &'static [Act],
    /// How many replicas there are; `r1` is the first.
    pub(crate) replicas: u8,
    /// What clients ask for.
    pub(crate) mix: Mix,
    /// Most new connections a second that make sense here.
    pub(crate) most: u32,
    /// What clients should see; and where they may see an error, why no balancer
    /// could spare them it.
    pub(crate) expected: Expected,
    /// Who can't play, and why.
    pub(crate) absent: &'static [(Kind, &'static str)],
    /// Who can't keep to that, why, and how far.
    pub(crate) excused: &'static [Excuse],
    /// For whom `cargo test` asserts the expectation.
    pub(crate) proven: &'static [Kind],
    /// Fields of the configuration of `dtr-lb` alone, as JSON.
    pub(crate) fields: &'static str,
    /// More of them, for Envoy alone.
    pub(crate) envoy_fields: &'static str,
    /// Where the balancer's log goes.
    pub(crate) log: Log,
    /// Its limit on open files.
    pub(crate) descriptors: Option<u64>,
    /// How replicas are found and checked.
    pub(crate) wiring: Wiring,
}

/// What one kind of balancer can't help. Nothing excuses wrong bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excuse {
    pub(crate) kind: Kind,
    pub(crate) why: &'static str,
    /// The errors its clients may see.
    pub(crate) errors: &'static [Outcome],
    /// No more of them than one in this many connections.
    pub(crate) one_in: u64,
    /// How what it may leave begins.
    pub(crate) left: &'static [&'static str],
}

/// How replicas are found and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// By address, over HTTP.
    #[default]
    Plain,
    /// By address, over HTTPS with a certificate that is verified.
    Certificates,
    /// By name, over HTTP.
    Names,
}

/// What clients should see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// No error, but of connections that were open when a replica they may have
    /// been on was cut: no balancer can know what of them was done.
    NoError,
    /// As before, and errors between `AllDown` and `Up`, and this many milliseconds
    /// longer, until checks have seen it.
    NoErrorOnce(&'static str, u64),
}

impl Event {
    /// Three replicas, and nothing happens to them.
    pub(crate) const QUIET: Self = Self {
        name: "",
        what: "",
        script: &[],
        replicas: 3,
        mix: Mix::Gets,
        most: u32::MAX,
        expected: Expected::NoError,
        absent: &[],
        excused: &[],
        proven: &[],
        fields: "{}",
        envoy_fields: "{}",
        log: Log::File,
        descriptors: None,
        wiring: Wiring::Plain,
    };

    /// About how long its script takes, unshortened.
    pub(crate) fn length(&self) -> Duration {
        self.script.iter().map(|act| act.length()).sum()
    }

    /// Whether it takes a network of its own.
    pub(crate) fn needs_network(&self) -> bool {
        // In the machine's own network nobody asks our name server.
        self.wiring == Wiring::Names || self.script.iter().any(|act| act.needs_network())
    }

    /// Why this kind can't play; `None` when it can.
    pub(crate) fn absent(&self, kind: Kind) -> Option<&'static str> {
        let mut all = self.absent.iter();
        all.find(|(one, _)| *one == kind).map(|(_, why)| *why)
    }

    /// What of the expectation this kind can't keep to; `None` when it can.
    pub(crate) fn excused(&self, kind: Kind) -> Option<&'static Excuse> {
        self.excused.iter().find(|excuse| excuse.kind == kind)
    }
}

impl Expected {
    /// As the table says it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::NoError => "0".to_owned(),
            Self::NoErrorOnce(what, 0) => format!("0 once {what}"),
            Self::NoErrorOnce(what, ms) => format!("0 once {what} for {ms} ms"),
        }
    }
}

/// Every event, in the order of the table.
pub(crate) fn all() -> Vec<&'static Event> {
    let files = [
        replica_faults::ALL,
        names::ALL,
        outages::ALL,
        restarts::ALL,
        balancer_faults::ALL,
        upgrades::ALL,
        clients::ALL,
    ];
    files.into_iter().flatten().copied().collect()
}

/// Nothing happens, for a long time: `--soak`.
pub(crate) const SOAK: Event = Event {
    name: "soak",
    what: "nothing happens",
    mix: Mix::Small,
    ..Event::QUIET
};

/// Both that carry the filter.
const BOTH: &[Kind] = &[Kind::Host, Kind::Envoy];
const HOST: &[Kind] = &[Kind::Host];
const ENVOY: &[Kind] = &[Kind::Envoy];

const NO_CHECKS: (Kind, &str) = (Kind::Nginx, "it has no checks");
const NO_NAMES: (Kind, &str) = (Kind::Nginx, "this edition resolves names at its start only");
const NO_RELOAD: (Kind, &str) = (
    Kind::Envoy,
    "its configuration comes by xDS or a new process",
);
/// Until the replica is held back.
const ENVOY_SENDS_ONCE: Excuse = Excuse {
    kind: Kind::Envoy,
    why: "tcp_proxy keeps nothing that it could send again: the first on each worker are lost",
    errors: &[Outcome::ClosedUnserved, Outcome::ResetUnserved],
    // As many as are open at once.
    one_in: 100,
    left: &[],
};
const NO_ORDERS: (Kind, &str) = (Kind::Nginx, "it takes no orders but a reload");

#[cfg(test)]
mod tests {
    use super::{Outcome, all};

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|event| event.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "two events of one name: {names:?}");
    }

    #[test]
    fn fields_are_json() {
        for event in all() {
            for fields in [event.fields, event.envoy_fields] {
                let fields = serde_json::from_str::<serde_json::Value>(fields);
                let is_object = fields.is_ok_and(|fields| fields.is_object());
                assert!(is_object, "{}", event.name);
            }
        }
    }

    #[test]
    fn what_is_proven_can_be_played_everywhere_and_needs_no_excuse() {
        for event in all().iter().filter(|event| !event.proven.is_empty()) {
            assert!(!event.needs_network(), "{} needs a network", event.name);
            for kind in event.proven {
                let absent = event.absent(*kind).is_some();
                let excused = event.excused(*kind).is_some();
                assert!(!absent && !excused, "{} on {}", event.name, kind.name());
            }
        }
    }

    #[test]
    fn nothing_excuses_wrong_bytes() {
        for event in all() {
            for excuse in event.excused {
                let wrong = excuse.errors.contains(&Outcome::WrongBytes);
                assert!(!wrong, "{}", event.name);
            }
        }
    }
}
